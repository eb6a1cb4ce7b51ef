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
 * Where the walk of a region of 2 MiB ends or goes on (SDM 3A, "Paging-Structure Caches"; APM 2 "Page-Directory Caching"): the large page, or
 * the page table, and what the levels above allow. One entry for each hash of a region:
 *
 *   u32 region (va >> 21, 27 bits), u32 ASID, u32 WALK_GENERATION, u32 flags, u64 GPA of the page or the table
 *
 * Laws: it holds as long as the vCPU's ASID and WALK_GENERATION are those numbers, so whatever empties TLBs of the context, and every
 * INVLPG, ends it. No fault is raised by what it says: then all levels are walked.
 */
// @ts-ignore: decorator
@inline const WRITABLE: u32 = 1;
// @ts-ignore: decorator
@inline const USER: u32 = 2;
// @ts-ignore: decorator
@inline const NO_EXECUTE: u32 = 4;
// @ts-ignore: decorator
@inline const LARGE: u32 = 8;
// @ts-ignore: decorator
@inline const GLOBAL: u32 = 16;
/** Of a large page: its D bit is set. */
// @ts-ignore: decorator
@inline const DIRTY: u32 = 32;

// @ts-ignore: decorator
@inline function regionOf(va: u64): u32 {
  return <u32>(va >> 21) & 0x7ffffff;
}

// @ts-ignore: decorator
@inline function cachedAt(vp: u32, va: u64): u32 {
  return vp + L.WALK_CACHE + ((<u32>(va >> 21) & (L.WALK_CACHE_ENTRIES - 1)) << 5);
}

// @ts-ignore: decorator
@inline function isCached(vp: u32, va: u64, at: u32): bool {
  return load<u32>(at) == regionOf(va) && load<u32>(at, 4) == load<u32>(vp, L.ASID) && load<u32>(at, 8) == load<u32>(vp, L.WALK_GENERATION);
}

function remember(vp: u32, va: u64, flags: u32, gpa: u64): void {
  const at = cachedAt(vp, va);
  store<u32>(at, regionOf(va));
  store<u32>(at, load<u32>(vp, L.ASID), 4);
  store<u32>(at, load<u32>(vp, L.WALK_GENERATION), 8);
  store<u32>(at, flags, 12);
  store<u64>(at, gpa, 16);
}

/** INVLPG: what is known of any region of the present context is stale. */
export function forgetWalks(vp: u32): void {
  const generation = load<u32>(vp, L.WALK_GENERATION) + 1;
  store<u32>(vp, generation, L.WALK_GENERATION);
  // Numbers begin anew.
  if (generation == 0) memory.fill(vp + L.WALK_CACHE, 0, L.WALK_CACHE_ENTRIES << 5);
}

/** Whether what the levels say together allows the access. */
function allows(vp: u32, rights: u32, intent: u32, user: bool, mayTouchUser: bool): bool {
  const writing = intent == WRITE || intent == MODIFY;
  if (intent == FETCH && (rights & NO_EXECUTE) != 0) return false;
  if (user) return (rights & USER) != 0 && (!writing || (rights & WRITABLE) != 0);
  if (writing && (rights & WRITABLE) == 0 && (load<u64>(vp, L.CR0) & 0x10000) != 0) return false;
  if ((rights & USER) == 0) return true;
  return intent == FETCH ? (load<u64>(vp, L.CR4) & 0x100000) == 0 : mayTouchUser;
}

/**
 * Walks the guest's tables for `va`. `user`: the access counts as CPL 3. `mayTouchUser`: a supervisor may touch user pages.
 * Gives 1 with walkedGpa and walkedFlags, or 0 with the page fault raised.
 */
export function walk(vp: u32, va: u64, intent: u32, user: bool, mayTouchUser: bool): u32 {
  if ((load<u64>(vp, L.CR0) & 0x80000000) == 0) {
    walkedGpa = va & 0xfffff000;
    walkedFlags = 4;
    return 1;
  }
  const writing = intent == WRITE || intent == MODIFY;
  const at = cachedAt(vp, va);
  if (isCached(vp, va, at)) {
    const flags = load<u32>(at, 12);
    const gpa = load<u64>(at, 16);
    if ((flags & LARGE) != 0) {
      if ((!writing || (flags & DIRTY) != 0) && allows(vp, flags, intent, user, mayTouchUser)) {
        walkedGpa = gpa | (va & 0x1ff000);
        walkedFlags = ((flags & GLOBAL) != 0 ? 1 : 0) | 2 | (writing ? 4 : 0);
        return 1;
      }
    } else if (walkTable(vp, va, intent, user, mayTouchUser, gpa, flags)) return 1;
  }
  return walkAll(vp, va, intent, user, mayTouchUser);
}

/** The walk's last step, from a page table on that is known; false where all levels have to be walked. */
function walkTable(vp: u32, va: u64, intent: u32, user: bool, mayTouchUser: bool, table: u64, above: u32): bool {
  const space = load<u32>(vp, L.SPACE);
  const index = (va >> 12) & 511;
  const at = tableEntry(space, table, index);
  if (at == 0) return false;
  const entry = load<u64>(at);
  const nxe = (load<u64>(vp, L.EFER) & 0x800) != 0;
  if ((entry & 1) == 0 || (entry & RESERVED) != 0 || (!nxe && entry >> 63 != 0)) return false;
  const writing = intent == WRITE || intent == MODIFY;
  if (!allows(vp, combined(above, entry), intent, user, mayTouchUser)) return false;
  if (!setBits(space, table, index, entry, writing ? 0x60 : 0x20)) return false;
  walkedGpa = entry & PHYSICAL_MASK;
  walkedFlags = ((entry & 0x100) != 0 && (load<u64>(vp, L.CR4) & 0x80) != 0 ? 1 : 0) | (writing ? 4 : 0);
  return true;
}

/** What the levels above and this entry allow together. */
function combined(above: u32, entry: u64): u32 {
  return (above & (<u32>(entry >> 1) & (WRITABLE | USER))) | (above & NO_EXECUTE) | (<u32>(entry >> 63) << 2);
}

function walkAll(vp: u32, va: u64, intent: u32, user: bool, mayTouchUser: bool): u32 {
  store<u64>(vp, load<u64>(vp, L.WALKS) + 1, L.WALKS);
  const writing = intent == WRITE || intent == MODIFY;
  const cr4 = load<u64>(vp, L.CR4);
  const nxe = (load<u64>(vp, L.EFER) & 0x800) != 0;
  let code: u32 = (writing ? 2 : 0) | (user ? 4 : 0);
  if (intent == FETCH && (nxe || (cr4 & 0x100000) != 0)) code |= 16;
  const space = load<u32>(vp, L.SPACE);

  for (;;) {
    let table = load<u64>(vp, L.CR3) & PHYSICAL_MASK;
    let shift: u64 = 39;
    let rights: u32 = WRITABLE | USER;
    let entry: u64 = 0;
    let index: u64 = 0;
    let again = false;
    for (;;) {
      index = (va >> shift) & 511;
      const at = tableEntry(space, table, index);
      entry = at == 0 ? ABSENT : load<u64>(at);
      if ((entry & 1) == 0) return raisePageFault(vp, va, code);
      if ((entry & RESERVED) != 0 || (!nxe && entry >> 63 != 0)) return raisePageFault(vp, va, code | 9);
      rights = combined(rights, entry);
      const leaf = shift == 12 || ((entry & 0x80) != 0 && shift <= 30);
      if (shift == 39 && (entry & 0x80) != 0) return raisePageFault(vp, va, code | 9);
      if (leaf) break;
      // Paging-structure entries get their A bit as the walk passes.
      if (!setBits(space, table, index, entry, 0x20)) {
        again = true;
        break;
      }
      table = entry & PHYSICAL_MASK;
      if (shift == 21) remember(vp, va, rights, table);
      shift -= 9;
    }
    if (again) continue;
    if (shift != 12 && (entry & ((1 << shift) - 1) & 0xffffe000) != 0) return raisePageFault(vp, va, code | 9);
    if (!allows(vp, rights, intent, user, mayTouchUser)) return raisePageFault(vp, va, code | 1);

    const bits: u64 = writing ? 0x60 : 0x20;
    if (!setBits(space, table, index, entry, bits)) continue;
    const within: u64 = (1 << shift) - 1;
    const global: u32 = (entry & 0x100) != 0 && (cr4 & 0x80) != 0 ? 1 : 0;
    walkedGpa = (entry & PHYSICAL_MASK & ~within) | (va & within & 0xfffffffffffff000);
    walkedFlags = global | (shift != 12 ? 2 : 0) | (writing ? 4 : 0);
    if (shift != 12) {
      const dirty = ((entry | bits) & 0x40) != 0 ? DIRTY : 0;
      remember(vp, va, rights | LARGE | (global != 0 ? GLOBAL : 0) | dirty, walkedGpa & ~0x1fffff);
    }
    return 1;
  }
}
