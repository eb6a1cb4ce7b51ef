export { execute } from "./exec.ts";
export {
  busybox,
  packTar,
  type ReadFileOptions,
  readFile,
  unpackTar,
  type WriteFileOptions,
  writeFile,
} from "./files.ts";
export { GuestCommands } from "./guest-commands.ts";
export type { GuestProcess, ProcessEnd } from "./guest-process.ts";
export type { SignalName } from "./signals.ts";
export type { Awakening } from "./frames.ts";
