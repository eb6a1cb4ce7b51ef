/**
 * Files in the guest, by commands of the busybox that every prepared image has: one file, or whole folders as tar archives.
 * Owners and modes are those of the archive.
 */
import { type ExecOptions, type ExecResult, type ProcessOptions, VmError } from "../vm-api.ts";
import { execute } from "./exec.ts";
import type { GuestCommands } from "./guest-commands.ts";

/** There in every image, whatever its root is (images/guest/init.ts). */
export const busybox = "/run/memvisor/busybox";

export interface WriteFileOptions extends Pick<ProcessOptions, "user" | "group" | "signal"> {
  /** Permissions, 0o644 without a word. Of a file that is there already they stay without one. */
  readonly mode?: number;
}

export interface ReadFileOptions extends Pick<ProcessOptions, "user" | "group" | "signal"> {
  /** A file that is longer is an error; 64 MiB without a word. */
  readonly maxBytes?: number;
}

const defaultMaxBytes = 64 * 1024 * 1024;

export async function writeFile(
  commands: GuestCommands,
  path: string,
  data: NonNullable<ExecOptions["stdin"]>,
  { mode, ...options }: WriteFileOptions = {},
): Promise<void> {
  const change = mode === undefined ? "" : ` && ${busybox} chmod ${(mode & 0o7777).toString(8)} "$1"`;
  const script = `${busybox} cat >"$1"${change}`;
  const result = await run(commands, ["sh", "-c", script, "sh", path], { ...options, stdin: data });
  check(result, `${path} cannot be written`);
}

export async function readFile(
  commands: GuestCommands,
  path: string,
  { maxBytes = defaultMaxBytes, ...options }: ReadFileOptions = {},
): Promise<Uint8Array> {
  const result = await run(commands, ["cat", "--", path], { ...options, maxOutputBytes: maxBytes }).catch(
    (error: unknown) => {
      if (!(error instanceof VmError) || error.code !== "output") throw error;
      throw new VmError("file", `${path} is longer than ${maxBytes} bytes: read a part of it, or raise maxBytes`);
    },
  );
  check(result, `${path} cannot be read`);
  return result.stdout.bytes;
}

/** Unpacks an archive in a folder of the guest, which is made if need be. */
export async function unpackTar(
  commands: GuestCommands,
  archive: AsyncIterable<Uint8Array>,
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const script = `${busybox} mkdir -p "$1" && exec ${busybox} tar -x -f - -C "$1"`;
  const options = { stdin: archive, ...(signal && { signal }) };
  check(await run(commands, ["sh", "-c", script, "sh", folder], options), `${folder} cannot be written`);
}

/** A file, or a folder with all that is in it, as an archive: its last name is the first entry's. Fails at its end. */
export async function* packTar(commands: GuestCommands, path: string): AsyncGenerator<Uint8Array, void> {
  const clean = path.replace(/\/+$/, "");
  const slash = clean.lastIndexOf("/");
  const folder = slash > 0 ? clean.slice(0, slash) : "/";
  const process = await commands.start(
    [busybox, "tar", "-c", "-f", "-", "-C", folder, "--", clean.slice(slash + 1) || "."],
    { cwd: "/" },
    false,
  );
  const errors = collectText(process.stderr);
  let finished = false;
  try {
    yield* process.stdout;
    finished = true;
  } finally {
    if (!finished) process.kill("SIGKILL");
  }
  const { status } = await process.exited;
  if (status !== 0) throw failure(`${path} cannot be read`, await errors);
}

function run(commands: GuestCommands, args: readonly string[], options: ExecOptions): Promise<ExecResult> {
  return execute(commands, [busybox, ...args], { cwd: "/", ...options });
}

function check({ status, stderr }: ExecResult, what: string): void {
  if (status !== 0) throw failure(what, stderr.text());
}

/**
 * busybox says "cat: can't open '/x': No such file or directory": the last words are what a person wants. Its tar goes on after that, and
 * ends with a line that says nothing more.
 */
function failure(what: string, said: string): VmError {
  const lines = said.trim().split("\n");
  const line = lines.findLast((each) => !each.endsWith("error exit delayed from previous errors")) ?? "";
  const why = /: ([^:]+)$/.exec(line)?.[1] ?? line;
  return new VmError("file", why ? `${what} in the guest: ${why}` : `${what} in the guest`);
}

async function collectText(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) if (text.length < 4096) text += decoder.decode(chunk, { stream: true });
  return text;
}
