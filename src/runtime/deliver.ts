/**
 * Delivery of exceptions and interrupts through the 64-bit IDT (SDM 3A, "Interrupt and Exception Handling in 64-bit Mode").
 *
 * `enterGate` either enters the handler or changes nothing but stack memory and raises another exception; who called it
 * decides what that means: software interrupts fault, `deliver_*` go on by the rules of double faults.
 * Outside long mode there is no delivery: whatever is raised there shuts the vCPU down.
 */
import * as L from "./layout";
import { accessAs, commitAs, linear_rip, raise, WRITE } from "./memory";
import { isDefused } from "./memory/away";
import { fetchBreakpoints } from "./system/breakpoints";
import {
  CS_INDEX, Descriptor, dpl, fetchDescriptor, isCode, isConforming, isNull, isPresent, markDescriptor, setNull, setSegment, SS_INDEX,
} from "./system/descriptors";
import {
  canonical, cpl, DF, failed, F_IF, F_NT, F_RF, F_TF, F_VM, GP, gprAt, implicitMode, longMode, NP, PF, readTable, rflags,
  setEflags, SS, TS, update_mode,
} from "./system/state";

const LEAVE_SHUTDOWN: u32 = 9;
const IDT: u32 = 2;
const EXT: u32 = 1;

const DB: u32 = 1;
const NMI: u32 = 2;
const BR: u32 = 5;

/** Vectors whose frames have an error code: 8, 10 to 14, 17, 21. */
const WITH_ERROR: u32 = 0x227d00;
/** Vectors that are contributory: 0, 10 to 13. */
const CONTRIBUTORY: u32 = 0x3c01;

const NO_ERROR: u64 = 0xffffffffffffffff;

/**
 * Enters the handler of `vector`. `software`: INT n and its like, which must have the gate's privilege. `error`: pushed unless
 * NO_ERROR. 0, or nonzero with an exception raised (its error code says by EXT that an event was being delivered).
 */
function enterGate(vp: u32, vector: u32, software: bool, error: u64, returnRip: u64, image: u32): u32 {
  const ext: u32 = software ? 0 : EXT;
  const gateError = (vector << 3) | IDT | ext;
  if (!longMode(vp)) return raise(vp, DF, 0);
  if ((vector << 4) + 15 > load<u32>(vp, L.IDTR_LIMIT)) return raise(vp, GP, gateError);
  const gateAt = load<u64>(vp, L.IDTR_BASE) + (vector << 4);
  const low = readTable(vp, gateAt, 8);
  if (failed(vp)) return 1;
  const high = readTable(vp, gateAt + 8, 8);
  if (failed(vp)) return 1;
  const type = <u32>(low >> 40) & 0x1f;
  if (type != 14 && type != 15) return raise(vp, GP, gateError);
  const level = cpl(vp);
  if (software && (<u32>(low >> 45) & 3) < level) return raise(vp, GP, gateError);
  if (<i64>(low << 16) >= 0) return raise(vp, NP, gateError);

  const selector = <u32>(low >> 16) & 0xffff;
  const target = (low & 0xffff) | ((low >> 32) & 0xffff0000) | (high << 32);
  if (isNull(selector)) return raise(vp, GP, ext);
  const selectorError = (selector & 0xfffc) | ext;
  if (!fetchDescriptor(vp, selector, GP, selectorError)) return 1;
  const flags = Descriptor.flags;
  if (!isCode(flags) || dpl(flags) > level || (flags & 0x6000) != 0x2000) return raise(vp, GP, selectorError);
  if (!isPresent(flags)) return raise(vp, NP, selectorError);
  if (!canonical(target)) return raise(vp, GP, ext);
  const newLevel = isConforming(flags) ? level : dpl(flags);
  if (!markDescriptor(vp, 1)) return 1;
  // The pushes below may read no descriptor, but keep this one whatever they do.
  const descriptorLow = Descriptor.low;
  const descriptorHigh = Descriptor.high;

  const ist = <u32>(low >> 32) & 7;
  let stack = load<u64>(vp + L.GPR + 32);
  if (ist != 0 || newLevel < level) {
    stack = taskStack(vp, ist != 0 ? 0x1c + (ist << 3) : 4 + (newLevel << 3), ext);
    if (failed(vp)) return 1;
  }
  stack &= ~15;
  const bytes: u32 = error == NO_ERROR ? 40 : 48;
  stack -= bytes;
  if (!canonical(stack) || !canonical(stack + bytes - 1)) return raise(vp, SS, ext);
  const rights = newLevel == 3 ? 0 : implicitMode(vp);
  store<u32>(vp, 0, L.LEAVE);
  const frame = accessAs(vp, stack, bytes, WRITE, rights);
  if (frame == 0) return 1;
  let at = frame;
  if (error != NO_ERROR) {
    store<u64>(at, error);
    at += 8;
  }
  store<u64>(at, returnRip);
  store<u64>(at, <u64>load<u32>(vp + L.SEG_SELECTOR + 4), 8);
  store<u64>(at, <u64>image, 16);
  store<u64>(at, load<u64>(vp + L.GPR + 32), 24);
  store<u64>(at, <u64>load<u32>(vp + L.SEG_SELECTOR + 8), 32);
  if (frame == vp + L.BOUNCE && commitAs(vp, stack, bytes, rights) == 0) return 1;

  Descriptor.low = descriptorLow;
  Descriptor.high = descriptorHigh;
  store<u64>(gprAt(vp, 4), stack);
  setSegment(vp, CS_INDEX, (selector & 0xfffc) | newLevel);
  store<u32>(vp, newLevel, L.CPL);
  if (newLevel != level) setNull(vp, SS_INDEX, newLevel);
  store<u64>(vp, target, L.RIP);
  let eflags = <u32>load<u64>(vp, L.EFLAGS) & ~(F_TF | F_NT | F_RF | F_VM);
  if (type == 14) eflags &= ~F_IF;
  setEflags(vp, eflags);
  store<u32>(vp, 0, L.INHIBIT);
  store<u32>(vp, 0, L.STEP_TRAP);
  store<u32>(vp, 0, L.LEAVE);
  update_mode(vp);
  return 0;
}

/** A stack pointer from the TSS. */
export function taskStack(vp: u32, offset: u32, ext: u32): u64 {
  store<u32>(vp, 0, L.LEAVE);
  if (offset + 7 > load<u32>(vp, L.TR_LIMIT)) {
    raise(vp, TS, (load<u32>(vp, L.TR_SELECTOR) & 0xfffc) | ext);
    return 0;
  }
  return readTable(vp, load<u64>(vp, L.TR_BASE) + offset, 8);
}

function hasError(vector: u32): bool {
  return vector < 32 && ((WITH_ERROR >> vector) & 1) != 0;
}

/** 0 benign, 1 contributory, 2 page fault, 3 double fault. */
function severity(vector: u32): u32 {
  if (vector == PF) return 2;
  if (vector == DF) return 3;
  return vector < 32 && ((CONTRIBUTORY >> vector) & 1) != 0 ? 1 : 0;
}

/** Delivers what FAULT_ fields say, and what comes of it. The first attempt may have been another event of `class`. */
function deliverRaised(vp: u32, before: u32): u32 {
  let previous = before;
  for (let tries = 0; tries < 8; tries++) {
    let vector = load<u32>(vp, L.FAULT_VECTOR);
    let error = load<u32>(vp, L.FAULT_ERROR);
    const severe = severity(vector);
    if (previous == 3) break;
    if ((previous == 1 && severe == 1) || (previous == 2 && severe != 0)) {
      vector = DF;
      error = 0;
    }
    if (vector == PF) store<u64>(vp, load<u64>(vp, L.FAULT_ADDRESS), L.CR2);
    // A fault reports the instruction as not begun: RF keeps its breakpoint from firing twice.
    const image = rflags(vp) | (vector == DB || vector == DF ? 0 : F_RF);
    if (vector == DB) noteDebug(vp, 0);
    previous = severity(vector);
    if (enterGate(vp, vector, false, hasError(vector) ? <u64>error : NO_ERROR, load<u64>(vp, L.RIP), image) == 0) return 0;
    if (!longMode(vp)) break;
  }
  store<u32>(vp, LEAVE_SHUTDOWN, L.LEAVE);
  return LEAVE_SHUTDOWN;
}

/** What #DB leaves in the debug registers: its causes in DR6, of which only B0 to B3 are ever cleared; no general detection. */
function noteDebug(vp: u32, causes: u32): void {
  const dr6 = vp + L.DR + 48;
  store<u64>(dr6, (load<u64>(dr6) & ~15) | 0xffff0ff0 | <u64>(causes & 0xe00f));
  const dr7 = vp + L.DR + 56;
  store<u64>(dr7, load<u64>(dr7) & ~0x2000);
}

/**
 * Delivers the exception of FAULT_VECTOR, FAULT_ERROR and FAULT_ADDRESS at RIP, which is the instruction that raised it.
 * 0; or nonzero with LEAVE = shutdown after a triple fault. Of a page that has come meanwhile there is nothing to deliver.
 */
export function deliver_fault(vp: u32): u32 {
  if (isDefused(vp)) return 0;
  const stepping = load<u32>(vp, L.STEPPING);
  store<u32>(vp, 1, L.STEPPING);
  const result = deliverRaised(vp, 0);
  store<u32>(vp, stepping, L.STEPPING);
  return result;
}

function deliverEvent(vp: u32, vector: u32, image: u32): u32 {
  const stepping = load<u32>(vp, L.STEPPING);
  store<u32>(vp, 1, L.STEPPING);
  store<u32>(vp, 0, L.HALTED);
  let result = enterGate(vp, vector, false, NO_ERROR, load<u64>(vp, L.RIP), image);
  if (result != 0) result = deliverRaised(vp, longMode(vp) ? 0 : 3);
  store<u32>(vp, stepping, L.STEPPING);
  return result;
}

/** An external interrupt, between instructions. As `deliver_fault`. */
export function deliver_interrupt(vp: u32, vector: u32): u32 {
  return deliverEvent(vp, vector & 0xff, rflags(vp));
}

/** NMIs stay blocked until the next IRET. */
export function deliver_nmi(vp: u32): u32 {
  store<u32>(vp, 1, L.NMI_BLOCKED);
  return deliverEvent(vp, NMI, rflags(vp));
}

/** A debug trap after the instruction before RIP: `dr6` has the bits of its causes. */
export function deliver_debug(vp: u32, dr6: u32): u32 {
  noteDebug(vp, dr6);
  return deliverEvent(vp, DB, rflags(vp));
}

/** #DB before the instruction at RIP where a breakpoint is on it; whether there was one. */
export function deliver_breakpoint(vp: u32): u32 {
  const hits = fetchBreakpoints(vp, linear_rip(vp));
  if (hits == 0) return 0;
  noteDebug(vp, hits);
  deliverEvent(vp, DB, rflags(vp) | F_RF);
  return 1;
}

/** INT n, INT3, INTO: a = the next instruction's address, imm = vector. */
export function sys_int(vp: u32, a: u32, b: u32, imm: u32): u32 {
  return enterGate(vp, imm, true, NO_ERROR, load<u64>(vp + a), rflags(vp) & ~F_RF);
}

/** INT1: a trap that no privilege check stops. */
export function sys_int1(vp: u32, a: u32, b: u32, imm: u32): u32 {
  return enterGate(vp, DB, false, NO_ERROR, load<u64>(vp + a), rflags(vp) & ~F_RF);
}

/** INTO: a = the next instruction's address, b = OF. */
export function sys_into(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (load<u8>(vp + b) != 0) return enterGate(vp, 4, true, NO_ERROR, load<u64>(vp + a), rflags(vp) & ~F_RF);
  store<u64>(vp, load<u64>(vp + a), L.RIP);
  return 0;
}

/** #BR where the signed index a of imm bytes is below b or above the temporary after b. */
export function sys_bound(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const wide = imm == 4;
  const index = wide ? load<i32>(vp + a) : <i32>load<i16>(vp + a);
  const low = wide ? load<i32>(vp + b) : <i32>load<i16>(vp + b);
  const high = wide ? load<i32>(vp + b + 8) : <i32>load<i16>(vp + b + 8);
  return index < low || index > high ? raise(vp, BR, 0) : 0;
}

/** Raises exception a with error code imm. */
export function sys_raise(vp: u32, a: u32, b: u32, imm: u32): u32 {
  return raise(vp, a, imm);
}
