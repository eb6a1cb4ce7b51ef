export { Blk, blkRingBytes } from "./device.ts";
export type {
  BlockRequest,
  DiskConfig,
  DiskFacts,
  DiskFileFacts,
  DiskFormat,
  HostFile,
  Place,
  SavedDisk,
} from "./protocol.ts";
export {
  blockOperation,
  blockStatus,
  decodeFreeze,
  decodeRequest,
  diskFormats,
  encodeAnswer,
  encodeFrozen,
} from "./protocol.ts";
