/** Frames that a guest gives back: they go to the free list, and what they held is zeros from then on. */
import * as L from "../layout";
import { invalidate_frame } from "./blocks";
import { beginExclusive, endExclusive, lock, unlock } from "./exclusive";
import { entryOf } from "./frames";
import { tlb_flush_all } from "./tlb";

/**
 * Takes the frames of the guest frames whose numbers are the `count` words at `list`; how many there were.
 * Law: when it returns no TLB and no translated code refers to them; so other vCPUs stand still meanwhile.
 */
export function release_frames(space: u32, list: u32, count: u32): u32 {
  beginExclusive();
  let released: u32 = 0;
  for (let n: u32 = 0; n < count; n++) {
    const at = entryOf(space, load<u32>(list + (n << 2)));
    if (at == 0) continue;
    const entry = load<u32>(at);
    // What only a snapshot holds is forgotten, too.
    atomic.store<u32>(at, entry & (L.E_RAM | L.E_READONLY | L.E_DIRTY));
    if ((entry & L.E_PRESENT) == 0) continue;
    const frame = entry & 0xfffff000;
    invalidate_frame(frame);
    giveBack(frame);
    released++;
  }
  store<u32>(space, load<u32>(space, L.S_FRAMES) - released, L.S_FRAMES);
  if (released != 0) flushAll();
  endExclusive();
  return released;
}

function giveBack(frame: u32): void {
  lock(L.PROCESS + L.P_FRAME_LOCK);
  store<u32>(frame, load<u32>(L.PROCESS, L.P_FRAME_FREE));
  store<u32>(L.PROCESS, frame, L.P_FRAME_FREE);
  store<u32>(L.PROCESS, load<u32>(L.PROCESS, L.P_FRAMES_USED) - 1, L.P_FRAMES_USED);
  unlock(L.PROCESS + L.P_FRAME_LOCK);
}

function flushAll(): void {
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) tlb_flush_all(load<u32>(L.PROCESS + (n << 2), L.P_VCPUS));
}
