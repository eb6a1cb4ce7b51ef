/** Files of the guest, by commands of the agent: what a folder holds, a file in, a file or a folder out. */
import type { ExecOptions, ExecResult } from "#control";

/** What runs commands. */
export interface CommandRunner {
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
}

export interface GuestFile {
  readonly name: string;
  /** What a link to a folder leads to is what counts. */
  readonly kind: "file" | "folder" | "link" | "other";
  readonly sizeBytes: number;
  readonly changed: Date;
}

/** Told after each piece. */
export type OnBytes = (doneBytes: number) => void;

/** `path` as one word of a shell. */
export const quoted = (path: string): string => `'${path.replaceAll("'", "'\\''")}'`;

export const joined = (folder: string, name: string): string => `${folder === "/" ? "" : folder}/${name}`;

/** What is in a folder: folders first, each kind by name. */
export async function listFolder(runner: CommandRunner, folder: string): Promise<GuestFile[]> {
  // A name may hold anything but "/" and NUL, so NUL ends an entry.
  const command = `cd ${quoted(folder)} || exit; for f in .* *; do
    case "$f" in .|..) continue;; esac
    { [ -e "$f" ] || [ -L "$f" ]; } && stat -c '%f %s %Y' -- "$f" || continue
    [ -d "$f" ] && echo folder || echo
    printf '%s\\0' "$f"
  done; :`;
  const bytes = await outputOf(runner, command, {});
  const entries = new TextDecoder().decode(bytes).split("\0").slice(0, -1);
  return entries.flatMap(parseEntry).sort(inOrder);
}

/** Puts a file into a folder of the guest, in place of one of the same name. */
export async function uploadFile(
  runner: CommandRunner,
  file: File,
  folder: string,
  onBytes: OnBytes,
  signal?: AbortSignal,
): Promise<void> {
  const path = joined(folder, file.name);
  const aside = quoted(`${path}.part`);
  // Nobody sees half a file under its name.
  await outputOf(runner, `cat > ${aside} && mv -f ${aside} ${quoted(path)}`, {
    stdin: counted(file.stream(), onBytes),
    ...(signal && { signal }),
  });
}

export async function downloadFile(
  runner: CommandRunner,
  path: string,
  onBytes: OnBytes,
  signal?: AbortSignal,
): Promise<Blob> {
  return new Blob([await outputOf(runner, `cat ${quoted(path)}`, { ...(signal && { signal }) }, onBytes)]);
}

/** A folder as a tar archive. */
export async function downloadFolder(
  runner: CommandRunner,
  path: string,
  onBytes: OnBytes,
  signal?: AbortSignal,
): Promise<Blob> {
  const at = path.lastIndexOf("/");
  const command = `tar -C ${quoted(path.slice(0, at) || "/")} -cf - ${quoted(path.slice(at + 1) || ".")}`;
  return new Blob([await outputOf(runner, command, { ...(signal && { signal }) }, onBytes)], {
    type: "application/x-tar",
  });
}

/** A command's output; what it prints as an error is the error. */
async function outputOf(
  runner: CommandRunner,
  command: string,
  options: ExecOptions,
  onBytes: OnBytes = () => {},
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  let errors = "";
  const { status } = await runner.exec(command, {
    ...options,
    onStdout: (bytes) => {
      chunks.push(bytes);
      onBytes((length += bytes.length));
    },
    onStderr: (bytes) => {
      errors = (errors + new TextDecoder().decode(bytes)).slice(-1000);
    },
  });
  if (status !== 0) throw new Error(errors.trim() || `the guest's command ended with status ${status}`);
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

async function* counted(stream: ReadableStream<Uint8Array>, onBytes: OnBytes): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let done = 0;
  for (;;) {
    const piece = await reader.read();
    if (piece.done) return;
    yield piece.value;
    onBytes((done += piece.value.length));
  }
}

const fileTypes: Readonly<Record<number, GuestFile["kind"]>> = { 8: "file", 10: "link" };

/** "MODE SIZE SECONDS", then "folder" for one and for a link to one, then the name. The mode's top four bits are the type. */
function parseEntry(text: string): GuestFile[] {
  const match = /^([0-9a-f]+) (\d+) (\d+)\n(folder)?\n(.+)$/s.exec(text);
  if (!match) return [];
  const [, mode, size, seconds, folder, name] = match;
  const kind = folder ? "folder" : (fileTypes[Number.parseInt(mode, 16) >> 12] ?? "other");
  return [{ name, kind, sizeBytes: Number(size), changed: new Date(Number(seconds) * 1000) }];
}

function inOrder(a: GuestFile, b: GuestFile): number {
  const rank = (file: GuestFile): number => (file.kind === "folder" ? 0 : 1);
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}
