/**
 * One request of a driver, parsed and checked (virtio 1.2, "Block Device: Device Operation").
 *
 * Readable: u32 type, u32 reserved, u64 sector, then data to write or the ranges to discard. Writable: room for data, and the
 * status in the last byte. A driver may cut both into pieces wherever it likes.
 */
import type { GuestRange } from "#memory";
import { sliceRanges } from "../chain.ts";
import type { Chain } from "../device.ts";
import { type BlockOperation, blockOperation } from "./protocol.ts";

export const sectorBytes = 512;
const headBytes = 16;
const rangeBytes = 16;
/** So much one request may move: what our limits allow a driver is far less. */
export const maxRequestBytes = 4 << 20;
/** Ranges of one discard or write-zeroes request. */
export const maxRanges = 16;
export const maxRangeSectors = 1 << 22;

export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;

const VIRTIO_BLK_T_IN = 0;
const VIRTIO_BLK_T_OUT = 1;
const VIRTIO_BLK_T_FLUSH = 4;
const VIRTIO_BLK_T_GET_ID = 8;
const VIRTIO_BLK_T_DISCARD = 11;
const VIRTIO_BLK_T_WRITE_ZEROES = 13;
const flagUnmap = 1;

/** What the service is to do. `data` are the ranges of guest memory it reads or fills. */
export interface BlockStep {
  readonly operation: BlockOperation;
  readonly offset: number;
  readonly length: number;
  readonly data: readonly GuestRange[];
}

export type ParsedRequest =
  | { readonly kind: "steps"; readonly steps: readonly BlockStep[] }
  | { readonly kind: "id" }
  | { readonly kind: "status"; readonly status: number };

export interface DiskLimits {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
}

const headScratch = new Uint8Array(headBytes);
const head = new DataView(headScratch.buffer);

const failed = { kind: "status", status: VIRTIO_BLK_S_IOERR } as const;
const unsupported = { kind: "status", status: VIRTIO_BLK_S_UNSUPP } as const;

/** Requires: the chain has room for a status. */
export function parseRequest(chain: Chain, disk: DiskLimits): ParsedRequest {
  if (chain.read(0, headScratch) < headBytes) return failed;
  const sector = readU64(head, 8);
  switch (head.getUint32(0, true)) {
    case VIRTIO_BLK_T_IN:
      return transfer(blockOperation.read, sector, chain.writable, 0, chain.writableBytes - 1, disk);
    case VIRTIO_BLK_T_OUT:
      if (disk.readOnly) return failed;
      return transfer(blockOperation.write, sector, chain.readable, headBytes, chain.readableBytes - headBytes, disk);
    case VIRTIO_BLK_T_FLUSH:
      return { kind: "steps", steps: [{ operation: blockOperation.flush, offset: 0, length: 0, data: [] }] };
    case VIRTIO_BLK_T_GET_ID:
      return { kind: "id" };
    case VIRTIO_BLK_T_DISCARD:
      return disk.readOnly ? failed : rangeSteps(chain, disk, true);
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return disk.readOnly ? failed : rangeSteps(chain, disk, false);
    default:
      return unsupported;
  }
}

function transfer(
  operation: BlockOperation,
  sector: number,
  ranges: readonly GuestRange[],
  from: number,
  length: number,
  disk: DiskLimits,
): ParsedRequest {
  const offset = sector * sectorBytes;
  const good =
    length > 0 && length % sectorBytes === 0 && length <= maxRequestBytes && offset + length <= disk.sizeBytes;
  return good
    ? { kind: "steps", steps: [{ operation, offset, length, data: sliceRanges(ranges, from, length) }] }
    : failed;
}

function rangeSteps(chain: Chain, disk: DiskLimits, discard: boolean): ParsedRequest {
  const bytes = new Uint8Array(
    chain.readableBytes - headBytes > maxRanges * rangeBytes ? 0 : chain.readableBytes - headBytes,
  );
  if (bytes.length === 0 || bytes.length % rangeBytes !== 0 || chain.read(headBytes, bytes) < bytes.length)
    return failed;
  const view = new DataView(bytes.buffer);
  const steps: BlockStep[] = [];
  for (let at = 0; at < bytes.length; at += rangeBytes) {
    const offset = readU64(view, at) * sectorBytes;
    const sectors = view.getUint32(at + 8, true);
    const flags = view.getUint32(at + 12, true);
    if ((flags & ~flagUnmap) !== 0 || (discard && flags !== 0)) return unsupported;
    const length = sectors * sectorBytes;
    if (sectors > maxRangeSectors || offset + length > disk.sizeBytes) return failed;
    const zeroes = (flags & flagUnmap) !== 0 ? blockOperation.writeZeroesUnmap : blockOperation.writeZeroes;
    steps.push({ operation: discard ? blockOperation.discard : zeroes, offset, length, data: [] });
  }
  return { kind: "steps", steps };
}

/** Exact below 2^53; what is larger is larger than any disk. */
const readU64 = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
