export { Blk, blkRingBytes } from "./device.ts";
export type { BlockRequest, DiskConfig, DiskFacts, DiskFileFacts, DiskFormat, Place, SavedDisk } from "./protocol.ts";
export { blockOperation, blockStatus, decodeRequest, diskFormats, encodeAnswer, encodeFrozen } from "./protocol.ts";
