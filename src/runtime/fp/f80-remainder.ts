/** FPREM, FPREM1, FSCALE, FRNDINT and FXTRACT on 80-bit values. Exceptions go to `Env`. */
import { integerOf } from "./f80-convert";
import { DE, Env, IE, stopped, ZE } from "./environment";
import {
  BIAS, exponentOf, F80, give, indefinite, infinity, isDenormal, isInfinite, isOdd, isZero, propagate, propagate2, round,
  significandOf, zero,
} from "./f80";
import { fromInteger } from "./f80-convert";

export class Remainder {
  /** Low bits of the quotient, when complete. */
  static quotient: u32 = 0;
  /** 1: only a part of the exponent difference was removed; the instruction is to be repeated (C2). */
  static partial: u32 = 0;
  /** There is no quotient: a NaN or an invalid operation, which leaves C0, C2 and C3 alone. */
  static none: bool = false;
}

function invalid(): u64 {
  Env.raised |= IE;
  return indefinite();
}

/** ST(0) rem ST(1): truncated quotient (FPREM), or rounded to nearest even (FPREM1). */
export function f80Remainder(am: u64, ase: u32, bm: u64, bse: u32, nearest: bool): u64 {
  Remainder.quotient = 0;
  Remainder.partial = 0;
  Remainder.none = true;
  if (isOdd(am, ase) || isOdd(bm, bse)) return propagate2(am, ase, bm, bse);
  if (isInfinite(am, ase) || isZero(bm, bse)) return invalid();
  if (isDenormal(am, ase) || isDenormal(bm, bse)) Env.raised |= DE;
  if (stopped()) return 0;
  Remainder.none = false;
  if (isZero(am, ase)) return give(ase, am);
  let sign = ase >> 15;
  const ae = exponentOf(am, ase);
  const a = significandOf(am);
  if (isInfinite(bm, bse)) return round(sign, ae, a, 0, 64);
  const be = exponentOf(bm, bse);
  const b = significandOf(bm);
  const distance = ae - be;
  const least = nearest ? -1 : 0;
  if (distance < least) return round(sign, ae, a, 0, 64);
  if (distance < 0) {
    // a/b is in (1/4, 1): the nearest integer is 1 when it is above a half, and then the rest is a − b = −(2b − a)/2.
    if (a <= b) return round(sign, ae, a, 0, 64);
    Remainder.quotient = 1;
    const rest = b - (a - b);
    return finish(sign ^ 1, ae, rest);
  }
  // A partial step removes 32 to 63 of the exponent difference.
  const partial = distance >= 64;
  const steps = partial ? (distance & 31) | 32 : distance;
  let rest = a;
  let quotient: u64 = 0;
  if (rest >= b) {
    rest -= b;
    quotient = 1;
  }
  for (let i = 0; i < steps; i++) {
    const carry = rest >> 63;
    rest <<= 1;
    quotient <<= 1;
    if (carry != 0 || rest >= b) {
      rest -= b;
      quotient |= 1;
    }
  }
  if (partial) {
    Remainder.partial = 1;
    return finish(sign, ae - steps, rest);
  }
  if (nearest && (rest > b - rest || (rest == b - rest && (quotient & 1) != 0))) {
    rest = b - rest;
    sign ^= 1;
    quotient++;
  }
  Remainder.quotient = u32(quotient) & 7;
  if (rest == 0) return zero(ase >> 15);
  return finish(sign, be, rest);
}

function finish(sign: u32, exponent: i32, rest: u64): u64 {
  if (rest == 0) return zero(sign);
  const n = i32(clz(rest));
  return round(sign, exponent - n, rest << n, 0, 64);
}

/** a · 2^trunc(b). */
export function f80Scale(am: u64, ase: u32, bm: u64, bse: u32): u64 {
  if (isOdd(am, ase) || isOdd(bm, bse)) return propagate2(am, ase, bm, bse);
  const down = bse >> 15 != 0;
  if (isInfinite(bm, bse)) {
    if (down ? isInfinite(am, ase) : isZero(am, ase)) return invalid();
    if (isDenormal(am, ase)) Env.raised |= DE;
    if (stopped() || isInfinite(am, ase) || isZero(am, ase)) return give(ase, am);
    return down ? zero(ase >> 15) : infinity(ase >> 15);
  }
  if (isDenormal(am, ase) || isDenormal(bm, bse)) Env.raised |= DE;
  if (stopped() || isInfinite(am, ase) || isZero(am, ase)) return give(ase, am);
  let n = 0;
  if (!isZero(bm, bse)) {
    const e = exponentOf(bm, bse);
    n = e < 0 ? 0 : e > 16 ? 0x20000 : i32(bm >> (63 - e));
    if (down) n = -n;
  }
  return round(ase >> 15, exponentOf(am, ase) + n, significandOf(am), 0, 64);
}

export function f80RoundToInteger(m: u64, se: u32): u64 {
  if (isOdd(m, se)) return propagate(m, se);
  if (isInfinite(m, se) || isZero(m, se)) return give(se, m);
  if (isDenormal(m, se)) Env.raised |= DE;
  if (stopped() || exponentOf(m, se) >= 63) return give(se, m);
  const magnitude = integerOf(m, se);
  if (magnitude == 0) return zero(se >> 15);
  if (magnitude >> 63 != 0) return give((se & 0x8000) | u32(BIAS + 63), magnitude);
  const rounded = fromInteger(i64(magnitude));
  return give((se & 0x8000) | F80.se, rounded);
}

/** The exponent of a value as a number, for FXTRACT; the significand goes to `Extracted`. */
export class Extracted {
  static m: u64 = 0;
  static se: u32 = 0;
}

export function f80Extract(m: u64, se: u32): u64 {
  Extracted.m = m;
  Extracted.se = se;
  if (isOdd(m, se)) {
    const nan = propagate(m, se);
    Extracted.m = nan;
    Extracted.se = F80.se;
    return nan;
  }
  if (isInfinite(m, se)) return infinity(0);
  if (isZero(m, se)) {
    Env.raised |= ZE;
    return infinity(1);
  }
  if (isDenormal(m, se)) Env.raised |= DE;
  if (stopped()) return 0;
  Extracted.m = significandOf(m);
  Extracted.se = (se & 0x8000) | u32(BIAS);
  return fromInteger(i64(exponentOf(m, se)));
}
