/**
 * Regions of compiled code that span pages: whether the guest maps the frames that a region was made from
 * (memory/arena-layout.ts, regionRecord).
 *
 * A region may be left and entered as long as no TLB flush came between: until then its mapping may be taken as it was
 * (AMD64 Architecture Programmer's Manual 2, "Translation-Lookaside Buffer"). So it is looked at once in a generation.
 */
import * as L from "../layout";
import { canonical } from "./faults";
import { frameOf } from "./frames";
import { jumpCacheEntry, noteCodePage } from "./generations";

// @ts-ignore: decorator
@inline const PHYSICAL_MASK: u64 = 0x000000fffffff000;
/** Present and accessed. */
// @ts-ignore: decorator
@inline const WALKED: u64 = 0x21;

/** Entries that are refused before the region is made anew from what is mapped by then. */
const PATIENCE: u32 = 256;
/** Entries of the block until then. */
const AFTERWARDS: u32 = 64;

/** The last `code_frame` found a global page. */
let foundGlobal: bool = false;

/** HPA of the frame that code at `va` runs from, told without a trace in its tables: 0 where fetching would fault or set an accessed bit. */
export function code_frame(vp: u32, va: u64): u32 {
  if (!canonical(va)) return 0;
  const user = (load<u32>(vp, L.MODE) & 3) == 0;
  const entry = vp + L.FETCH_TLB + (user ? 0 : L.TLB_BYTES) + ((<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4);
  if (load<u64>(entry) == (va & 0xfffffffffffff000)) {
    foundGlobal = (load<u32>(entry, 12) & 1) != 0;
    return load<u32>(entry, 8) + (<u32>va & 0xfffff000);
  }
  foundGlobal = false;
  const space = load<u32>(vp, L.SPACE);
  if ((load<u64>(vp, L.CR0) & 0x80000000) == 0) return frameOf(space, (va & 0xffffffff) >> 12, L.E_ACCESSED);
  let table = load<u64>(vp, L.CR3) & PHYSICAL_MASK;
  let userPage = true;
  for (let shift: u64 = 39; shift >= 12; shift -= 9) {
    const frame = frameOf(space, table >> 12, L.E_ACCESSED);
    if (frame == 0) return 0;
    const found = load<u64>(frame + ((<u32>(va >> shift) & 511) << 3));
    if ((found & WALKED) != WALKED || found >> 63 != 0) return 0;
    userPage = userPage && (found & 4) != 0;
    if (shift == 12 || ((found & 0x80) != 0 && shift <= 30)) {
      if (user != userPage) return 0;
      const within: u64 = (1 << shift) - 1;
      foundGlobal = (found & 0x100) != 0 && (load<u64>(vp, L.CR4) & 0x80) != 0;
      return frameOf(space, ((found & PHYSICAL_MASK & ~within) | (va & within)) >> 12, L.E_ACCESSED);
    }
    table = found & PHYSICAL_MASK;
  }
  return 0;
}

/** 1 where the region of `record` may run with its base page at `base`, else 0. */
export function verify_region(vp: u32, record: u32, base: u64): u32 {
  const count = load<u32>(record, L.R_COUNT);
  let global = true;
  for (let n: u32 = 0; n < count; n++) {
    const pair = record + L.R_PAGES + (n << 3);
    const va = base + (<u64>(<i64>load<i32>(pair)) << 12);
    if (code_frame(vp, va) != load<u32>(pair, 4)) return 0;
    global = global && foundGlobal;
    noteCodePage(vp, va);
  }
  store<u32>(record, vp, L.R_VP);
  store<u32>(record, global ? load<u32>(vp, L.GLOBAL_ASID) : load<u32>(vp, L.ASID), L.R_ASID);
  store<u64>(record, base, L.R_BASE);
  return 1;
}

/** Counts down the patience with the block at RIP, whose region is refused; then the block gets another one. */
export function region_refused(vp: u32, block: u32): void {
  const rip = load<u64>(vp, L.RIP);
  store<u32>(jumpCacheEntry(vp, rip), 0, L.J_EPOCH);
  const left = <u32>load<u16>(block, L.B_REFUSALS) + 1;
  store<u16>(block, <u16>left, L.B_REFUSALS);
  if (left < PATIENCE) return;
  store<u16>(block, 0, L.B_REFUSALS);
  store<u32>(block, 0, L.B_REGION);
  store<u32>(block, AFTERWARDS, L.B_COUNTER);
}

/**
 * Some regions are no more, or not the best at their entries: those that this vCPU runs next are found by their blocks. Law: it is
 * called for each vCPU before that one runs.
 */
export function forget_regions(vp: u32): void {
  const epoch = load<u32>(vp, L.REGION_EPOCH) + 1;
  store<u32>(vp, max(epoch, 1), L.REGION_EPOCH);
  // Numbers begin anew.
  if (epoch == 0) memory.fill(vp + L.JUMP_CACHE, 0, L.JUMP_CACHE_BYTES);
}

/** Notes where an indirect jump goes, in its slots (ir/ops.ts): the place moves to the front; the last one is forgotten. */
export function note_target(slots: u32, distance: i64): void {
  const target = <i32>distance;
  if (<i64>target != distance || target == 0) return;
  let carried = target;
  for (let n: u32 = 0; n < L.TARGET_SLOTS; n++) {
    const at = slots + (n << 2);
    const here = load<i32>(at);
    store<i32>(at, carried);
    if (here == target || here == 0) return;
    carried = here;
  }
}
