/**
 * ADD, SUB, MUL, DIV, SQRT and comparison of 80-bit values. Exceptions go to `Env`; when one that is unmasked stops the
 * operation (`stopped()`), the value returned means nothing.
 */
import { DE, Env, IE, stopped, ZE } from "./environment";
import {
  exponentOf, F80, give, indefinite, infinity, isDenormal, isInfinite, isNan, isOdd, isSignaling, isUnsupported, isZero,
  propagate, propagate2, roundZ, significandOf, zero,
} from "./f80";
import { add, div, mul, sqrtOf } from "./unpacked";

function invalid(): u64 {
  Env.raised |= IE;
  return indefinite();
}

/** Raises DE for a denormal among the operands; true when that stops the operation. */
function denormals(am: u64, ase: u32, bm: u64, bse: u32): bool {
  if (isDenormal(am, ase) || isDenormal(bm, bse)) Env.raised |= DE;
  return stopped();
}

export function f80Add(am: u64, ase: u32, bm: u64, bse: u32, subtract: u32): u64 {
  if (isOdd(am, ase) || isOdd(bm, bse)) return propagate2(am, ase, bm, bse);
  bse ^= subtract << 15;
  const aSign = ase >> 15;
  const bSign = bse >> 15;
  if (isInfinite(am, ase)) {
    if (isInfinite(bm, bse) && aSign != bSign) return invalid();
    denormals(am, ase, bm, bse);
    return give(ase, am);
  }
  if (denormals(am, ase, bm, bse)) return 0;
  if (isInfinite(bm, bse)) return give(bse, bm);
  if (am == 0 && bm == 0) return zero(aSign == bSign ? aSign : u32(Env.rounding == 1));
  // Adding zero still rounds to the precision in force.
  if (am == 0) add(bSign, exponentOf(bm, bse), significandOf(bm), 0, -0x10000, 0);
  else if (bm == 0) add(aSign, exponentOf(am, ase), significandOf(am), 0, -0x10000, 0);
  else add(aSign, exponentOf(am, ase), significandOf(am), bSign, exponentOf(bm, bse), significandOf(bm));
  return roundZ(F80.precision);
}

export function f80Mul(am: u64, ase: u32, bm: u64, bse: u32): u64 {
  if (isOdd(am, ase) || isOdd(bm, bse)) return propagate2(am, ase, bm, bse);
  const sign = (ase ^ bse) >> 15;
  const endless = isInfinite(am, ase) || isInfinite(bm, bse);
  const nothing = isZero(am, ase) || isZero(bm, bse);
  if (endless && nothing) return invalid();
  if (denormals(am, ase, bm, bse)) return 0;
  if (endless) return infinity(sign);
  if (nothing) return zero(sign);
  mul(ase >> 15, exponentOf(am, ase), significandOf(am), bse >> 15, exponentOf(bm, bse), significandOf(bm));
  return roundZ(F80.precision);
}

export function f80Div(am: u64, ase: u32, bm: u64, bse: u32): u64 {
  if (isOdd(am, ase) || isOdd(bm, bse)) return propagate2(am, ase, bm, bse);
  const sign = (ase ^ bse) >> 15;
  if (isInfinite(am, ase) && isInfinite(bm, bse)) return invalid();
  if (isZero(am, ase) && isZero(bm, bse)) return invalid();
  if (isZero(bm, bse) && !isInfinite(am, ase)) {
    Env.raised = ZE; // and not DE, whatever a is
    return infinity(sign);
  }
  if (denormals(am, ase, bm, bse)) return 0;
  if (isInfinite(am, ase)) return infinity(sign);
  if (isInfinite(bm, bse) || isZero(am, ase)) return zero(sign);
  div(ase >> 15, exponentOf(am, ase), significandOf(am), bse >> 15, exponentOf(bm, bse), significandOf(bm));
  return roundZ(F80.precision);
}

export function f80Sqrt(m: u64, se: u32): u64 {
  if (isOdd(m, se)) return propagate(m, se);
  if (isZero(m, se)) return give(se, m);
  if (se >> 15) return invalid();
  if (isInfinite(m, se)) return give(se, m);
  if (denormals(m, se, m, se)) return 0;
  sqrtOf(exponentOf(m, se), significandOf(m));
  return roundZ(F80.precision);
}

export const LESS: u32 = 1;
export const EQUAL: u32 = 2;
export const GREATER: u32 = 4;
export const UNORDERED: u32 = 8;

/** The order of a and b. A quiet comparison is invalid only for signalling NaNs and unsupported values. */
export function f80Compare(am: u64, ase: u32, bm: u64, bse: u32, quiet: u32): u32 {
  if (isOdd(am, ase) || isOdd(bm, bse)) {
    const bad = isSignaling(am, ase) || isSignaling(bm, bse) || isUnsupported(am, ase) || isUnsupported(bm, bse);
    if (bad || quiet == 0) Env.raised |= IE;
    return UNORDERED;
  }
  denormals(am, ase, bm, bse);
  if (am == 0 && bm == 0) return EQUAL;
  const aSign = ase >> 15;
  if (isZero(am, ase)) return bse >> 15 ? GREATER : LESS;
  if (isZero(bm, bse) || aSign != bse >> 15) return aSign ? LESS : GREATER;
  if (ase == bse && am == bm) return EQUAL;
  const ae = exponentOf(am, ase);
  const be = exponentOf(bm, bse);
  const as = significandOf(am);
  const bs = significandOf(bm);
  if (ae == be && as == bs) return EQUAL; // a pseudo-denormal and its normal twin
  const less = ae < be || (ae == be && as < bs);
  return less != (aSign != 0) ? LESS : GREATER;
}
