/**
 * FXSAVE, XSAVE and their opposites: the x87 and SSE state and its images in guest memory (SDM 1, "Managing State Using
 * the XSAVE Feature Set"). Images are put together in the vCPU's scratch area and moved in pieces.
 */
import { x87_fninit, x87_fxsave, x87_restore_legacy } from "../fp/index";
import * as L from "../layout";
import { accessAs, commitAs, raise, raiseNonCanonical, READ, WRITE } from "../memory";
import { canonical, cr4, CR4_OSXSAVE, gp, gprAt, NM, ud } from "./state";

const MXCSR_RESERVED: u32 = 0xffff0000;
const PIECE: u32 = 64;

const X87: u64 = 1;
const SSE: u64 = 2;

/** imm of all helpers here: 1 REX.W, 2 sixteen XMM registers (64-bit code). */
const WIDE: u32 = 1;
const LONG: u32 = 2;

function xmmCount(imm: u32): u32 {
  return (imm & LONG) != 0 ? 16 : 8;
}

/** Bytes [from, to) of the scratch image to guest memory at `va`. False with LEAVE set. */
export function copyOut(vp: u32, va: u64, from: u32, to: u32): bool {
  const mode = load<u32>(vp, L.MODE) & 3;
  while (from < to) {
    const size = min(PIECE - (from & (PIECE - 1)), to - from);
    store<u32>(vp, 0, L.LEAVE);
    const at = accessAs(vp, va + from, size, WRITE, mode);
    if (at == 0) return false;
    memory.copy(at, vp + L.SCRATCH + from, size);
    if (at == vp + L.BOUNCE && commitAs(vp, va + from, size, mode) == 0) return false;
    from += size;
  }
  return true;
}

export function copyIn(vp: u32, va: u64, from: u32, to: u32): bool {
  const mode = load<u32>(vp, L.MODE) & 3;
  while (from < to) {
    const size = min(PIECE - (from & (PIECE - 1)), to - from);
    store<u32>(vp, 0, L.LEAVE);
    const at = accessAs(vp, va + from, size, READ, mode);
    if (at == 0) return false;
    memory.copy(vp + L.SCRATCH + from, at, size);
    from += size;
  }
  return true;
}

/** Whether the byte at `va` may be accessed; false with LEAVE set. */
function reach(vp: u32, va: u64, intent: u32): bool {
  store<u32>(vp, 0, L.LEAVE);
  return accessAs(vp, va, 1, intent, load<u32>(vp, L.MODE) & 3) != 0;
}

/** a = field with the linear address, b = with that of the last byte, which faults first, as on AMD's processors. */
export function sys_fxsave(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const va = load<u64>(vp + a);
  if (!canonical(va) || !canonical(va + 15)) {
    raiseNonCanonical(vp);
    return 1;
  }
  if ((va & 15) != 0) return gp(vp, 0);
  if (!reach(vp, load<u64>(vp + b), WRITE) || !reach(vp, va, WRITE)) return 1;
  x87_fxsave(vp, vp + L.SCRATCH, imm & WIDE, xmmCount(imm));
  return copyOut(vp, va, 0, 160 + (xmmCount(imm) << 4)) ? 0 : 1;
}

export function sys_fxrstor(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const va = load<u64>(vp + a);
  if (!canonical(va) || !canonical(va + 15)) {
    raiseNonCanonical(vp);
    return 1;
  }
  if ((va & 15) != 0) return gp(vp, 0);
  // All 512 bytes are read, whatever they hold.
  if (!reach(vp, load<u64>(vp + b), READ) || !copyIn(vp, va, 0, 512)) return 1;
  const image = vp + L.SCRATCH;
  const mxcsr = load<u32>(image, 24);
  if ((mxcsr & MXCSR_RESERVED) != 0) return gp(vp, 0);
  x87_restore_legacy(vp, image, imm & WIDE);
  store<u32>(vp, mxcsr, L.MXCSR);
  memory.copy(vp + L.XMM, image + 160, xmmCount(imm) << 4);
  return 0;
}

/** What XSAVE and XRSTOR check first. 0, or an exception raised. */
function begin(vp: u32, va: u64): u32 {
  if (!cr4(vp, CR4_OSXSAVE)) return ud(vp);
  if ((load<u64>(vp, L.CR0) & 8) != 0) return raise(vp, NM, 0);
  if ((va & 63) != 0) return gp(vp, 0);
  if (canonical(va)) return 0;
  raiseNonCanonical(vp);
  return 1;
}

/** The components asked for by EDX:EAX; there are but two. */
function requested(vp: u32): u64 {
  return load<u64>(gprAt(vp, 0)) & load<u64>(vp, L.XCR0) & 3;
}

/** Both components always count as in use. */
export function sys_xsave(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const va = load<u64>(vp + a);
  if (begin(vp, va) != 0) return 1;
  const components = requested(vp);
  const image = vp + L.SCRATCH;
  if (!reach(vp, va, WRITE) || !reach(vp, va + 575, WRITE) || !copyIn(vp, va, 512, 520)) return 1;
  const inUse = (load<u64>(image, 512) & ~components) | components;
  x87_fxsave(vp, image, imm & WIDE, xmmCount(imm));
  store<u64>(image, inUse, 512);
  const end = 160 + (xmmCount(imm) << 4);
  if (components == (X87 | SSE)) {
    if (!copyOut(vp, va, 0, end)) return 1;
  } else if (components == X87) {
    if (!copyOut(vp, va, 0, 24) || !copyOut(vp, va, 32, 160)) return 1;
  } else if (components == SSE) {
    if (!copyOut(vp, va, 24, 32) || !copyOut(vp, va, 160, end)) return 1;
  }
  return copyOut(vp, va, 512, 520) ? 0 : 1;
}

export function sys_xrstor(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const va = load<u64>(vp + a);
  if (begin(vp, va) != 0) return 1;
  if (!reach(vp, va, READ) || !reach(vp, va + 512, READ) || !copyIn(vp, va, 0, 576)) return 1;
  const image = vp + L.SCRATCH;
  const present = load<u64>(image, 512);
  // The compacted form is not announced; of the header's rest bytes 8 to 23 must be zero.
  if ((present & ~load<u64>(vp, L.XCR0)) != 0 || load<u64>(image, 520) != 0 || load<u64>(image, 528) != 0) return gp(vp, 0);
  const components = requested(vp);
  const mxcsr = load<u32>(image, 24);
  if ((components & SSE) != 0 && (mxcsr & MXCSR_RESERVED) != 0) return gp(vp, 0);
  if ((components & X87) != 0) {
    if ((present & X87) != 0) x87_restore_legacy(vp, image, imm & WIDE);
    else {
      x87_fninit(vp);
      memory.fill(vp + L.FPR, 0, 128);
    }
  }
  if ((components & SSE) != 0) {
    store<u32>(vp, mxcsr, L.MXCSR);
    if ((present & SSE) != 0) memory.copy(vp + L.XMM, image + 160, xmmCount(imm) << 4);
    else memory.fill(vp + L.XMM, 0, xmmCount(imm) << 4);
  }
  return 0;
}

/** a = field with the value. */
export function sys_ldmxcsr(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const value = load<u32>(vp + a);
  if ((value & MXCSR_RESERVED) != 0) return gp(vp, 0);
  store<u32>(vp, value, L.MXCSR);
  return 0;
}
