/** Blocks that another engine of this build has lifted, taken over by one that has none: see engine/translating/warm-blocks.ts. */
import * as L from "../layout";
import { enterBlock } from "./blocks";
import { afterPlace, givePlace } from "./places";

/**
 * Takes over the blocks in [first, end), whose pages are numbers of the words at `frames`: the HPA of each, or 0 where there is none. They are
 * hot after `counter` entries. Requires: no write TLB has an entry, and no other thread runs. Gives how many they are.
 */
export function adopt_blocks(vp: u32, first: u32, end: u32, frames: u32, counter: u32): u32 {
  let count: u32 = 0;
  for (let block = first; block < end; ) {
    givePlace(block);
    const next = afterPlace(block);
    const place = load<u32>(block, L.B_HPA);
    const frame = load<u32>(frames + ((place >> 12) << 2));
    const second = load<u32>(block, L.B_HPA2);
    const frame2: u32 = second == 0 ? 0 : load<u32>(frames + ((second >> 12) << 2));
    if (frame != 0 && (second == 0 || frame2 != 0)) {
      store<u32>(block, frame | (place & 4095), L.B_HPA);
      store<u32>(block, frame2, L.B_HPA2);
      store<u32>(block, counter, L.B_COUNTER);
      enterBlock(vp, block, false);
      count++;
    } else store<u32>(block, 0, L.B_VALID);
    block = next;
  }
  return count;
}
