/**
 * What all system instructions share: raising, flags as one word, privilege, and the mode that follows from them.
 *
 * Helpers return 0, or nonzero with LEAVE set and nothing architectural changed. Every memory access here may leave with
 * `step`; the instruction is then started again alone, so accesses come before changes everywhere.
 */
import { flags, setFlags } from "../flags";
import * as L from "../layout";
import { raise, readAs, tlb_flush_all } from "../memory";

export const UD: u32 = 6;
export const NM: u32 = 7;
export const DF: u32 = 8;
export const TS: u32 = 10;
export const NP: u32 = 11;
export const SS: u32 = 12;
export const GP: u32 = 13;
export const PF: u32 = 14;

export const F_ARITHMETIC: u32 = 0x8d5;
export const F_TF: u32 = 0x100;
export const F_IF: u32 = 0x200;
export const F_DF: u32 = 0x400;
export const F_IOPL: u32 = 0x3000;
export const F_NT: u32 = 0x4000;
export const F_RF: u32 = 0x10000;
export const F_VM: u32 = 0x20000;
export const F_AC: u32 = 0x40000;
export const F_VIF: u32 = 0x80000;
export const F_VIP: u32 = 0x100000;
export const F_ID: u32 = 0x200000;

export const CR0_PE: u64 = 1;
export const CR0_PG: u64 = 0x80000000;
export const CR4_TSD: u64 = 0x4;
export const CR4_UMIP: u64 = 0x800;
export const CR4_FSGSBASE: u64 = 0x10000;
export const CR4_PCIDE: u64 = 0x20000;
export const CR4_OSXSAVE: u64 = 0x40000;
export const CR4_SMAP: u64 = 0x200000;
export const EFER_SCE: u64 = 1;
export const EFER_LMA: u64 = 0x400;

export function gp(vp: u32, error: u32): u32 {
  return raise(vp, GP, error);
}
export function ud(vp: u32): u32 {
  return raise(vp, UD, 0);
}

export function cpl(vp: u32): u32 {
  return load<u32>(vp, L.CPL);
}
export function cr4(vp: u32, bit: u64): bool {
  return (load<u64>(vp, L.CR4) & bit) != 0;
}
/** EFER.LMA: 64-bit and compatibility mode, and the delivery of events that belongs to them. */
export function longMode(vp: u32): bool {
  return (load<u64>(vp, L.EFER) & EFER_LMA) != 0;
}
/** 64-bit code runs. */
export function code64(vp: u32): bool {
  return (load<u32>(vp, L.MODE) & 12) == 0;
}
export function protectedMode(vp: u32): bool {
  return (load<u64>(vp, L.CR0) & CR0_PE) != 0;
}

export function canonical(va: u64): bool {
  return <i64>(va << 16) >> 16 == <i64>va;
}

export function gprAt(vp: u32, n: u32): u32 {
  return vp + L.GPR + (n << 3);
}

export function postEvent(vp: u32, bits: u32): void {
  atomic.or<u32>(vp + L.EVENTS, bits);
}

/** TLB mode of implicit supervisor accesses (descriptor tables, TSS, stacks of delivery), which EFLAGS.AC does not excuse. */
export function implicitMode(vp: u32): u32 {
  return cr4(vp, CR4_SMAP) ? 1 : 2;
}
/** Reads a table of the system. LEAVE is nonzero afterwards where it could not. */
export function readTable(vp: u32, va: u64, size: u32): u64 {
  return readAs(vp, va, size, implicitMode(vp));
}
export function failed(vp: u32): bool {
  return load<u32>(vp, L.LEAVE) != 0;
}

// RFLAGS.

export function rflags(vp: u32): u32 {
  return <u32>load<u64>(vp, L.EFLAGS) | flags(vp);
}

/** All of RFLAGS but the arithmetic flags; what follows from them is made to follow, but for the mode (AC). */
export function setEflags(vp: u32, value: u32): void {
  const eflags = (value & 0x3c7700) | 2;
  store<u64>(vp, <u64>eflags, L.EFLAGS);
  store<i64>(vp, (eflags & F_DF) != 0 ? -1 : 1, L.DIRECTION);
  if ((eflags & F_IF) != 0 && load<u32>(vp, L.IRQ_WAITING) != 0) postEvent(vp, L.EVENT_INTERRUPT);
  if ((eflags & F_TF) != 0) postEvent(vp, L.EVENT_DEBUG);
}

export function setRflags(vp: u32, value: u32): void {
  setFlags(vp, value);
  setEflags(vp, value);
}

/** Bits that POPF and IRET may change at this privilege, for an image of `size` bytes. */
export function changeableFlags(vp: u32, size: u32): u32 {
  const level = cpl(vp);
  let mask = F_ARITHMETIC | F_TF | F_DF | F_NT;
  if (level <= (<u32>load<u64>(vp, L.EFLAGS) & F_IOPL) >> 12) mask |= F_IF;
  if (level == 0) mask |= F_IOPL;
  if (size != 2) mask |= F_AC | F_ID;
  return mask;
}

// The mode.

const MODE_CODE32: u32 = 4;
const MODE_CODE16: u32 = 8;
const MODE_SEGMENTED: u32 = 16;
/** Of a segment's flags: unusable, code, writable. */
const PLAIN: u32 = 0x1000a;
const WRITABLE: u32 = 2;
const MODE_NO_FPU: u32 = 32;
const MODE_NO_SSE: u32 = 64;

/** Computes MODE and TLB_BASE anew: after any change of CPL, CS, segment bases, CR0, CR4, EFER or EFLAGS.AC. */
export function update_mode(vp: u32): void {
  const level = cpl(vp);
  const controls = load<u64>(vp, L.CR4);
  let tlb: u32 = 0;
  if (level != 3) tlb = (controls & CR4_SMAP) != 0 && (load<u64>(vp, L.EFLAGS) & F_AC) == 0 ? 1 : 2;
  let mode = tlb;
  const code = load<u32>(vp + L.SEG_FLAGS + 4);
  if (!longMode(vp) || (code & 0x2000) == 0) {
    mode |= (code & 0x4000) != 0 ? MODE_CODE32 : MODE_CODE16;
    const bases = load<u64>(vp + L.SEG_BASE) | load<u64>(vp + L.SEG_BASE + 8) | load<u64>(vp + L.SEG_BASE + 16) | load<u64>(vp + L.SEG_BASE + 24);
    // ES and DS that are null, or may not be written to, are looked at with each access, too.
    const extra = load<u32>(vp + L.SEG_FLAGS);
    const data = load<u32>(vp + L.SEG_FLAGS + 12);
    if (bases != 0 || ((protectedMode(vp)) && ((extra & PLAIN) != WRITABLE || (data & PLAIN) != WRITABLE))) mode |= MODE_SEGMENTED;
  }
  if ((load<u64>(vp, L.CR0) & 0xc) != 0) mode |= MODE_NO_FPU;
  if ((controls & 0x200) == 0) mode |= MODE_NO_SSE;
  store<u32>(vp, mode, L.MODE);
  store<u32>(vp, L.TLB + tlb * 2 * L.TLB_BYTES, L.TLB_BASE);
}

/** The mode, after a change that gives page-table entries another meaning. */
export function remap(vp: u32): void {
  tlb_flush_all(vp);
  update_mode(vp);
}
