/**
 * Places: where blocks lie. What a forgotten block had is used again, since a program that makes code, runs it a few times and makes other
 * code in its place would otherwise have each block lifted into memory that nobody had yet: which the host has to clear, and which
 * is in no cache.
 *
 * Law: a place is one, of the size that it has, until all blocks are forgotten. So whoever still has the address of a block that is no
 * more finds the header of another one there, or of none that is valid; and it is used again only where that is enough:
 *
 * - The hash table, the lists of frames: they have no forgotten blocks.
 * - Links within a page are followed unasked: by blocks of the same frame, which are all forgotten. Hence only whole frames' places are free.
 * - Links to other pages are guesses: what they ask the header is where the block that is there now was found.
 * - Jump caches: of a block that one vCPU found at one address, the entry is emptied. A second one keeps the place (`keepPlace`).
 * - Regions, and what waits to be one: they keep the places of their blocks.
 * - What runs: a place is only taken when a block is lifted, between two blocks.
 *
 * Two blocks of a place are of the same mode. The first codes of a frame keep their places, too: what the kernel's initialisation was lifted
 * to is worth learning (learnt.ts) although other memory lies there by then.
 */
import * as L from "../layout";
import { frameRecord } from "./frames";
import { jumpCacheEntry } from "./generations";
import { numbersOf } from "./numbers";
import { blocksEndAt, freePlaces } from "./worker";

/** Lists by size, in units of 16 bytes: a bit for each that has one, then their first places. */
const SIZES: u32 = 512;
const HEADS: u32 = SIZES >> 3;
/** A place may be larger than its block by this part of it. */
const SLACK_SHIFT: u32 = 2;
/** So often all of a frame's code is forgotten without its places being used again. */
const FIRST_CODES: u32 = 2;
/** Code with a base has links within a page of RIP that lead to another frame. */
const SEGMENTED: u32 = 12;

/** Header, IR, code and the list of numbers (`blockSize` of arena-layout.ts). */
export function blockSize(block: u32): u32 {
  return (numbersOf(block) - block + (<u32>load<u16>(block, L.B_NUMBERS) << 2) + 15) & ~15;
}

/** Where the next block begins. */
export function afterPlace(block: u32): u32 {
  return block + (load<u32>(block, L.B_PLACE) & ~L.KEPT_PLACE);
}

/** The block that lies at the end of all blocks has that place, of just its size. */
export function givePlace(block: u32): void {
  const size = blockSize(block);
  store<u32>(block, size, L.B_PLACE);
  store<u32>(blocksEndAt, block + size);
}

/** Nobody else has the block's place, ever. */
export function keepPlace(block: u32): void {
  store<u32>(block, load<u32>(block, L.B_PLACE) | L.KEPT_PLACE, L.B_PLACE);
}

/** All code of a frame was forgotten, that is the list of blocks from `first` on; `record`: the frame's. */
export function frameEmptied(record: u32, first: u32): void {
  const before = <u32>load<u8>(record, L.F_EMPTIED);
  if (before < FIRST_CODES) return store<u8>(record, <u8>(before + 1), L.F_EMPTIED);
  for (let link = first; link != 0; ) {
    const block = link & 0xfffffffe;
    const second = (link & 1) != 0;
    link = load<u32>(block + (second ? L.B_PAGE2_NEXT : L.B_PAGE_NEXT));
    const place = load<u32>(block, L.B_PLACE);
    // One of two pages is in the other one's list still.
    if ((place & L.KEPT_PLACE) != 0 || load<u32>(block, L.B_HPA2) != 0 || (load<u32>(block, L.B_MODE) & SEGMENTED) != 0) continue;
    const size = place >> 4;
    if (size >= SIZES) continue;
    const head = freePlaces + HEADS + (size << 2);
    store<u32>(block, load<u32>(head), L.B_PAGE_NEXT);
    store<u32>(head, block);
    mark(size, true);
  }
}

/** A free place for the block, or 0. */
export function takePlace(vp: u32, block: u32): u32 {
  const least = blockSize(block) >> 4;
  const most = min(least + (least >> SLACK_SHIFT), SIZES - 1);
  for (let size = least; size <= most; size++) {
    const bits = load<u64>(freePlaces + ((size >> 6) << 3)) >> (size & 63);
    if (bits == 0) {
      size |= 63;
      continue;
    }
    size += <u32>ctz(bits);
    if (size > most) break;
    const head = freePlaces + HEADS + (size << 2);
    const place = load<u32>(head);
    const next = load<u32>(place, L.B_PAGE_NEXT);
    store<u32>(head, next);
    if (next == 0) mark(size, false);
    if (load<u32>(place, L.B_MODE) == load<u32>(block, L.B_MODE) && forgetSeen(vp, place)) return place;
  }
  return 0;
}

/** Takes the forgotten block out of the jump cache; false where that is another vCPU's. */
function forgetSeen(vp: u32, block: u32): bool {
  if (load<u32>(block, L.B_SEEN_ASID) == 0) return true;
  if (load<u32>(block, L.B_SEEN_VP) != vp) return false;
  const entry = jumpCacheEntry(vp, load<u64>(block, L.B_SEEN_RIP));
  if (load<u32>(entry, L.J_BLOCK) == block) store<u32>(entry, 0, L.J_ASID);
  return true;
}

/** All blocks are forgotten. */
export function forgetPlaces(): void {
  memory.fill(freePlaces, 0, HEADS + (SIZES << 2));
}

function mark(size: u32, has: bool): void {
  const at = freePlaces + ((size >> 6) << 3);
  const bit = <u64>1 << (size & 63);
  store<u64>(at, has ? load<u64>(at) | bit : load<u64>(at) & ~bit);
}
