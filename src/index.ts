/**
 * memvisor as a library.
 *
 *     await using vm = await VirtualMachine.start({ kernel, initrd, commandLine });
 *     vm.console.onOutput((bytes) => process.stdout.write(bytes));
 *     const { status } = await vm.exec("uname -a");
 */
export { type ImageOptions, type StartOptions, VirtualMachine } from "#host";
export {
  defaultCommandLine,
  defaultMemoryBytes,
  type ExecOptions,
  type ExecResult,
  type ForwardedPort,
  type GuestPort,
  type GuestStream,
  type GuestProcess,
  maxMemoryBytes,
  minMemoryBytes,
  Output,
  type ProcessEnd,
  type ProcessOptions,
  type ReadFileOptions,
  type RestoreOptions,
  type SerialPort,
  type SnapshotOptions,
  type SnapshotSummary,
  type SignalName,
  type SpawnOptions,
  type VmEnd,
  VmError,
  type VmErrorCode,
  type VmOptions,
  type VmReport,
  type VmShare,
  type VmStats,
  type Vsock,
  type WriteFileOptions,
} from "#control";
export {
  type Image,
  type ImportOptions,
  importImage,
  type ListedImage,
  listImages,
  openImage,
  type PrepareOptions,
  prepareImage,
  removeImage,
  type StoredImage,
} from "#host/images";
export { ImageError, type ImageErrorCode } from "#images";
