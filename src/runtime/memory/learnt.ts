/**
 * Blocks that earlier runs have lifted: taken where the same code is met again, in place of lifting it (engine/translating/learnt-blocks.ts
 * says what they are, and keeps them).
 *
 * Law: a block is taken only for code that is, byte for byte, what it was lifted from, in the same mode and at the same place of its page, so
 * that nothing the guest does or a file says makes it run other code than its own. It is copied: what is learnt stays as it is.
 */
import * as L from "../layout";
import { codeOf, enterBlock } from "./blocks";
import { severalThreads } from "./exclusive";
import { frameRecord } from "./frames";
import { changing_numbers } from "./numbers";
import { blockSize, givePlace } from "./places";
import { blocksEndAt } from "./worker";

/** The table: a list by B_HASH_NEXT for each of its entries. 0: nothing is learnt. */
let table: u32 = 0;
const ENTRIES: u32 = L.BLOCK_HASH_ENTRIES;
/** Entries until a block is hot, by how hot it was. */
let untilHotCold: u32 = 0;
let untilHotWarm: u32 = 0;
let untilHotHot: u32 = 0;
let taken: u32 = 0;

/** So many bytes of code tell where a block is looked for; of a shorter one the first does. */
const KEY_BYTES: u32 = 8;
/** More IR than a block ever has. */
const MOST_IR: u32 = 0x10000;
/** What lifting wants free. */
const ROOM: u32 = 0x20000;

function slotOf(key: u64, place: u32, mode: u32): u32 {
  const mixed = (key ^ (<u64>place << 40) ^ (<u64>mode << 52)) * 0x9e3779b97f4a7c15;
  return table + ((<u32>(mixed >> 32) & (ENTRIES - 1)) << 2);
}

/** The blocks in [first, end) are learnt; how many they are, or 0 where those are not blocks one after the other. */
export function learn_blocks(first: u32, end: u32, at: u32, cold: u32, warm: u32, hot: u32): u32 {
  table = at;
  untilHotCold = cold;
  untilHotWarm = warm;
  untilHotHot = hot;
  let count: u32 = 0;
  for (let block = first; block < end; count++) {
    const bytes = load<u32>(block, L.B_BYTES);
    const place = load<u32>(block, L.B_HPA);
    const sound = end - block >= L.B_IR && load<u32>(block, L.B_IR_BYTES) <= MOST_IR && bytes - 1 < 4096 && place + bytes <= 4096;
    if (!sound || load<u16>(block, L.B_NUMBERS) != 0 || blockSize(block) > end - block) return table = 0;
    const code = codeOf(block);
    const key = bytes >= KEY_BYTES ? load<u64>(code) : <u64>load<u8>(code);
    const slot = slotOf(key, place, load<u32>(block, L.B_MODE));
    store<u32>(block, load<u32>(slot), L.B_HASH_NEXT);
    store<u32>(slot, block);
    block += blockSize(block);
  }
  return count;
}

/** How many were taken. */
export function learnt_taken(): u32 {
  return taken;
}

/** A block for the code at an HPA, entered as one that was lifted from it; 0 where it is not known. */
export function take_learnt(vp: u32, hpa: u32, mode: u32): u32 {
  if (table == 0 || severalThreads() || changing_numbers(hpa) != 0) return 0;
  const place = hpa & 4095;
  let learnt: u32 = 0;
  if (place <= 4096 - KEY_BYTES) learnt = find(load<u64>(hpa), hpa, mode);
  if (learnt == 0) learnt = find(<u64>load<u8>(hpa), hpa, mode);
  // Code that is changed more often waits for longer until it is hot: it is lifted.
  const patches = <u32>load<u8>(frameRecord(hpa & 0xfffff000), L.F_PATCHES);
  if (learnt == 0 || patches > L.FREE_PATCHES) return 0;
  const block = load<u32>(blocksEndAt);
  if (block + ROOM > L.BLOCKS_END) return 0;
  memory.copy(block, learnt, blockSize(learnt));
  givePlace(block);
  const heat = load<u32>(learnt, L.B_COUNTER);
  store<u32>(block, heat == 0 ? untilHotCold : heat == 1 ? untilHotWarm : untilHotHot, L.B_COUNTER);
  store<u32>(block, hpa, L.B_HPA);
  enterBlock(vp, block, true);
  taken++;
  return block;
}

function find(key: u64, hpa: u32, mode: u32): u32 {
  const place = hpa & 4095;
  for (let block = load<u32>(slotOf(key, place, mode)); block != 0; block = load<u32>(block, L.B_HASH_NEXT)) {
    if (load<u32>(block, L.B_HPA) != place || load<u32>(block, L.B_MODE) != mode) continue;
    if (memory.compare(codeOf(block), hpa, load<u32>(block, L.B_BYTES)) == 0) return block;
  }
  return 0;
}
