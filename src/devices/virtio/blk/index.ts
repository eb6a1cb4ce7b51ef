export { Blk, blkRingBytes } from "./device.ts";
export type { BlockRequest, DiskConfig, DiskFacts, DiskFormat, Place } from "./protocol.ts";
export { blockOperation, blockStatus, decodeRequest, diskFormats, encodeAnswer } from "./protocol.ts";
