/**
 * How long ago each page was used (memory/page-ages.ts): one pass over all entries of an address space, which are as many as it has
 * pages, once a second.
 */
import * as L from "../layout";
import { is_zero } from "../pages";
import { beginExclusive, endExclusive } from "./exclusive";
import { tableAt, tablesIn } from "./frames";
import { flush_space } from "./share";

const OLDEST: u32 = 255;
/** Counts by age, 256 words each: pages that were used again, and after them pages that have a frame. */
const HELD: u32 = 4 * 256;

// @ts-ignore: decorator
@inline function bump(at: u32): void {
  store<u32>(at, load<u32>(at) + 1);
}

/**
 * Takes E_ACCESSED from all entries. `ages`, a byte for each guest frame: 0 for pages that had it and for what is no page, `step` more than
 * before for others. Counts to the 512 words at `counts`, which are zeros before. Then no TLB has what would keep a page
 * from being noted again, as after `harvest_flags`.
 */
export function age_pages(space: u32, ages: u32, step: u32, counts: u32): void {
  const end = tablesIn(space);
  let used = false;
  for (let n: u32 = 0; n < end; n++) {
    const second = tableAt(space, n);
    if (second != 0 && ageTable(second, ages + (n << 10), step, counts)) used = true;
  }
  if (!used) return;
  beginExclusive();
  flush_space(space);
  endExclusive();
}

/** Of 1024 entries; whether any was used. */
function ageTable(second: u32, ages: u32, step: u32, counts: u32): bool {
  let used = false;
  for (let n: u32 = 0; n < 1024; n++) {
    const at = second + (n << 2);
    const entry = load<u32>(at);
    if ((entry & (L.E_PRESENT | L.E_BACKED)) == 0) {
      store<u8>(ages + n, 0);
      continue;
    }
    let age: u32 = load<u8>(ages + n);
    if ((entry & L.E_ACCESSED) != 0) {
      atomic.and<u32>(at, ~L.E_ACCESSED);
      bump(counts + (age << 2));
      used = true;
      age = 0;
    } else age = min(age + step, OLDEST);
    store<u8>(ages + n, <u8>age);
    if ((entry & L.E_PRESENT) != 0) bump(counts + HELD + (age << 2));
  }
  return used;
}

/**
 * Writes the numbers of pages that have a frame of their own and are at least `least` old to `list`, those from `gfn` on, until there are
 * `room`; `unused`: nobody has used them since the last scan. After the last one comes the guest frame to go on from. How many.
 */
export function list_aged(space: u32, ages: u32, gfn: u32, least: u32, unused: u32, list: u32, room: u32): u32 {
  const end = load<u32>(space, L.S_GFN_END);
  const wrong = L.E_COW | (unused != 0 ? L.E_ACCESSED : 0);
  let count: u32 = 0;
  while (gfn < end && count < room) {
    const second = tableAt(space, gfn >> 10);
    if (second == 0) {
      gfn = (gfn | 1023) + 1;
      continue;
    }
    const entry = load<u32>(second + ((gfn & 1023) << 2));
    if ((entry & (L.E_PRESENT | L.E_RAM | wrong)) == (L.E_PRESENT | L.E_RAM) && <u32>load<u8>(ages + gfn) >= least) {
      store<u32>(list + (count << 2), gfn);
      count++;
    }
    gfn++;
  }
  store<u32>(list + (count << 2), gfn);
  return count;
}

/** To the words at `list`: how many pages have a frame of their own; one that others use, too; no frame, but an object that has them. */
export function count_pages(space: u32, list: u32): void {
  let own: u32 = 0;
  let shared: u32 = 0;
  let stored: u32 = 0;
  const end = tablesIn(space);
  for (let n: u32 = 0; n < end; n++) {
    const second = tableAt(space, n);
    if (second == 0) continue;
    for (let at = second; at < second + 4096; at += 4) {
      const entry = load<u32>(at);
      if ((entry & L.E_PRESENT) == 0) stored += (entry & L.E_BACKED) != 0 ? 1 : 0;
      else if ((entry & L.E_COW) != 0) shared++;
      else own++;
    }
  }
  store<u32>(list, own);
  store<u32>(list, shared, 4);
  store<u32>(list, stored, 8);
}

/** How many frames of the address space hold nothing but zeros: looks at all of them. */
export function count_zeros(space: u32): u32 {
  let count: u32 = 0;
  const end = tablesIn(space);
  for (let n: u32 = 0; n < end; n++) {
    const second = tableAt(space, n);
    if (second == 0) continue;
    for (let at = second; at < second + 4096; at += 4) {
      const entry = load<u32>(at);
      if ((entry & L.E_PRESENT) != 0) count += is_zero(entry & 0xfffff000);
    }
  }
  return count;
}
