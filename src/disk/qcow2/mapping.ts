/**
 * Where a guest's cluster lies in a qcow2 file: entries of L2 tables, 64 bits big-endian.
 *
 *   bit 63 COPIED: the cluster is this entry's alone   bit 62 compressed   bits 55..9 offset   bit 0 reads as zeros
 *   compressed: with x = 62 - (cluster bits - 8), bits x-1..0 the offset in bytes, bits 61..x further sectors of 512
 */
import type { Table } from "./table-cache.ts";

const copied = 0x8000_0000;
const compressed = 0x4000_0000;
const offsetHigh = 0x00ff_ffff;
const offsetLow = 0xffff_fe00;
const zero = 1;

export type Mapping =
  | { readonly kind: "absent" }
  /** `offset`: a cluster kept for it, or 0. */
  | { readonly kind: "zero"; readonly offset: number; readonly own: boolean }
  | { readonly kind: "data"; readonly offset: number; readonly own: boolean }
  | { readonly kind: "compressed"; readonly offset: number; readonly length: number };

const absent: Mapping = { kind: "absent" };

export function readMapping({ view }: Table, index: number, clusterBits: number): Mapping {
  const high = view.getUint32(8 * index);
  const low = view.getUint32(8 * index + 4);
  if ((high & compressed) !== 0) return compressedMapping(high, low, clusterBits);
  const offset = (high & offsetHigh) * 2 ** 32 + (low & offsetLow) + ((low & offsetLow) < 0 ? 2 ** 32 : 0);
  const own = (high & copied) !== 0;
  if ((low & zero) !== 0) return { kind: "zero", offset, own };
  return offset === 0 ? absent : { kind: "data", offset, own };
}

function compressedMapping(high: number, low: number, clusterBits: number): Mapping {
  const offsetBits = 62 - (clusterBits - 8);
  const value = (BigInt(high & ~(copied | compressed)) << 32n) | BigInt(low);
  const offset = Number(value & ((1n << BigInt(offsetBits)) - 1n));
  const sectors = Number(value >> BigInt(offsetBits)) + 1;
  return { kind: "compressed", offset, length: sectors * 512 - (offset & 511) };
}

/** An entry of a table of either level that names a cluster of its own. */
export function writeOwn(table: { readonly view: DataView }, index: number, offset: number, zeros = false): void {
  table.view.setUint32(8 * index, (Math.floor(offset / 2 ** 32) | copied) >>> 0);
  table.view.setUint32(8 * index + 4, (offset % 2 ** 32) + (zeros ? zero : 0));
}

/** An entry without a cluster: what lies below shows, or zeros. */
export function writeNone({ view }: Table, index: number, zeros: boolean): void {
  view.setUint32(8 * index, 0);
  view.setUint32(8 * index + 4, zeros ? zero : 0);
}

/** An L1 entry: where the L2 table lies (0: there is none), and whether it is this entry's alone. */
export function readL1(view: DataView, index: number): { readonly offset: number; readonly own: boolean } {
  const high = view.getUint32(8 * index);
  const low = view.getUint32(8 * index + 4);
  return { offset: (high & offsetHigh) * 2 ** 32 + ((low & offsetLow) >>> 0), own: (high & copied) !== 0 };
}
