/**
 * Where running machines that have names can be found: a folder of the user's own, with a socket for each.
 *
 * Law: nobody else may enter the folder, and who can talk to a machine's socket is its owner. A socket whose process is gone
 * counts for nothing. On Windows the sockets are named pipes, and the folder holds only their names.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { VmError } from "#control";

const onWindows = process.platform === "win32";
/** The address of a Unix socket has room for so many bytes (sockaddr_un), less the zero. */
const longestSocketPath = process.platform === "linux" ? 107 : 103;

export function machinesFolder(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.MEMVISOR_RUN) return environment.MEMVISOR_RUN;
  if (onWindows) return join(environment.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "memvisor", "run");
  if (environment.XDG_RUNTIME_DIR) return join(environment.XDG_RUNTIME_DIR, "memvisor");
  return join(tmpdir(), `memvisor-${userInfo().uid}`);
}

/** The folder, made if need be. Throws `VmError` for one that is not the user's alone. */
export function openFolder(folder = machinesFolder()): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const found = lstatSync(folder);
    const own = onWindows || (found.uid === userInfo().uid && (found.mode & 0o077) === 0);
    if (found.isDirectory() && own) return folder;
  } catch (error) {
    throw new VmError(
      "machine",
      `${folder} cannot be used (${(error as Error).message}): set MEMVISOR_RUN to a folder`,
    );
  }
  throw new VmError("machine", `${folder} is not yours alone: remove it, or set MEMVISOR_RUN to another folder`);
}

export function checkName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$/.test(name)) return;
  throw new VmError("option", `"${name}" cannot be a machine's name: up to 40 letters, digits, ".", "_" and "-"`);
}

/** What one listens at and connects to. */
export function socketOf(folder: string, name: string): string {
  if (onWindows) return `\\\\.\\pipe\\memvisor-${userInfo().username}-${name}`;
  const path = join(folder, `${name}.sock`);
  if (Buffer.byteLength(path) <= longestSocketPath) return path;
  throw new VmError("machine", `${path} is too long for a socket: set MEMVISOR_RUN to a shorter folder`);
}

export const logOf = (folder: string, name: string): string => join(folder, `${name}.log`);

export function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".sock"))
    .map((file) => file.slice(0, -".sock".length))
    .sort();
}

/** On Windows nothing in the folder tells of a pipe. */
export function markName(folder: string, name: string): void {
  if (onWindows) writeFileSync(join(folder, `${name}.sock`), "");
}

/** What a machine printed when it was started in the background stays until another has its name. */
export function forget(folder: string, name: string): void {
  rmSync(join(folder, `${name}.sock`), { force: true });
}

/** A socket that was just made may have nobody listening yet. */
const youngMs = 3000;

/** Removes the socket of a machine that did not answer, unless it is about to. */
export function forgetStale(folder: string, name: string): boolean {
  const made = lstatSync(join(folder, `${name}.sock`), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (Date.now() - made < youngMs) return false;
  forget(folder, name);
  return true;
}
