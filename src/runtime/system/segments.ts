/** Segment registers, LDTR, TR, the table registers, and the instructions that ask about descriptors. */
import { flags, setFlags } from "../flags";
import * as L from "../layout";
import { segment_access } from "../segment-access";
import { raise, readAs, writeAs } from "../memory";
import {
  Descriptor, dpl, fetchDescriptor, fetchUpper, isCode, isConforming, isNull, isPresent, isSegment, loadSegment, markDescriptor, SS_INDEX,
  UNUSABLE,
} from "./descriptors";
import { canonical, cpl, cr4, CR4_FSGSBASE, CR4_UMIP, failed, GP, gp, longMode, NP, protectedMode, ud } from "./state";

const ZF: u32 = 0x40;
const CHECKS_WRITE: u32 = 0x1000;
const LOADED_ALONE: u32 = 8;

/** a = field with the selector, imm = segment register, and LOADED_ALONE where nothing else is loaded. */
export function sys_load_segment(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const result = loadSegment(vp, imm & 7, <u32>load<u16>(vp + a));
  // After a load of SS alone nothing comes before the next instruction: it will load the stack pointer.
  if (result == 0 && imm == (SS_INDEX | LOADED_ALONE)) store<u32>(vp, L.SHADOW_DEBUG, L.INHIBIT);
  return result;
}

/** Base of the fetched system descriptor; its upper half is in the upper eight bytes in long mode. LEAVE tells failure. */
function systemBase(vp: u32, selector: u32): u64 {
  if (!longMode(vp)) return Descriptor.base;
  const upper = fetchUpper(vp, selector, GP);
  if (failed(vp)) return 0;
  const base = Descriptor.base | (upper << 32);
  if (!canonical(base) || (upper & 0x1f00000000) != 0) gp(vp, selector & 0xfffc);
  return base;
}

/** a = field with the selector. */
export function sys_lldt(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!protectedMode(vp)) return ud(vp);
  if (cpl(vp) != 0) return gp(vp, 0);
  const selector = <u32>load<u16>(vp + a);
  const error = selector & 0xfffc;
  if (isNull(selector)) {
    store<u32>(vp, selector, L.LDTR_SELECTOR);
    store<u32>(vp, UNUSABLE, L.LDTR_FLAGS);
    return 0;
  }
  if ((selector & 4) != 0) return gp(vp, error);
  if (!fetchDescriptor(vp, selector, GP, error)) return 1;
  if ((Descriptor.flags & 0x1f) != 2) return gp(vp, error);
  if (!isPresent(Descriptor.flags)) return raise(vp, NP, error);
  const base = systemBase(vp, selector);
  if (failed(vp)) return 1;
  store<u32>(vp, selector, L.LDTR_SELECTOR);
  store<u64>(vp, base, L.LDTR_BASE);
  store<u32>(vp, Descriptor.limit, L.LDTR_LIMIT);
  store<u32>(vp, Descriptor.flags, L.LDTR_FLAGS);
  return 0;
}

/** a = field with the selector. Only an available TSS may be loaded; it becomes busy. */
export function sys_ltr(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!protectedMode(vp)) return ud(vp);
  if (cpl(vp) != 0) return gp(vp, 0);
  const selector = <u32>load<u16>(vp + a);
  const error = selector & 0xfffc;
  if (isNull(selector) || (selector & 4) != 0) return gp(vp, error);
  if (!fetchDescriptor(vp, selector, GP, error)) return 1;
  const type = Descriptor.flags & 0x1f;
  if (type != 9 && (type != 1 || longMode(vp))) return gp(vp, error);
  if (!isPresent(Descriptor.flags)) return raise(vp, NP, error);
  const base = systemBase(vp, selector);
  if (failed(vp) || !markDescriptor(vp, 2)) return 1;
  store<u32>(vp, selector, L.TR_SELECTOR);
  store<u64>(vp, base, L.TR_BASE);
  store<u32>(vp, Descriptor.limit, L.TR_LIMIT);
  store<u32>(vp, Descriptor.flags, L.TR_FLAGS);
  return 0;
}

/** a = base, b = limit; imm 0: GDTR, 1: IDTR. */
export function sys_load_table(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  const base = load<u64>(vp + a);
  if (!canonical(base)) return gp(vp, 0);
  store<u64>(vp + (imm == 0 ? L.GDTR_BASE : L.IDTR_BASE), base);
  store<u32>(vp + (imm == 0 ? L.GDTR_LIMIT : L.IDTR_LIMIT), <u32>load<u16>(vp + b));
  return 0;
}

/** SGDT SIDT SLDT STR SMSW tell user code nothing where CR4.UMIP is set. */
export function sys_umip(vp: u32, a: u32, b: u32, imm: u32): u32 {
  return cpl(vp) != 0 && cr4(vp, CR4_UMIP) ? gp(vp, 0) : 0;
}

// LAR LSL VERR VERW: ZF says whether the descriptor may be seen; nothing is raised for what it is.

function setZero(vp: u32, set: bool): void {
  setFlags(vp, (flags(vp) & ~ZF) | (set ? ZF : 0));
}

/** 1: the descriptor is fetched; 0: there is none; 2: reading it left. */
function look(vp: u32, selector: u32): u32 {
  if (isNull(selector)) return 0;
  store<u32>(vp, 0, L.LEAVE);
  if (fetchDescriptor(vp, selector, 0xff, 0)) return 1;
  if (load<u32>(vp, L.LEAVE) == 1 && load<u32>(vp, L.FAULT_VECTOR) == 0xff) {
    store<u32>(vp, 0, L.LEAVE);
    return 0;
  }
  return 2;
}

/** System types that LAR (bits of the first) and LSL (of the second) know, in long mode and outside it. */
const LAR_LONG: u32 = 0x1a04;
const LAR_LEGACY: u32 = 0x1a3e;
const LSL_LONG: u32 = 0x0a04;
const LSL_LEGACY: u32 = 0x0a0e;

function visible(vp: u32, selector: u32, types: u32): bool {
  const f = Descriptor.flags;
  if (!isSegment(f) && ((types >> (f & 15)) & 1) == 0) return false;
  return isConforming(f) || dpl(f) >= max(cpl(vp), selector & 3);
}

/** a = field with the selector, b = destination; imm = operand size, + 16 for LSL. */
export function sys_lar_lsl(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!protectedMode(vp)) return ud(vp);
  const selector = <u32>load<u16>(vp + a);
  const limit = (imm & 16) != 0;
  const found = look(vp, selector);
  if (found == 2) return 1;
  const types = limit ? (longMode(vp) ? LSL_LONG : LSL_LEGACY) : longMode(vp) ? LAR_LONG : LAR_LEGACY;
  if (found == 0 || !visible(vp, selector, types)) {
    setZero(vp, false);
    return 0;
  }
  const value = limit ? Descriptor.limit : Descriptor.high & 0x00ffff00;
  if ((imm & 15) == 2) store<u16>(vp + b, <u16>value);
  else store<u64>(vp + b, <u64>value);
  setZero(vp, true);
  return 0;
}

/** a = field with the selector; imm 1: VERW. */
export function sys_verify(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!protectedMode(vp)) return ud(vp);
  const selector = <u32>load<u16>(vp + a);
  const found = look(vp, selector);
  if (found == 2) return 1;
  let holds = false;
  if (found == 1 && visible(vp, selector, 0)) {
    const f = Descriptor.flags;
    holds = imm != 0 ? !isCode(f) && (f & 2) != 0 : !isCode(f) || (f & 2) != 0;
  }
  setZero(vp, holds);
  return 0;
}

/** a = destination, its RPL raised to that of b. imm: 1 + a segment where a holds an address, written to if need be. */
export function sys_arpl(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!protectedMode(vp)) return ud(vp);
  const mode = load<u32>(vp, L.MODE) & 3;
  const va = load<u64>(vp + a);
  const d = imm != 0 ? <u32>readAs(vp, va, 2, mode) : <u32>load<u16>(vp + a);
  if (imm != 0 && failed(vp)) return 1;
  const rpl = <u32>load<u16>(vp + b) & 3;
  const raises = (d & 3) < rpl;
  if (raises) {
    const raised = (d & 0xfffc) | rpl;
    if (imm == 0) store<u16>(vp + a, <u16>raised);
    else if (segment_access(vp, imm - 1, 0, CHECKS_WRITE) != 0 || !writeAs(vp, va, 2, raised, mode)) return 1;
  }
  setZero(vp, raises);
  return 0;
}

// FS and GS bases.

/** RDFSBASE and RDGSBASE need CR4.FSGSBASE. */
export function sys_fsgsbase(vp: u32, a: u32, b: u32, imm: u32): u32 {
  return cr4(vp, CR4_FSGSBASE) ? 0 : ud(vp);
}

/** a = field with the base, b = segment register; imm = operand size. */
export function sys_write_base(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!cr4(vp, CR4_FSGSBASE)) return ud(vp);
  const base = imm == 8 ? load<u64>(vp + a) : <u64>load<u32>(vp + a);
  if (!canonical(base)) return gp(vp, 0);
  store<u64>(vp + L.SEG_BASE + (b << 3), base);
  return 0;
}
