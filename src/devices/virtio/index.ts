export type { Chain, VirtioDevice, VirtioDriver, Virtqueue } from "./device.ts";
export type { TransportOptions } from "./pci-transport.ts";
export { VirtioPci } from "./pci-transport.ts";
export { VirtioConsole } from "./console/index.ts";
export { Net, networkRingBytes, networkService } from "./net/index.ts";
export type {
  BlockRequest,
  DiskConfig,
  DiskFacts,
  DiskFileFacts,
  DiskFormat,
  HostFile,
  Place,
  SavedDisk,
} from "./blk/index.ts";
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
} from "./blk/index.ts";
export {
  type Attributes,
  type Changes,
  type ClosableShare,
  type DirectoryEntry,
  type Entry,
  type FileOperations,
  type FileSystemStats,
  type InodeRecord,
  type NewTime,
  type Opened,
  type OpenFlags,
  type Owner,
  type SessionRecord,
  fileService,
  ShareError,
  type ShareHost,
  shareLineBytes,
  shareService,
  VirtioFs,
} from "./fs/index.ts";
export { VirtioVsock } from "./vsock/index.ts";
export { Balloon, type GuestMemoryStatistics } from "./balloon/index.ts";
export { type PluggableRegion, PluggedMemory, plugBlockBytes } from "./mem/index.ts";
export { type PersistentRegion, Pmem } from "./pmem/index.ts";
export { Rng } from "./rng/index.ts";
