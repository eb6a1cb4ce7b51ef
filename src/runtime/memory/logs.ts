/**
 * Dirty and accessed logs: which pages were stored to, or used, since they were last asked for.
 *
 * E_DIRTY and E_ACCESSED are the log. Laws: a write entry of a TLB exists only for a page with E_DIRTY, an entry of any kind only for one
 * with E_ACCESSED. A harvest clears the flags first and empties the TLBs then: a store in between, through an entry that is still
 * there, is to a page that was harvested. So nothing is missed by whoever reads the harvested pages after the harvest.
 *
 * Where there is a ring, pages are written down in it as they become dirty, so that a harvest takes as long as there are dirty pages.
 * Too many for the ring: the flags still have them all.
 */
import * as L from "../layout";
import { beginExclusive, endExclusive } from "./exclusive";
import { entryOf, tableAt, tablesIn } from "./frames";
import { forget_writes, tlb_flush_all } from "./tlb";

/** A page has become dirty. */
export function noteDirty(space: u32, gfn: u32): void {
  const ring = load<u32>(space, L.S_DIRTY_RING);
  if (ring == 0) return;
  const place = atomic.add<u32>(space + L.S_DIRTY_COUNT, 1);
  if (place < load<u32>(space, L.S_DIRTY_ROOM)) store<u32>(ring + (place << 2), gfn);
}

/** The vCPUs of the address space forget what keeps them from noting these flags. Requires: exclusive. */
function emptyTlbs(space: u32, flags: u32): void {
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) {
    const vp = load<u32>(L.PROCESS + (n << 2), L.P_VCPUS);
    if (load<u32>(vp, L.SPACE) != space) continue;
    if ((flags & L.E_ACCESSED) != 0) tlb_flush_all(vp);
    else forget_writes(vp);
  }
}

/**
 * Sets the bit of each page that has any of `flags` in the bitmap (u32 words by guest frame number), and clears these flags; how
 * many there were. Bits of the bitmap that are set stay.
 */
export function harvest_flags(space: u32, flags: u32, bitmap: u32): u32 {
  let count: u32 = 0;
  const end = tablesIn(space);
  for (let n: u32 = 0; n < end; n++) {
    const second = tableAt(space, n);
    if (second != 0) count += harvestTable(second, flags, bitmap + (n << 7));
  }
  if (count == 0) return 0;
  beginExclusive();
  emptyTlbs(space, flags);
  endExclusive();
  return count;
}

/** Of 1024 entries, to 32 words. */
function harvestTable(second: u32, flags: u32, bitmap: u32): u32 {
  let count: u32 = 0;
  for (let word: u32 = 0; word < 32; word++) {
    let bits: u32 = 0;
    for (let n: u32 = 0; n < 32; n++) {
      const at = second + (word << 7) + (n << 2);
      if ((load<u32>(at) & flags) == 0) continue;
      atomic.and<u32>(at, ~flags);
      bits |= 1 << n;
    }
    if (bits == 0) continue;
    store<u32>(bitmap + (word << 2), load<u32>(bitmap + (word << 2)) | bits);
    count += popcnt(bits);
  }
  return count;
}

/** `harvest_ring`: there were more than it has room for. */
const OVERFLOW: u32 = 0xffffffff;

/**
 * Moves the dirty ring's pages to the words at `list`, each once and in the order of their first stores; how many there were. All ones
 * where they were too many: then they are still to be harvested by their flags.
 */
export function harvest_ring(space: u32, list: u32): u32 {
  if (load<u32>(space, L.S_DIRTY_COUNT) == 0) return 0;
  // Others are in the middle of noting pages otherwise.
  beginExclusive();
  const noted = load<u32>(space, L.S_DIRTY_COUNT);
  store<u32>(space, 0, L.S_DIRTY_COUNT);
  let count: u32 = 0;
  if (noted > load<u32>(space, L.S_DIRTY_ROOM)) count = OVERFLOW;
  else {
    count = takeRing(space, noted, list);
    if (count != 0) emptyTlbs(space, L.E_DIRTY);
  }
  endExclusive();
  return count;
}

/** A page that was noted and then harvested by its flag is in the ring and not dirty. */
function takeRing(space: u32, noted: u32, list: u32): u32 {
  const ring = load<u32>(space, L.S_DIRTY_RING);
  let count: u32 = 0;
  for (let n: u32 = 0; n < noted; n++) {
    const gfn = load<u32>(ring + (n << 2));
    const at = entryOf(space, gfn);
    if (at == 0 || (load<u32>(at) & L.E_DIRTY) == 0) continue;
    atomic.and<u32>(at, ~L.E_DIRTY);
    store<u32>(list + (count << 2), gfn);
    count++;
  }
  return count;
}
