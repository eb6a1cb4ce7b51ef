export type { AcpiOptions, AcpiTables } from "./acpi/index.ts";
export { buildAcpiTables } from "./acpi/index.ts";
export type { AccessSize, Alarm, Claim, DeviceClock, IrqLine, MmioDevice, MmioSlot, PortDevice } from "./bus.ts";
export { MmioBus, PortBus } from "./bus.ts";
export type { ApicAddress, ApicTarget, TscSource, VcpuSignals } from "./lapic/index.ts";
export { ApicBus, deliveryMode, isLogicalDestination, Lapic, modeDisabled, modeXapic, tscOf } from "./lapic/index.ts";
export { ManualClock } from "./manual-clock.ts";
export type { MemoryKind, MemoryMapEntry, MemoryRange } from "./memory-map.ts";
export {
  acpiArea,
  ecam,
  generationGsi,
  generationIdAddress,
  highRamBase,
  ioapicPage,
  lapicPage,
  lowRamLimit,
  memoryMap,
  pluggableAlignment,
  pluggableRange,
  pciWindow64,
  pmemAlignment,
  pmemRanges,
  ramRanges,
} from "./memory-map.ts";
export type { PciBar, PciConfigHooks, PciIdentity } from "./pci/index.ts";
export { PciBus, PciFunction } from "./pci/index.ts";
export type { PlatformOptions, PlatformState } from "./platform.ts";
export { Platform } from "./platform.ts";
export type { PowerHost } from "./power/index.ts";
export type { SerialHost } from "./serial/index.ts";
export { Serial } from "./serial/index.ts";
export type { DeviceState, Stateful } from "./state.ts";
export { copyState, encodeState, restoreState, StateError } from "./state.ts";
export type {
  Chain,
  TransportOptions,
  VirtioDevice,
  VirtioDriver,
  Virtqueue,
} from "./virtio/index.ts";
export type {
  BlockRequest,
  DiskConfig,
  DiskFacts,
  DiskFileFacts,
  DiskFormat,
  Place,
  HostFile,
  SavedDisk,
} from "./virtio/index.ts";
export { type PluggableRegion, PluggedMemory, plugBlockBytes } from "./virtio/index.ts";
export { Balloon, type GuestMemoryStatistics } from "./virtio/index.ts";
export { type PersistentRegion, Pmem } from "./virtio/index.ts";
export {
  Blk,
  blkRingBytes,
  blockOperation,
  blockStatus,
  decodeFreeze,
  decodeRequest,
  diskFormats,
  encodeAnswer,
  encodeFrozen,
} from "./virtio/index.ts";
export type {
  Attributes,
  Changes,
  ClosableShare,
  DirectoryEntry,
  Entry,
  FileOperations,
  FileSystemStats,
  InodeRecord,
  NewTime,
  Opened,
  OpenFlags,
  Owner,
  SessionRecord,
  ShareHost,
} from "./virtio/index.ts";
export {
  fileService,
  Net,
  networkRingBytes,
  networkService,
  Rng,
  ShareError,
  shareLineBytes,
  shareService,
  VirtioConsole,
  VirtioFs,
  VirtioPci,
  VirtioVsock,
} from "./virtio/index.ts";
export type {
  DeviceStream,
  RecordKind,
  StreamEnd,
  StreamMessage,
  StreamProvider,
  StreamSource,
} from "./streams/index.ts";
export {
  Incoming,
  longestRecord,
  recordHeaderBytes,
  recordKind,
  StreamHub,
  streamRingBytes,
  streamWindow,
  writeRecord,
} from "./streams/index.ts";
export type {
  IoLine,
  IoLineStart,
  IoRequest,
  IoService,
  IoThreadHost,
  IoThreadSetup,
  NearService,
  OpenService,
  ServicePort,
  SharedFiles,
} from "./io/index.ts";
export { IoError, ioWords, MachineLine, NearLine, runIoThread } from "./io/index.ts";
export { KvmClock } from "./kvm-clock/index.ts";
export { GenerationId } from "./vmgenid/index.ts";
