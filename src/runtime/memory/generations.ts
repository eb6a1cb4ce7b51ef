/**
 * Generations: under which translations of code addresses were found, so that all of them can be forgotten at once.
 *
 * What remembers where code at an address lies (the jump cache, blocks, regions over several pages) notes ASID with it, or GLOBAL_ASID where
 * the guest's pages are global. Law: it holds as long as the vCPU's present ASID or GLOBAL_ASID is that number; ASIDs are odd
 * and never given twice, global ones even.
 *
 * With CR4.PCIDE the guest keeps translations of other process contexts (SDM 3A, "Process-Context Identifiers"): the ASIDs of those
 * left last wait in CONTEXT_ASID, and one that is entered again without a flush goes on under its own. The TLBs themselves have
 * no tags, and hold what is global or of the present context.
 */
import * as L from "../layout";

const CONTEXTS: u32 = 8;
/** Odd generations are used up. */
const LAST: u32 = 0xffffffff;

function slotOf(vp: u32, pcid: u32): u32 {
  for (let n: u32 = 0; n < CONTEXTS; n++) {
    const slot = vp + (n << 2);
    if (load<u32>(slot, L.CONTEXT_ASID) != 0 && load<u32>(slot, L.CONTEXT_PCID) == pcid) return slot;
  }
  return 0;
}

/** The one entry of the jump cache that may say where code at `rip` lies. */
export function jumpCacheEntry(vp: u32, rip: u64): u32 {
  return vp + L.JUMP_CACHE + ((<u32>(rip ^ (rip >> 12)) & (L.JUMP_CACHE_ENTRIES - 1)) << L.JUMP_CACHE_ENTRY_LOG2);
}

/** All non-global translations of the present context are stale. */
export function newGeneration(vp: u32): void {
  const asid = load<u32>(vp, L.LAST_ASID) + 2;
  store<u32>(vp, asid, L.LAST_ASID);
  store<u32>(vp, asid, L.ASID);
  if (asid != LAST) return;
  // Numbers begin anew, and whatever was noted under one is forgotten: at once, or, with all translated code, before any of it runs.
  memory.fill(vp + L.JUMP_CACHE, 0, L.JUMP_CACHE_BYTES);
  memory.fill(vp + L.WALK_CACHE, 0, L.WALK_CACHE_ENTRIES << 5);
  memory.fill(vp + L.CONTEXT_ASID, 0, CONTEXTS * 4);
  store<u32>(vp, L.FORGET_ENTRIES + 1, L.FORGET_COUNT);
  atomic.or<u32>(vp + L.EVENTS, L.EVENT_PARK);
  store<u32>(vp, 1, L.LAST_ASID);
  store<u32>(vp, 1, L.ASID);
}

/** All translations are stale, global ones and those of other contexts too. */
export function newGlobalGeneration(vp: u32): void {
  newGeneration(vp);
  store<u32>(vp, load<u32>(vp, L.GLOBAL_ASID) + 2, L.GLOBAL_ASID);
  forgetContexts(vp);
  memory.fill(vp + L.CODE_FILTER, 0, L.CODE_FILTER_BITS >> 3);
}

/** The present context's PCID changes from `left` to `pcid`; `keep`: with the translations that it had, if they are known. */
export function enterContext(vp: u32, left: u32, pcid: u32, keep: bool): void {
  let slot = slotOf(vp, left);
  if (slot == 0) {
    const next = load<u32>(vp, L.CONTEXT_NEXT) & (CONTEXTS - 1);
    store<u32>(vp, next + 1, L.CONTEXT_NEXT);
    slot = vp + (next << 2);
    store<u32>(slot, left, L.CONTEXT_PCID);
  }
  store<u32>(slot, load<u32>(vp, L.ASID), L.CONTEXT_ASID);
  const entered = slotOf(vp, pcid);
  if (keep && entered != 0) store<u32>(vp, load<u32>(entered, L.CONTEXT_ASID), L.ASID);
  else newGeneration(vp);
}

/** Forgets what was kept of a context that is not the present one. */
export function forgetContext(vp: u32, pcid: u32): void {
  const slot = slotOf(vp, pcid);
  if (slot != 0) store<u32>(slot, 0, L.CONTEXT_ASID);
}

export function forgetContexts(vp: u32): void {
  memory.fill(vp + L.CONTEXT_ASID, 0, CONTEXTS * 4);
}

// Which pages code was looked for in: INVLPG is mostly for pages of data, of which nothing was noted here.

function filterBit(va: u64): u32 {
  return (<u32>(va >> 12) * 0x9e3779b1) >> (32 - L.CODE_FILTER_LOG2);
}

/** Something notes where the code of this page lies. */
export function noteCodePage(vp: u32, va: u64): void {
  const bit = filterBit(va);
  const at = vp + L.CODE_FILTER + (bit >> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) | (1 << (bit & 7))));
}

/** The translation of this page is stale. */
export function forgetCodePage(vp: u32, va: u64): void {
  const bit = filterBit(va);
  if ((<u32>load<u8>(vp + L.CODE_FILTER + (bit >> 3)) & (1 << (bit & 7))) != 0) newGlobalGeneration(vp);
}
