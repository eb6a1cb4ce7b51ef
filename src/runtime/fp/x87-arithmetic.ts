/** x87 arithmetic, comparison and register instructions on the vCPU record. Signatures and their use: index.ts. */
import { Env, IE, stopped } from "./environment";
import { F80, give, indefinite, isDenormal, isInfinite, isNan, isOdd, isUnsupported, isZero, QUIET } from "./f80";
import { EQUAL, f80Add, f80Compare, f80Div, f80Mul, f80Sqrt, LESS, UNORDERED } from "./f80-arithmetic";
import { fromBinary, fromInteger } from "./f80-convert";
import { Extracted, f80Extract, f80Remainder, f80RoundToInteger, f80Scale, Remainder } from "./f80-remainder";
import {
  begin, C0, C1, C2, C3, CONDITIONS, EMPTY, end, endKeepingC1, finish, fsw, isEmpty, mantissa, needs, needs0, pop, put, push, setFsw, setTag,
  setTop, signExp, st, stackFault, topOf,
} from "./x87-stack";

/** ST(0) op (bm, bse) by the opcode's /r field. */
function operate(vp: u32, op: u32, bm: u64, bse: u32): u64 {
  const at = st(vp, 0);
  const am = mantissa(at);
  const ase = signExp(at);
  switch (op) {
    case 0:
      return f80Add(am, ase, bm, bse, 0);
    case 1:
      return f80Mul(am, ase, bm, bse);
    case 4:
      return f80Add(am, ase, bm, bse, 1);
    case 5:
      return f80Add(bm, bse, am, ase, 1);
    case 6:
      return f80Div(am, ase, bm, bse);
    default:
      return f80Div(bm, bse, am, ase);
  }
}

export function x87_arith_sti(vp: u32, op: u32, i: u32): void {
  begin(vp);
  if (!needs(vp, i, 0)) return;
  const at = st(vp, i);
  finish(vp, 0, operate(vp, op, mantissa(at), signExp(at)));
}

export function x87_arith_to_sti(vp: u32, op: u32, i: u32, popping: u32): void {
  begin(vp);
  if (needs(vp, i, i)) {
    const at = st(vp, i);
    finish(vp, i, operate(vp, op, mantissa(at), signExp(at)));
  }
  if (popping && !stopped()) pop(vp);
}

function arithmeticWithMemory(vp: u32, op: u32, bits: u64, F: u32): void {
  begin(vp);
  if (!needs0(vp)) return;
  const m = fromMemory(vp, bits, F);
  finish(vp, 0, operate(vp, op, m, F80.se));
}

export function x87_arith_f32(vp: u32, op: u32, bits: u32): void {
  arithmeticWithMemory(vp, op, bits, 23);
}

export function x87_arith_f64(vp: u32, op: u32, bits: u64): void {
  arithmeticWithMemory(vp, op, bits, 52);
}

export function x87_arith_int(vp: u32, op: u32, value: i32): void {
  begin(vp);
  if (!needs0(vp)) return;
  const m = fromInteger(value);
  finish(vp, 0, operate(vp, op, m, F80.se));
}

/**
 * A memory operand as an 80-bit value that the operation looks at once more: its NaN stays signalling. Its being a denormal,
 * which the 80-bit form does not show, raises DE here, unless a NaN in ST(0) goes first.
 */
function fromMemory(vp: u32, bits: u64, F: u32): u64 {
  const m = fromBinary(bits, F);
  const raised = Env.raised;
  Env.raised = 0;
  if ((raised & IE) != 0) return m & ~QUIET;
  const at = st(vp, 0);
  if (!isOdd(mantissa(at), signExp(at))) Env.raised = raised;
  return m;
}

/** Sets C3 C2 C0 by an order, and C1 = 0. */
function setConditions(vp: u32, order: u32): void {
  let bits: u32 = 0;
  if (order == UNORDERED) bits = C3 | C2 | C0;
  else if (order == EQUAL) bits = C3;
  else if (order == LESS) bits = C0;
  setFsw(vp, (fsw(vp) & ~CONDITIONS) | bits);
}

function compare(vp: u32, m: u64, se: u32, quiet: u32, pops: u32): void {
  const at = st(vp, 0);
  const order = f80Compare(mantissa(at), signExp(at), m, se, quiet);
  end(vp);
  // The order is there even when an unmasked exception stops the pops.
  setConditions(vp, order);
  if (stopped()) return;
  for (; pops; pops--) pop(vp);
}

/** The masked response of a comparison to an empty register is "unordered". */
function compareEmpty(vp: u32, pops: u32): void {
  const masked = stackFault(vp, false);
  setConditions(vp, UNORDERED);
  if (!masked) return;
  for (; pops; pops--) pop(vp);
}

export function x87_com_sti(vp: u32, i: u32, quiet: u32, pops: u32): void {
  begin(vp);
  if (isEmpty(vp, 0) || isEmpty(vp, i)) return compareEmpty(vp, pops);
  const at = st(vp, i);
  compare(vp, mantissa(at), signExp(at), quiet, pops);
}

export function x87_com_f32(vp: u32, bits: u32, pops: u32): void {
  begin(vp);
  if (isEmpty(vp, 0)) return compareEmpty(vp, pops);
  const m = fromMemory(vp, bits, 23);
  compare(vp, m, F80.se, 0, pops);
}

export function x87_com_f64(vp: u32, bits: u64, pops: u32): void {
  begin(vp);
  if (isEmpty(vp, 0)) return compareEmpty(vp, pops);
  const m = fromMemory(vp, bits, 52);
  compare(vp, m, F80.se, 0, pops);
}

export function x87_com_int(vp: u32, value: i32, pops: u32): void {
  begin(vp);
  if (isEmpty(vp, 0)) return compareEmpty(vp, pops);
  const m = fromInteger(value);
  compare(vp, m, F80.se, 0, pops);
}

/** EFLAGS of an order: ZF PF CF. */
export function flagsOf(order: u32): u32 {
  if (order == UNORDERED) return 0x45;
  if (order == EQUAL) return 0x40;
  return order == LESS ? 1 : 0;
}

export function x87_comi(vp: u32, i: u32, quiet: u32, popping: u32): u32 {
  begin(vp);
  if (isEmpty(vp, 0) || isEmpty(vp, i)) {
    if (stackFault(vp, false) && popping) pop(vp);
    return flagsOf(UNORDERED);
  }
  const a = st(vp, 0);
  const b = st(vp, i);
  const order = f80Compare(mantissa(a), signExp(a), mantissa(b), signExp(b), quiet);
  endKeepingC1(vp);
  if (popping && !stopped()) pop(vp);
  return flagsOf(order);
}

export function x87_fxch(vp: u32, i: u32): void {
  begin(vp);
  if (isEmpty(vp, 0) || isEmpty(vp, i)) {
    if (!stackFault(vp, false)) return;
    const nan = indefinite();
    if (isEmpty(vp, 0)) put(vp, 0, nan);
    if (isEmpty(vp, i)) put(vp, i, nan);
  } else end(vp);
  const a = st(vp, 0);
  const b = st(vp, i);
  const m = mantissa(a);
  const se = signExp(a);
  put(vp, 0, give(signExp(b), mantissa(b)));
  put(vp, i, give(se, m));
}

export function x87_fcmov(vp: u32, i: u32, condition: u32): void {
  begin(vp);
  if (!needs(vp, i, 0)) return;
  const at = st(vp, i);
  if (condition) put(vp, 0, give(signExp(at), mantissa(at)));
}

export function x87_ffree(vp: u32, i: u32, popping: u32): void {
  setFsw(vp, fsw(vp) & ~C1);
  setTag(vp, i, EMPTY);
  if (popping) pop(vp);
}

export function fchs(vp: u32): void {
  begin(vp);
  if (!needs0(vp)) return;
  end(vp);
  const at = st(vp, 0);
  store<u16>(at, u16(signExp(at) ^ 0x8000), 8);
}

export function fabs(vp: u32): void {
  begin(vp);
  if (!needs0(vp)) return;
  end(vp);
  const at = st(vp, 0);
  store<u16>(at, u16(signExp(at) & 0x7fff), 8);
}

export function ftst(vp: u32): void {
  begin(vp);
  if (isEmpty(vp, 0)) return compareEmpty(vp, 0);
  compare(vp, 0, 0, 0, 0);
}

export function fxam(vp: u32): void {
  const at = st(vp, 0);
  const m = mantissa(at);
  const se = signExp(at);
  let bits = se >> 15 ? C1 : 0;
  if (isEmpty(vp, 0)) bits |= C3 | C0;
  else if (isUnsupported(m, se)) bits |= 0;
  else if (isNan(m, se)) bits |= C0;
  else if (isInfinite(m, se)) bits |= C2 | C0;
  else if (isZero(m, se)) bits |= C3;
  else if (isDenormal(m, se)) bits |= C3 | C2;
  else bits |= C2;
  setFsw(vp, (fsw(vp) & ~CONDITIONS) | bits);
}

export function fsqrt(vp: u32): void {
  begin(vp);
  if (!needs0(vp)) return;
  const at = st(vp, 0);
  finish(vp, 0, f80Sqrt(mantissa(at), signExp(at)));
}

export function frndint(vp: u32): void {
  begin(vp);
  if (!needs0(vp)) return;
  const at = st(vp, 0);
  finish(vp, 0, f80RoundToInteger(mantissa(at), signExp(at)));
}

export function fscale(vp: u32): void {
  begin(vp);
  if (!needs(vp, 1, 0)) return;
  const a = st(vp, 0);
  const b = st(vp, 1);
  finish(vp, 0, f80Scale(mantissa(a), signExp(a), mantissa(b), signExp(b)));
}

export function fprem(vp: u32, nearest: bool): void {
  begin(vp);
  setFsw(vp, fsw(vp) & ~C2);
  if (!needs(vp, 1, 0)) return;
  const a = st(vp, 0);
  const b = st(vp, 1);
  const rest = f80Remainder(mantissa(a), signExp(a), mantissa(b), signExp(b), nearest);
  if (!finish(vp, 0, rest) || Remainder.none) return;
  const q = Remainder.quotient;
  let bits: u32 = Remainder.partial ? C2 : 0;
  if (q & 1) bits |= C1;
  if (q & 2) bits |= C3;
  if (q & 4) bits |= C0;
  setFsw(vp, (fsw(vp) & ~CONDITIONS) | bits);
}

export function fxtract(vp: u32): void {
  begin(vp);
  if (isEmpty(vp, 0) || !isEmpty(vp, 7)) {
    const overflow = !isEmpty(vp, 0);
    if (!stackFault(vp, overflow)) return;
    const nan = indefinite();
    put(vp, 0, nan);
    setTop(vp, topOf(vp) - 1);
    put(vp, 0, nan);
    return;
  }
  const at = st(vp, 0);
  const exponent = f80Extract(mantissa(at), signExp(at));
  if (!finish(vp, 0, exponent)) return;
  setTop(vp, topOf(vp) - 1);
  put(vp, 0, give(Extracted.se, Extracted.m));
}

export function rotate(vp: u32, by: u32): void {
  setTop(vp, topOf(vp) + by);
  setFsw(vp, fsw(vp) & ~C1);
}
