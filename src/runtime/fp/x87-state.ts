/** x87 control words, and the whole state to and from memory images. Signatures and their use: index.ts. */
import { FCW, FDP, FIP, FOP, FPR, FTW, MXCSR, XMM } from "../layout";
import { MAX_EXP } from "./f80";
import { ES_B, fsw, mantissa, setFsw, setTop, signExp, topOf } from "./x87-stack";

/** MXCSR bits that exist: FXSAVE's MXCSR_MASK. */
export const MXCSR_MASK: u32 = 0xffff;

// ES and B follow the flags and masks whenever either changes.
function settle(vp: u32): void {
  const value = fsw(vp);
  const waiting = (value & ~u32(load<u16>(vp + FCW)) & 63) != 0;
  setFsw(vp, waiting ? value | ES_B : value & ~ES_B);
}

export function x87_check_pending(vp: u32): u32 {
  return (fsw(vp) >> 7) & 1;
}

export function x87_fninit(vp: u32): void {
  store<u16>(vp + FCW, 0x37f);
  setFsw(vp, 0);
  store<u16>(vp + FTW, 0xffff);
  store<u16>(vp + FOP, 0);
  store<u64>(vp + FIP, 0);
  store<u64>(vp + FDP, 0);
}

export function x87_fnclex(vp: u32): void {
  setFsw(vp, fsw(vp) & 0x7f00);
}

/** Bit 6 of FCW always reads as 1, and bits 7 and 13-15 as 0. */
function setFcw(vp: u32, cw: u32): void {
  store<u16>(vp + FCW, u16((cw & 0x1f3f) | 0x40));
  settle(vp);
}

export function x87_fldcw(vp: u32, cw: u32): void {
  setFcw(vp, cw);
}

export function x87_fnstcw(vp: u32): u32 {
  return load<u16>(vp + FCW);
}

export function x87_fnstsw(vp: u32): u32 {
  return fsw(vp);
}

// @ts-ignore: decorator
@inline
function register(vp: u32, r: u32): u32 {
  return vp + FPR + (r << 4);
}

function tag(vp: u32, r: u32): u32 {
  return (u32(load<u16>(vp + FTW)) >> (r << 1)) & 3;
}

/** The tag word with the class of each value: 0 normal, 1 zero, 2 anything else, 3 empty. */
function fullTags(vp: u32): u32 {
  let tags: u32 = 0;
  for (let r: u32 = 0; r < 8; r++) {
    const at = register(vp, r);
    const m = mantissa(at);
    const se = signExp(at) & MAX_EXP;
    let class_: u32 = 0;
    if (tag(vp, r) == 3) class_ = 3;
    else if (se == 0 && m == 0) class_ = 1;
    else if (se == 0 || se == MAX_EXP || m >> 63 == 0) class_ = 2;
    tags |= class_ << (r << 1);
  }
  return tags;
}

/** Only "empty" and "not empty" are taken from a stored tag word. */
function setTags(vp: u32, tags: u32): void {
  const empty = tags & (tags >> 1) & 0x5555;
  store<u16>(vp + FTW, u16(empty | (empty << 1)));
}

export function x87_fnstenv(vp: u32, at: u32, small: u32): void {
  storeEnvironment(vp, at, small);
  // Storing the environment masks every exception.
  setFcw(vp, u32(load<u16>(vp + FCW)) | 63);
}

function storeEnvironment(vp: u32, at: u32, small: u32): void {
  const step: u32 = small ? 2 : 4;
  const fill: u32 = 0xffff0000;
  const ip = u32(load<u64>(vp + FIP));
  const dp = u32(load<u64>(vp + FDP));
  word(at, small, fill | load<u16>(vp + FCW));
  word(at + step, small, fill | fsw(vp));
  word(at + 2 * step, small, fill | fullTags(vp));
  word(at + 3 * step, small, ip);
  word(at + 4 * step, small, u32(load<u16>(vp + FOP)) << 16);
  word(at + 5 * step, small, dp);
  word(at + 6 * step, small, fill);
}

function word(at: u32, small: u32, value: u32): void {
  if (small) store<u16>(at, u16(value));
  else store<u32>(at, value);
}

export function x87_fldenv(vp: u32, at: u32, small: u32): void {
  const step: u32 = small ? 2 : 4;
  setFsw(vp, load<u16>(at + step));
  setTags(vp, load<u16>(at + 2 * step));
  if (small) {
    store<u64>(vp + FIP, load<u16>(at + 3 * step));
    store<u64>(vp + FDP, load<u16>(at + 5 * step));
    store<u16>(vp + FOP, 0);
  } else {
    store<u64>(vp + FIP, load<u32>(at + 12));
    store<u16>(vp + FOP, load<u16>(at + 18) & 0x7ff);
    store<u64>(vp + FDP, load<u32>(at + 20));
  }
  setFcw(vp, load<u16>(at));
}

/** FSAVE stores registers in stack order, ST(0) first. */
export function x87_fnsave(vp: u32, at: u32, small: u32): void {
  storeEnvironment(vp, at, small);
  storeStack(vp, at + (small ? 14 : 28), 10);
  x87_fninit(vp);
}

export function x87_frstor(vp: u32, at: u32, small: u32): void {
  x87_fldenv(vp, at, small);
  loadStack(vp, at + (small ? 14 : 28), 10);
}

function storeStack(vp: u32, at: u32, step: u32): void {
  for (let i: u32 = 0; i < 8; i++) {
    const from = register(vp, (topOf(vp) + i) & 7);
    store<u64>(at, mantissa(from));
    store<u16>(at, u16(signExp(from)), 8);
    at += step;
  }
}

function loadStack(vp: u32, at: u32, step: u32): void {
  for (let i: u32 = 0; i < 8; i++) {
    const to = register(vp, (topOf(vp) + i) & 7);
    store<u64>(to, load<u64>(at));
    store<u16>(to, load<u16>(at, 8), 8);
    at += step;
  }
}

/** Bytes 0-23 and 32-159 of an FXSAVE image, whose tag byte has one bit a register: 1 is not empty. */
export function x87_save_legacy(vp: u32, at: u32, rexW: u32): void {
  store<u16>(at, load<u16>(vp + FCW));
  store<u16>(at, u16(fsw(vp)), 2);
  let used: u32 = 0;
  for (let r: u32 = 0; r < 8; r++) if (tag(vp, r) != 3) used |= 1 << r;
  store<u16>(at, u16(used), 4);
  store<u16>(at, load<u16>(vp + FOP), 6);
  const ip = load<u64>(vp + FIP);
  const dp = load<u64>(vp + FDP);
  // Without REX.W the upper halves are the selectors, which this CPU does not keep.
  store<u64>(at, rexW ? ip : ip & 0xffffffff, 8);
  store<u64>(at, rexW ? dp : dp & 0xffffffff, 16);
  storeStack(vp, at + 32, 16);
  for (let i: u32 = 0; i < 8; i++) {
    store<u16>(at + (i << 4), 0, 42);
    store<u32>(at + (i << 4), 0, 44);
  }
}

export function x87_restore_legacy(vp: u32, at: u32, rexW: u32): void {
  setFsw(vp, load<u16>(at, 2));
  const used = u32(load<u8>(at, 4));
  let tags: u32 = 0;
  for (let r: u32 = 0; r < 8; r++) if (((used >> r) & 1) == 0) tags |= 3 << (r << 1);
  store<u16>(vp + FTW, u16(tags));
  store<u16>(vp + FOP, load<u16>(at, 6) & 0x7ff);
  const ip = load<u64>(at, 8);
  const dp = load<u64>(at, 16);
  store<u64>(vp + FIP, rexW ? ip : ip & 0xffffffff);
  store<u64>(vp + FDP, rexW ? dp : dp & 0xffffffff);
  loadStack(vp, at + 32, 16);
  setFcw(vp, load<u16>(at));
}

export function x87_fxsave(vp: u32, at: u32, rexW: u32, xmmCount: u32): void {
  x87_save_legacy(vp, at, rexW);
  store<u32>(at, load<u32>(vp + MXCSR), 24);
  store<u32>(at, MXCSR_MASK, 28);
  memory.copy(at + 160, vp + XMM, xmmCount << 4);
}

export function x87_fxrstor(vp: u32, at: u32, rexW: u32, xmmCount: u32): u32 {
  const mxcsr = load<u32>(at, 24);
  if ((mxcsr & ~MXCSR_MASK) != 0) return 1;
  x87_restore_legacy(vp, at, rexW);
  store<u32>(vp + MXCSR, mxcsr);
  memory.copy(vp + XMM, at + 160, xmmCount << 4);
  return 0;
}

/** Any MMX instruction but EMMS resets TOP and fills the stack. */
export function mmx_enter(vp: u32): void {
  setTop(vp, 0);
  store<u16>(vp + FTW, 0);
}

export function mmx_write(vp: u32, r: u32, value: u64): void {
  const at = register(vp, r);
  store<u64>(at, value);
  store<u16>(at, 0xffff, 8);
}

export function emms(vp: u32): void {
  setTop(vp, 0);
  store<u16>(vp + FTW, 0xffff);
}
