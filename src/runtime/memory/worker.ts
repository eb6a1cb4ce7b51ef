/**
 * Where the blocks lie that this thread translates (memory/arena-layout.ts). Each thread that runs vCPUs has an instance of the
 * runtime, with frame records, hash table and blocks of its own: the globals here say where.
 */
import * as L from "../layout";

/** Frame records: which blocks of this thread's come from a frame. */
export let records: u32 = L.FRAME_RECORDS;
export let blockHash: u32 = L.BLOCK_HASH;
export let blocksStart: u32 = L.BLOCKS;
/** Address of the word that holds the end of the blocks. */
export let blocksEndAt: u32 = L.PROCESS + L.P_BLOCK_NEXT;
/** Lists of places (places.ts). */
export let freePlaces: u32 = L.FREE_PLACES;

/** Makes this the thread whose translations lie at `base`; without a call, the process's first. */
export function use_translations(base: u32): void {
  records = base;
  blockHash = base + L.T_BLOCK_HASH;
  blocksStart = base + L.T_BLOCKS;
  blocksEndAt = base + L.T_BLOCK_NEXT;
  freePlaces = base + L.T_FREE_PLACES;
}

/** The granules of a page that bytes [from, to) touch: a bit each. */
export function granules(from: u32, to: u32): u64 {
  return (<u64>0xffffffffffffffff << (from >> 6)) & (<u64>0xffffffffffffffff >> (63 - ((to - 1) >> 6)));
}
