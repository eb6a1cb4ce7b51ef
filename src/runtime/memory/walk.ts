/**
 * The walk of the guest's page tables: AMD64 Architecture Programmer's Manual 2, "Page-Translation Mechanism"; 4-level long
 * mode, or no paging at all. Accessed and dirty bits are set as it passes.
 */
import * as L from "../layout";
import { raisePageFault } from "./faults";
import { frameOf } from "./frames";

/** What an access wants. */
export const READ: u32 = 0;
export const WRITE: u32 = 1;
/** Read and then write: checked as a write, and the bytes are there. */
export const MODIFY: u32 = 2;
export const FETCH: u32 = 3;

// @ts-ignore: decorator
@inline const ABSENT: u64 = 0xffffffffffffffff;
// @ts-ignore: decorator
@inline const PHYSICAL_MASK: u64 = 0x000000fffffff000;
/** Physical-address bits 40..51 must be zero: CPUID announces 40. */
// @ts-ignore: decorator
@inline const RESERVED: u64 = 0x000fff0000000000;

/** Page of the GPA that the last walk found. */
export let walkedGpa: u64 = 0;
/** Of the last walk: 1 global, 2 large, 4 writable, D being set. */
export let walkedFlags: u32 = 0;

/** Address of a page-table entry in the arena, or 0. */
function tableEntry(space: u32, table: u64, index: u64): u32 {
  const frame = frameOf(space, table >> 12, L.E_ACCESSED);
  return frame == 0 ? 0 : frame + (<u32>index << 3);
}

/** Sets bits of a page-table entry that was `entry`; false where it has changed meanwhile. */
function setBits(space: u32, table: u64, index: u64, entry: u64, bits: u64): bool {
  if ((entry & bits) == bits) return true;
  const frame = frameOf(space, table >> 12, L.E_ACCESSED | L.E_DIRTY);
  return frame != 0 && atomic.cmpxchg<u64>(frame + (<u32>index << 3), entry, entry | bits) == entry;
}

/**
 * Walks the guest's tables for `va`. `user`: the access counts as CPL 3. `mayTouchUser`: a supervisor may touch user pages.
 * Gives 1 with walkedGpa and walkedFlags, or 0 with the page fault raised.
 */
export function walk(vp: u32, va: u64, intent: u32, user: bool, mayTouchUser: bool): u32 {
  const cr0 = load<u64>(vp, L.CR0);
  if ((cr0 & 0x80000000) == 0) {
    walkedGpa = va & 0xfffff000;
    walkedFlags = 4;
    return 1;
  }
  const writing = intent == WRITE || intent == MODIFY;
  const cr4 = load<u64>(vp, L.CR4);
  const nxe = (load<u64>(vp, L.EFER) & 0x800) != 0;
  let code: u32 = (writing ? 2 : 0) | (user ? 4 : 0);
  if (intent == FETCH && (nxe || (cr4 & 0x100000) != 0)) code |= 16;
  const space = load<u32>(vp, L.SPACE);

  for (;;) {
    let table = load<u64>(vp, L.CR3) & PHYSICAL_MASK;
    let shift: u64 = 39;
    let writable = true;
    let userPage = true;
    let noExecute = false;
    let entry: u64 = 0;
    let index: u64 = 0;
    let again = false;
    for (;;) {
      index = (va >> shift) & 511;
      const at = tableEntry(space, table, index);
      entry = at == 0 ? ABSENT : load<u64>(at);
      if ((entry & 1) == 0) return raisePageFault(vp, va, code);
      if ((entry & RESERVED) != 0 || (!nxe && entry >> 63 != 0)) return raisePageFault(vp, va, code | 9);
      writable = writable && (entry & 2) != 0;
      userPage = userPage && (entry & 4) != 0;
      noExecute = noExecute || entry >> 63 != 0;
      const leaf = shift == 12 || ((entry & 0x80) != 0 && shift <= 30);
      if (shift == 39 && (entry & 0x80) != 0) return raisePageFault(vp, va, code | 9);
      if (leaf) break;
      // Paging-structure entries get their A bit as the walk passes.
      if (!setBits(space, table, index, entry, 0x20)) {
        again = true;
        break;
      }
      table = entry & PHYSICAL_MASK;
      shift -= 9;
    }
    if (again) continue;
    if (shift != 12 && (entry & ((1 << shift) - 1) & 0xffffe000) != 0) return raisePageFault(vp, va, code | 9);

    let allowed: bool;
    if (user) allowed = userPage && (!writing || writable);
    else {
      allowed = !writing || writable || (cr0 & 0x10000) == 0;
      if (userPage && intent != FETCH && !mayTouchUser) allowed = false;
      if (userPage && intent == FETCH && (cr4 & 0x100000) != 0) allowed = false;
    }
    if (intent == FETCH && noExecute) allowed = false;
    if (!allowed) return raisePageFault(vp, va, code | 1);

    if (!setBits(space, table, index, entry, writing ? 0x60 : 0x20)) continue;
    const within: u64 = (1 << shift) - 1;
    walkedGpa = (entry & PHYSICAL_MASK & ~within) | (va & within & 0xfffffffffffff000);
    walkedFlags = ((entry & 0x100) != 0 && (cr4 & 0x80) != 0 ? 1 : 0) | (shift != 12 ? 2 : 0) | (writing ? 4 : 0);
    return 1;
  }
}
