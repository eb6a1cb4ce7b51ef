/**
 * Frames that management takes away while their pages' bytes are somewhere else (memory/swap.ts): the guest's next touch
 * gets them back, in another frame.
 */
import * as L from "../layout";
import { beginExclusive, endExclusive } from "./exclusive";
import { entryOf } from "./frames";
import { drop, flush_space } from "./share";

/** Of a word of the list: the page's bytes are in its object; without, they are zeros. */
const KEPT: u32 = 0x80000000;

/**
 * Other vCPUs stand still from now on, between two instructions, until `end_eviction`; 0 where one of them waits for something in
 * the middle of an instruction: it may know the address of a frame, and nothing can be evicted now.
 */
export function begin_eviction(): u32 {
  beginExclusive();
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) {
    if (load<u32>(load<u32>(L.PROCESS + (n << 2), L.P_VCPUS), L.MIDWAY) == 0) continue;
    endExclusive();
    return 0;
  }
  return 1;
}

/**
 * Takes the frames of the guest frames whose numbers are in the `count` words at `list`. What the logs noted of them stays.
 * Requires: begun; each is present, and nobody else uses or pins its frame.
 */
export function evict_frames(space: u32, list: u32, count: u32): void {
  for (let n: u32 = 0; n < count; n++) {
    const word = load<u32>(list + (n << 2));
    const at = entryOf(space, word & ~KEPT);
    const entry = load<u32>(at);
    const flags = entry & (L.E_RAM | L.E_READONLY | L.E_ACCESSED | L.E_DIRTY);
    atomic.store<u32>(at, flags | ((word & KEPT) != 0 ? L.E_BACKED : 0));
    drop(entry);
  }
  store<u32>(space, load<u32>(space, L.S_FRAMES) - count, L.S_FRAMES);
  if (count != 0) flush_space(space);
}

export function end_eviction(): void {
  endExclusive();
}
