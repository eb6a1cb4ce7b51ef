/**
 * The library: `import { VirtualMachine } from "memvisor"`.
 *
 * A machine is started from bytes, or from a prepared image (`openImage`); it prints on its console, runs commands, and
 * ends. What a caller can get wrong is thrown as `VmError` and `ImageError`.
 */
export { VirtualMachine } from "#host";
export { defaultCommandLine, defaultMemoryBytes, VmError } from "#control";
export type {
  ExecOptions,
  ExecResult,
  SerialPort,
  VmEnd,
  VmErrorCode,
  VmOptions,
  VmReport,
  VmStats,
} from "#control";
export { listImages, openImage, prepareImage, removeImage } from "#host/images";
export type { Image, ListedImage, PrepareOptions, StoredImage } from "#host/images";
export { defaultImage, ImageError } from "#images";
export type { ImageErrorCode, OnProgress, Progress } from "#images";
