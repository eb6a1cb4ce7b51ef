/**
 * Breakpoints of DR0 to DR7 (SDM 3B, "Debug Registers").
 *
 * While one is armed, every instruction runs alone. A page with a data breakpoint is kept out of the TLBs, so that each
 * access comes by `noteAccess`; the trap follows the instruction. Breakpoints on ports are never met.
 */
import * as L from "../layout";
import { tlb_flush_all } from "../memory";
import { postEvent } from "./state";

/** DEBUG_ARMED. */
const ON_FETCH: u32 = 1;
const ON_ACCESS: u32 = 2;

const R_EXECUTE: u32 = 0;
const R_WRITE: u32 = 1;
const R_ACCESS: u32 = 3;

function enabled(dr7: u32, n: u32): bool {
  return ((dr7 >> (n << 1)) & 3) != 0;
}
function kind(dr7: u32, n: u32): u32 {
  return (dr7 >> (16 + (n << 2))) & 3;
}
/** Bytes watched: 1, 2, 8, 4 by the encoding. */
function length(dr7: u32, n: u32): u64 {
  const code = (dr7 >> (18 + (n << 2))) & 3;
  return code == 2 ? 8 : code + 1;
}
function address(vp: u32, n: u32): u64 {
  return load<u64>(vp + L.DR + (n << 3));
}
function control(vp: u32): u32 {
  return <u32>load<u64>(vp + L.DR + 56);
}

/** After a debug register was written: what is armed now. */
export function armBreakpoints(vp: u32): void {
  const dr7 = control(vp);
  const before = load<u32>(vp, L.DEBUG_ARMED);
  let armed: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    if (!enabled(dr7, n)) continue;
    const r = kind(dr7, n);
    if (r == R_EXECUTE) armed |= ON_FETCH;
    else if (r == R_WRITE || r == R_ACCESS) armed |= ON_ACCESS;
  }
  store<u32>(vp, armed, L.DEBUG_ARMED);
  if (((before | armed) & ON_ACCESS) != 0) tlb_flush_all(vp);
  if (armed == 0) return;
  store<u32>(vp, 0, L.RESUME);
  postEvent(vp, L.EVENT_DEBUG);
}

/** DR6's bits of the breakpoints at the instruction of linear address `va`. */
export function fetchBreakpoints(vp: u32, va: u64): u32 {
  if ((load<u32>(vp, L.DEBUG_ARMED) & ON_FETCH) == 0) return 0;
  const dr7 = control(vp);
  let hits: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) if (enabled(dr7, n) && kind(dr7, n) == R_EXECUTE && address(vp, n) == va) hits |= 1 << n;
  return hits;
}

/** DR6's bits of the data breakpoints that an access of [va, va + size) meets. */
function accessBreakpoints(vp: u32, va: u64, size: u64, writing: bool): u32 {
  const dr7 = control(vp);
  let hits: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    if (!enabled(dr7, n)) continue;
    const r = kind(dr7, n);
    if (r != R_ACCESS && (r != R_WRITE || !writing)) continue;
    const bytes = length(dr7, n);
    const from = address(vp, n) & ~(bytes - 1);
    if (va < from + bytes && from < va + size) hits |= 1 << n;
  }
  return hits;
}

/** True where the page of `va` must stay out of the TLBs. */
export function watchesPage(vp: u32, va: u64): bool {
  if ((load<u32>(vp, L.DEBUG_ARMED) & ON_ACCESS) == 0) return false;
  return accessBreakpoints(vp, va & ~4095, 4096, true) != 0;
}

/** An access that no TLB entry served has been allowed. */
export function noteAccess(vp: u32, va: u64, size: u32, writing: bool): void {
  if ((load<u32>(vp, L.DEBUG_ARMED) & ON_ACCESS) == 0) return;
  const hits = accessBreakpoints(vp, va, <u64>size, writing);
  if (hits == 0) return;
  store<u32>(vp, load<u32>(vp, L.PENDING_DB) | hits, L.PENDING_DB);
  postEvent(vp, L.EVENT_DEBUG);
}
