/** Frames that a guest gives back: they go to the free list, and what they held is zeros from then on. */
import * as L from "../layout";
import { beginExclusive, endExclusive } from "./exclusive";
import { entryOf } from "./frames";
import { noteDirty } from "./logs";
import { drop, flush_space } from "./share";

/**
 * The `count` guest frames from `gfn` on are no memory any more (virtio-mem). They are dirty, and what their object has of them is forgotten.
 * Law: as of `release_frames`.
 */
export function unplug_frames(space: u32, gfn: u32, count: u32): void {
  beginExclusive();
  let released: u32 = 0;
  for (const end = gfn + count; gfn < end; gfn++) {
    const at = entryOf(space, gfn);
    const entry = load<u32>(at);
    const held = (entry & (L.E_PRESENT | L.E_BACKED)) != 0;
    atomic.store<u32>(at, (entry & L.E_DIRTY) | (held ? L.E_DIRTY : 0));
    if (held && (entry & L.E_DIRTY) == 0) noteDirty(space, gfn);
    if ((entry & L.E_PRESENT) == 0) continue;
    drop(entry);
    released++;
  }
  store<u32>(space, load<u32>(space, L.S_FRAMES) - released, L.S_FRAMES);
  if (released != 0) flush_space(space);
  endExclusive();
}

/**
 * Takes the frames of the guest frames whose numbers are the `count` words at `list`; how many there were.
 * They are dirty, as if zeros had been stored to them.
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
    const held = (entry & (L.E_PRESENT | L.E_BACKED)) != 0;
    atomic.store<u32>(at, (entry & (L.E_RAM | L.E_READONLY | L.E_DIRTY)) | (held ? L.E_DIRTY : 0));
    if (held && (entry & L.E_DIRTY) == 0) noteDirty(space, load<u32>(list + (n << 2)));
    if ((entry & L.E_PRESENT) == 0) continue;
    drop(entry);
    released++;
  }
  store<u32>(space, load<u32>(space, L.S_FRAMES) - released, L.S_FRAMES);
  if (released != 0) flush_space(space);
  endExclusive();
  return released;
}
