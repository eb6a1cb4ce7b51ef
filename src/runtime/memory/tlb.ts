/**
 * The TLBs of a vCPU, and filling them.
 *
 * Law (the second of the design): what memory management wants to see is kept out of the TLB. A write entry exists only for a
 * present, writable frame without translated code whose guest D bit is set; a read entry only for a present frame.
 *
 * Entry: u64 tag (the page's GVA; all ones, or 0 in the last entry, = empty), u32 addend, u32 flags (1 global, 2 large). The addend
 * turns the low 32 bits of a GVA of the page into its HPA, so that an access adds once what it has at hand.
 */
import * as L from "../layout";
import { canonical, raise, raiseNonCanonical } from "./faults";
import { othersHold, severalThreads } from "./exclusive";
import { frameOf, frameRecord, readOnly } from "./frames";
import { isAway } from "./away";
import { copiesCode } from "./share";
import { FETCH, forgetWalks, MODIFY, WRITE, walk, walkedFlags, walkedGpa } from "./walk";
import { access } from "./access";
import { noteWriter } from "./blocks";
import { enterContext, forgetCodePage, newGeneration, newGlobalGeneration } from "./generations";
import { watchesPage } from "../system/breakpoints";

// @ts-ignore: decorator
@inline const EMPTY: u64 = 0xffffffffffffffff;

/** Address of the entry for `va` in a TLB of the given mode. */
export function entryAddress(vp: u32, mode: u32, write: bool, va: u64): u32 {
  return vp + L.TLB + (mode * 2 + (write ? 1 : 0)) * L.TLB_BYTES + ((<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4);
}

function fill(vp: u32, entry: u32, va: u64, frame: u32, largeFilter: u32): void {
  store<u64>(entry, va & 0xfffffffffffff000);
  store<u32>(entry, frame - (<u32>va & 0xfffff000), 8);
  store<u32>(entry, walkedFlags & 3, 12);
  if ((walkedFlags & 2) != 0) noteLarge(vp + largeFilter, va);
  if ((walkedFlags & 1) == 0) {
    const count = load<u32>(vp, L.FILL_COUNT);
    if (count < L.FILL_LOG_ENTRIES) store<u32>(vp + L.FILL_LOG + (count << 2), entry - vp);
    store<u32>(vp, count + 1, L.FILL_COUNT);
  }
}

/** Remembers that some TLB entry may come from the large page around `va` (one bit for each of 2048 hashes). */
function noteLarge(filter: u32, va: u64): void {
  const hash = <u32>(va >> 21) & 2047;
  const at = filter + (hash >> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) | (1 << (hash & 7))));
}
function mayBeLarge(filter: u32, va: u64): bool {
  const hash = <u32>(va >> 21) & 2047;
  return (<u32>load<u8>(filter + (hash >> 3)) & (1 << (hash & 7))) != 0;
}

/** Whether some entry is part of a large page, and in the same 2 MiB as `va`. */
function holdsLarge(vp: u32, va: u64): bool {
  const from = (<u32>(va >> 12) & (L.TLB_ENTRIES - 1) & ~511) << 4;
  for (let n: u32 = 0; n < 8; n++) {
    let at = vp + L.TLB + n * L.TLB_BYTES + from;
    for (const end = at + 512 * L.TLB_ENTRY_BYTES; at < end; at += L.TLB_ENTRY_BYTES)
      if ((load<u64>(at) ^ va) >> 21 == 0 && (load<u32>(at, 12) & 2) != 0) return true;
  }
  return false;
}

function emptyTlb(at: u32): void {
  memory.fill(at, 0xff, L.TLB_BYTES);
  // All ones would match the last page of the address space, which lives in the last entry: there, 0 is the impossible tag.
  store<u64>(at + (L.TLB_ENTRIES - 1) * L.TLB_ENTRY_BYTES, 0);
}

/** Accesses of compiled loops forget what they knew of their pages. */
export function forgetPages(vp: u32): void {
  for (let tlb: u32 = 0; tlb < 6; tlb++) {
    const maskAt = vp + L.KNOWN_PAGE_MASKS + (tlb << 2);
    let mask = load<u32>(maskAt);
    if (mask == 0) continue;
    store<u32>(maskAt, 0);
    for (; mask != 0; mask &= mask - 1) {
      const known = vp + (tlb * L.KNOWN_PAGE_SLOTS + ctz(mask)) * L.KNOWN_PAGE_BYTES;
      store<u64>(known, 0, L.KNOWN_PAGES + 8);
    }
  }
}

/** Forgets everything, global pages too. */
export function tlb_flush_all(vp: u32): void {
  for (let n: u32 = 0; n < 8; n++) emptyTlb(vp + L.TLB + n * L.TLB_BYTES);
  // In a new vCPU nothing is empty that is zero.
  memory.fill(vp + L.KNOWN_PAGE_MASKS, 0xff, 24);
  forgetPages(vp);
  memory.fill(vp + L.LARGE_FILTER, 0, 512);
  store<u32>(vp, 0, L.FILL_COUNT);
  newGlobalGeneration(vp);
  store<u64>(vp, load<u64>(vp, L.TLB_FLUSHES) + 1, L.TLB_FLUSHES);
}

/** Forgets what may be written to: the next store to each page is looked at. */
export function forget_writes(vp: u32): void {
  forgetPages(vp);
  for (let mode: u32 = 0; mode < 3; mode++) emptyTlb(vp + L.TLB + (mode * 2 + 1) * L.TLB_BYTES);
}

export function emptyEntry(at: u32, vp: u32): void {
  const index = ((at - vp - L.TLB) >> 4) & (L.TLB_ENTRIES - 1);
  store<u64>(at, index == L.TLB_ENTRIES - 1 ? 0 : EMPTY);
}

/** Empties all TLBs but for global translations. */
function emptyContext(vp: u32): void {
  forgetPages(vp);
  const count = load<u32>(vp, L.FILL_COUNT);
  store<u32>(vp, 0, L.FILL_COUNT);
  store<u64>(vp, load<u64>(vp, L.TLB_FLUSHES) + 1, L.TLB_FLUSHES);
  if (count > L.FILL_LOG_ENTRIES) {
    // More than were written down.
    const end = vp + L.TLB + 8 * L.TLB_BYTES;
    for (let at = vp + L.TLB; at < end; at += L.TLB_ENTRY_BYTES) if ((load<u32>(at, 12) & 1) == 0) emptyEntry(at, vp);
    return;
  }
  for (let n: u32 = 0; n < count; n++) emptyEntry(vp + load<u32>(vp + L.FILL_LOG + (n << 2)), vp);
}

/** Forgets all translations of the present context but global ones. */
export function tlb_flush(vp: u32): void {
  emptyContext(vp);
  newGeneration(vp);
}

/** The present context's PCID changes; `keep`: translations of the new one may be used again. Global ones stay. */
export function tlb_switch(vp: u32, left: u32, pcid: u32, keep: bool): void {
  emptyContext(vp);
  enterContext(vp, left, pcid, keep);
}

/** Forgets the page of `va`, global or not (INVLPG); a large page as a whole. */
export function tlb_flush_page(vp: u32, va: u64): void {
  forgetWalks(vp);
  // What is known of code in large pages is not found again page by page.
  if (mayBeLarge(vp + L.LARGE_CODE_FILTER, va) || (mayBeLarge(vp + L.LARGE_FILTER, va) && holdsLarge(vp, va))) return tlb_flush_all(vp);
  forgetPages(vp);
  const index = (<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4;
  for (let n: u32 = 0; n < 8; n++) emptyEntry(vp + L.TLB + n * L.TLB_BYTES + index, vp);
  forgetCodePage(vp, va);
}

/** The frame that the last `fillFor` found and refused to enter only because some of it is translated code; or 0. */
export let codeFrame: u32 = 0;

/**
 * Fills the TLB for an access of translated code in the TLB mode given, and gives the HPA of the page; 0 where no entry can serve:
 * then LEAVE tells a fault, or is 0 for MMIO, ROM, pages with code and those whose code others run.
 */
export function fillFor(vp: u32, va: u64, intent: u32, mode: u32): u32 {
  store<u64>(vp, load<u64>(vp, L.TLB_MISSES) + 1, L.TLB_MISSES);
  codeFrame = 0;
  if (!canonical(va)) return raiseNonCanonical(vp);
  if (walk(vp, va, intent, mode == 0, mode == 2) == 0) return 0;
  const space = load<u32>(vp, L.SPACE);
  const gfn = walkedGpa >> 12;
  const writing = intent == WRITE || intent == MODIFY;
  if (writing && copiesCode(space, gfn)) return 0;
  if (isAway(vp, gfn)) return 0;
  const frame = frameOf(space, gfn, writing ? L.E_ACCESSED | L.E_DIRTY : L.E_ACCESSED);
  if (frame == 0) return 0;
  if ((writing && readOnly(space, gfn)) || watchesPage(vp, va)) return 0;
  if (writing && (load<u32>(frameRecord(frame), L.F_BLOCKS) != 0 || othersHold(frame))) {
    // Where several threads run, a store must be one that `commit` makes: another one may begin to translate what it changes.
    if (!severalThreads()) codeFrame = frame;
    return 0;
  }
  const entry = entryAddress(vp, mode, writing, va);
  if (writing) noteWriter(frame, ((entry - vp - L.TLB) >> 4) + 1);
  fill(vp, entry, va, frame, L.LARGE_FILTER);
  return frame;
}

/** HPA of the code byte at linear address `va`, by the fetch TLB; 0 with the fault raised, or LEAVE 0 where it is no RAM. */
export function fetch(vp: u32, va: u64): u32 {
  const user = (load<u32>(vp, L.MODE) & 3) == 0;
  const entry = vp + L.FETCH_TLB + (user ? 0 : L.TLB_BYTES) + ((<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4);
  store<u32>(vp, 0, L.LEAVE);
  if (load<u64>(entry) == (va & 0xfffffffffffff000)) return load<u32>(entry, 8) + <u32>va;
  if (!canonical(va)) {
    raise(vp, 13, 0);
    return 0;
  }
  if (walk(vp, va, FETCH, user, false) == 0) return 0;
  if (isAway(vp, walkedGpa >> 12)) return 0;
  const frame = frameOf(load<u32>(vp, L.SPACE), walkedGpa >> 12, L.E_ACCESSED);
  if (frame == 0) return 0;
  fill(vp, entry, va, frame, L.LARGE_CODE_FILTER);
  return frame + (<u32>va & 4095);
}
