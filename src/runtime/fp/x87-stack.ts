/**
 * The x87 register stack and status in the vCPU record: which physical register is ST(i), tags, and how the exceptions of an
 * operation (`Env`) reach FSW. (SDM 1, "x87 FPU Execution Environment".)
 *
 * The status word has its TOP apart from the rest, in FTOP, so that where the registers are does not wait for the flags of the
 * operation before. FTW keeps full tags, but between instructions only "empty" (3) and not empty (0) are told apart; FSTENV and FSAVE
 * find the class of a value when they store it, as the hardware does.
 */
import { FCW, FPR, FSW, FTOP, FTW } from "../layout";
import { Env, IE, stopped } from "./environment";
import { F80, indefinite } from "./f80";

export const SF: u32 = 0x40;
export const ES_B: u32 = 0x8080;
export const C0: u32 = 0x100;
export const C1: u32 = 0x200;
export const C2: u32 = 0x400;
export const C3: u32 = 0x4000;
export const CONDITIONS: u32 = C0 | C1 | C2 | C3;
export const EMPTY: u32 = 3;

// @ts-ignore: decorator
@inline
export function fsw(vp: u32): u32 {
  return load<u16>(vp + FSW) | (load<u32>(vp + FTOP) << 7);
}

// @ts-ignore: decorator
@inline
export function setFsw(vp: u32, value: u32): void {
  store<u16>(vp + FSW, u16(value & ~0x3800));
  store<u32>(vp + FTOP, (value >> 7) & 0x70);
}

// @ts-ignore: decorator
@inline
export function topOf(vp: u32): u32 {
  return load<u32>(vp + FTOP) >> 4;
}

export function setTop(vp: u32, top: u32): void {
  store<u32>(vp + FTOP, (top & 7) << 4);
}

// @ts-ignore: decorator
@inline
function physical(vp: u32, i: u32): u32 {
  return (topOf(vp) + i) & 7;
}

/** The address of ST(i) in the record. */
// @ts-ignore: decorator
@inline
export function st(vp: u32, i: u32): u32 {
  return vp + FPR + (physical(vp, i) << 4);
}

// @ts-ignore: decorator
@inline
export function mantissa(at: u32): u64 {
  return load<u64>(at);
}

// @ts-ignore: decorator
@inline
export function signExp(at: u32): u32 {
  return load<u16>(at, 8);
}

export function isEmpty(vp: u32, i: u32): bool {
  return ((load<u16>(vp + FTW) >> u16(physical(vp, i) << 1)) & 3) == 3;
}

export function setTag(vp: u32, i: u32, tag: u32): void {
  const shift = physical(vp, i) << 1;
  store<u16>(vp + FTW, u16((u32(load<u16>(vp + FTW)) & ~(3 << shift)) | (tag << shift)));
}

/** ST(i) = (m, F80.se), and it is no longer empty. */
export function put(vp: u32, i: u32, m: u64): void {
  const at = st(vp, i);
  store<u64>(at, m);
  store<u16>(at, u16(F80.se), 8);
  setTag(vp, i, 0);
}

export function pop(vp: u32): void {
  setTag(vp, 0, EMPTY);
  setTop(vp, topOf(vp) + 1);
}

/** Takes rounding, precision and masks from FCW, and forgets earlier exceptions. */
export function begin(vp: u32): void {
  const fcw = u32(load<u16>(vp + FCW));
  Env.rounding = (fcw >> 10) & 3;
  Env.masked = fcw & 63;
  Env.raised = 0;
  Env.up = 0;
  const pc = (fcw >> 8) & 3;
  F80.precision = pc == 0 ? 24 : pc == 2 ? 53 : 64;
}

/** Sets the exceptions of this operation in FSW, ES and B if one is unmasked, and C1 from `Env.up`. */
export function end(vp: u32): void {
  let value = (fsw(vp) & ~C1) | Env.raised | (Env.up ? C1 : 0);
  if ((Env.raised & ~Env.masked) != 0) value |= ES_B;
  setFsw(vp, value);
}

/** As `end`, for FCOMI and its kin, which leave C1 alone. (Undefined; so the CPUs of the judge do.) */
export function endKeepingC1(vp: u32): void {
  const c1 = fsw(vp) & C1;
  end(vp);
  setFsw(vp, fsw(vp) | c1);
}

/** A stack fault: C1 tells overflow from underflow. True when it is masked, so the indefinite takes the result's place. */
export function stackFault(vp: u32, overflow: bool): bool {
  Env.raised |= IE;
  Env.up = u32(overflow);
  end(vp);
  setFsw(vp, fsw(vp) | SF);
  return (Env.masked & IE) != 0;
}

/** Checks ST(0): when empty the fault is set, and the masked response is the indefinite in ST(0). */
export function needs0(vp: u32): bool {
  if (!isEmpty(vp, 0)) return true;
  if (stackFault(vp, false)) put(vp, 0, indefinite());
  return false;
}

/** Checks ST(0) and ST(i); the masked response to an empty one is the indefinite in ST(to). False: nothing more to do. */
export function needs(vp: u32, i: u32, to: u32): bool {
  if (!isEmpty(vp, 0) && !isEmpty(vp, i)) return true;
  if (stackFault(vp, false)) put(vp, to, indefinite());
  return false;
}

/** Ends an operation whose result is (m, F80.se) for ST(i). True when it was written. */
export function finish(vp: u32, i: u32, m: u64): bool {
  end(vp);
  if (stopped()) return false;
  put(vp, i, m);
  return true;
}

/** Moves TOP and writes (m, F80.se) there. */
export function grow(vp: u32, m: u64): void {
  setTop(vp, topOf(vp) - 1);
  put(vp, 0, m);
}

/** Pushes (m, F80.se) as the result of the operation in progress. DE of a load is no reason not to. */
export function push(vp: u32, m: u64): void {
  if (!isEmpty(vp, 7)) {
    Env.raised = 0;
    if (stackFault(vp, true)) grow(vp, indefinite());
    return;
  }
  end(vp);
  if ((Env.raised & ~Env.masked & IE) == 0) grow(vp, m);
}
