/** What a snapshot has to know of pages, found for many at a time. */
import * as L from "../layout";
import { is_zero, xxh64 } from "../pages";
import { entryOf } from "./frames";

/**
 * Writes a record of three words at `list` for each guest frame in [gfn, end) that may hold anything but zeros, until there are `room`: its
 * number; its frame, or 0 where only its object has it; the low word of the bytes' XXH64. The word after the records is the guest frame to go
 * on from. Gives the number of records.
 */
export function survey_pages(space: u32, gfn: u32, end: u32, list: u32, room: u32): u32 {
  let count: u32 = 0;
  let at = list;
  while (gfn < end && count < room) {
    const place = entryOf(space, gfn);
    if (place == 0) {
      // No memslot is near: on to the next table.
      gfn = (gfn | 1023) + 1;
      continue;
    }
    const entry = load<u32>(place);
    const frame = (entry & L.E_PRESENT) != 0 ? entry & 0xfffff000 : 0;
    if (frame != 0 ? is_zero(frame) == 0 : (entry & L.E_BACKED) != 0) {
      store<u32>(at, gfn);
      store<u32>(at, frame, 4);
      store<u32>(at, frame != 0 ? <u32>xxh64(frame, 4096) : 0, 8);
      at += 12;
      count++;
    }
    gfn++;
  }
  store<u32>(at, gfn);
  return count;
}
