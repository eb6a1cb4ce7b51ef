export type {
  ExecOptions,
  ExecResult,
  ForwardedPort,
  ProcessOptions,
  RestoreOptions,
  SerialPort,
  SnapshotOptions,
  SnapshotSummary,
  SpawnOptions,
  VmEnd,
  VmErrorCode,
  VmOptions,
  VmReport,
  VmShare,
  VmStats,
} from "./vm-api.ts";
export {
  defaultCommandLine,
  defaultMemoryBytes,
  maxCpus,
  maxMemoryBytes,
  minMemoryBytes,
  Output,
  VmError,
} from "./vm-api.ts";
export type { GuestProcess, ProcessEnd, ReadFileOptions, SignalName, WriteFileOptions } from "./agent/index.ts";
export { busybox } from "./agent/index.ts";
export { checkOptions } from "./check-options.ts";
export { MachineHandle } from "./machine-handle.ts";
export type {
  BootFiles,
  FileSource,
  MachineMessage,
  MachineStart,
  MachineThread,
  StartThread,
} from "./thread-protocol.ts";
export { words } from "./thread-protocol.ts";
export { warmthPath } from "./warmth.ts";
export { recallOptions, rememberedOf } from "./remembered.ts";
export {
  type IoStart,
  type Newcomer,
  type NewFile,
  ringBells,
  type ThreadHost,
  type VcpuStart,
} from "./thread-machine-host.ts";
export { runTicker, type TickerStart } from "./ticker.ts";
export type { GuestPort } from "./guest-ports.ts";
export { VmMemory, type VmPressure } from "./vm-memory.ts";
export type {
  AgeHistogram,
  HeatMap,
  HostPressure,
  MemoryAnswer,
  MemoryPressure,
  MemoryQuestion,
  MemorySlot,
  MemoryStats,
  PageCounts,
  PageRange,
} from "#vm";
export type { Vsock } from "./vsock.ts";
export type { GuestStream } from "./guest-streams.ts";
export {
  type Argument,
  type CommandSchema,
  command,
  type Option,
  type ValuesOf,
} from "./schema.ts";
export { exitStatus, runCommand, statusOf } from "./commands/run.ts";
export { restoreCommand } from "./commands/restore.ts";
export { imageImportCommand, imageListCommand, imagePrepareCommand, imageRemoveCommand } from "./commands/image.ts";
export { pageServerCommand } from "./commands/page-server.ts";
export { relayCommand } from "./commands/relay.ts";
export {
  copyCommand,
  execCommand,
  forkCommand,
  listCommand,
  logsCommand,
  memCommand,
  mountCommand,
  snapshotCommand,
  stopCommand,
} from "./commands/machines.ts";
export { disasmCommand } from "./commands/disasm.ts";
