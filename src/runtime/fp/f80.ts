/**
 * The 80-bit double-extended format: its classes, its NaN rules, and rounding into it. (SDM 1, "x87 FPU Data Types".)
 *
 * A value is a mantissa (u64 with the explicit integer bit J at 63) and `se`, 15 bits of exponent with the sign above.
 * Functions that give a value back return the mantissa and leave `se` in `F80.se`.
 */
import { Env, IE, OE, PE, roundsAway, UE, UP, DOWN, NEAREST, ZERO } from "./environment";
import { shiftRightSticky, W } from "./wide";
import { Z } from "./unpacked";

export class F80 {
  static se: u32 = 0;
  /** Significant bits kept by ADD, SUB, MUL, DIV and SQRT: 24, 53 or 64 (FCW.PC). */
  static precision: u32 = 64;
}

export const J: u64 = 0x8000000000000000;
export const QUIET: u64 = 0x4000000000000000;
export const MAX_EXP: u32 = 0x7fff;
export const BIAS: i32 = 16383;

// @ts-ignore: decorator
@inline
export function give(se: u32, m: u64): u64 {
  F80.se = se;
  return m;
}

/** The "real indefinite": the NaN that an invalid operation gives. */
export function indefinite(): u64 {
  return give(0xffff, 0xc000000000000000);
}

export function infinity(sign: u32): u64 {
  return give((sign << 15) | MAX_EXP, J);
}

export function zero(sign: u32): u64 {
  return give(sign << 15, 0);
}

/** An exponent without the integer bit: pseudo-NaN, pseudo-infinity or unnormal. Any arithmetic on one is invalid. */
// @ts-ignore: decorator
@inline
export function isUnsupported(m: u64, se: u32): bool {
  return (se & MAX_EXP) != 0 && m >> 63 == 0;
}

// @ts-ignore: decorator
@inline
export function isNan(m: u64, se: u32): bool {
  return (se & MAX_EXP) == MAX_EXP && m > J;
}

// @ts-ignore: decorator
@inline
export function isSignaling(m: u64, se: u32): bool {
  return isNan(m, se) && (m & QUIET) == 0;
}

// @ts-ignore: decorator
@inline
export function isInfinite(m: u64, se: u32): bool {
  return (se & MAX_EXP) == MAX_EXP && m == J;
}

// @ts-ignore: decorator
@inline
export function isZero(m: u64, se: u32): bool {
  return (se & MAX_EXP) == 0 && m == 0;
}

/** Denormals, and pseudo-denormals (J set under exponent 0, which counts as exponent 1). */
// @ts-ignore: decorator
@inline
export function isDenormal(m: u64, se: u32): bool {
  return (se & MAX_EXP) == 0 && m != 0;
}

/** True when no arithmetic is needed: a NaN or an unsupported value. */
// @ts-ignore: decorator
@inline
export function isOdd(m: u64, se: u32): bool {
  return (se & MAX_EXP) == MAX_EXP ? m != J : isUnsupported(m, se);
}

/** Unbiased exponent and normalised significand of a finite nonzero value. */
export function exponentOf(m: u64, se: u32): i32 {
  const e = i32(se & MAX_EXP);
  return e == 0 ? 1 - BIAS - i32(clz(m)) : e - BIAS;
}

// @ts-ignore: decorator
@inline
export function significandOf(m: u64): u64 {
  return m << clz(m);
}

/** The result when `a` is a NaN or unsupported and there is no other operand. */
export function propagate(m: u64, se: u32): u64 {
  if (isUnsupported(m, se)) {
    Env.raised |= IE;
    return indefinite();
  }
  if ((m & QUIET) == 0) Env.raised |= IE;
  return give(se, m | QUIET);
}

/** The result when `a` or `b` is a NaN or unsupported. (SDM 1, table "Rules for Handling NaNs".) */
export function propagate2(am: u64, ase: u32, bm: u64, bse: u32): u64 {
  if (isUnsupported(am, ase) || isUnsupported(bm, bse)) {
    Env.raised |= IE;
    return indefinite();
  }
  const aSignaling = isSignaling(am, ase);
  const bSignaling = isSignaling(bm, bse);
  if (aSignaling || bSignaling) Env.raised |= IE;
  if (!isNan(bm, bse)) return give(ase, am | QUIET);
  if (!isNan(am, ase)) return give(bse, bm | QUIET);
  // One signalling, one quiet: the quiet one.
  if (aSignaling && !bSignaling) return give(bse, bm);
  if (bSignaling && !aSignaling) return give(ase, am);
  const first = am << 1 == bm << 1 ? ase < bse : am > bm;
  return first ? give(ase, am | QUIET) : give(bse, bm | QUIET);
}

/** The result of an overflow with the exception masked: infinity, or the largest number where rounding points inward. */
function overflowed(sign: u32, low: u64): u64 {
  const mode = Env.rounding;
  const inward = mode == ZERO || (mode != NEAREST && (mode == UP) != (sign == 0));
  Env.raised |= OE | PE;
  Env.up = u32(!inward);
  if (!inward) return infinity(sign);
  return give((sign << 15) | 0x7ffe, ~low);
}

/**
 * Rounds ±high:low / 2^127 · 2^exponent (top bit set) to `bits` significant bits and the range of the format.
 * Unmasked overflow and underflow give the result scaled by 2^∓24576, as for a register destination.
 */
export function round(sign: u32, exponent: i32, high: u64, low: u64, bits: u32): u64 {
  const below = 64 - bits;
  const mask: u64 = (u64(1) << below) - 1;
  let biased = exponent + BIAS;
  if (biased <= 0) {
    const carries = biased == 0 && (high | mask) == ~u64(0) && away(sign, high, low, below) != 0;
    if (!carries) {
      if ((Env.masked & UE) == 0) {
        Env.raised |= UE;
        biased += 24576;
        if (biased <= 0) {
          // Only FSCALE reaches this far: nothing is left even after scaling.
          Env.raised |= PE;
          return zero(sign);
        }
      } else {
        high = shiftRightSticky(high, low, min(1 - biased, 200));
        low = W.low;
        if ((high & mask) != 0 || low != 0) Env.raised |= UE;
        biased = 0;
      }
    } else {
      high = shiftRightSticky(high, low, 1);
      low = W.low;
      biased = 0;
    }
  }
  const up = away(sign, high, low, below);
  if ((high & mask) != 0 || low != 0) {
    Env.raised |= PE;
    Env.up = u32(up);
  }
  high &= ~mask;
  if (up) {
    const more = high + mask + 1;
    if (more < high) {
      high = J;
      biased++;
    } else high = more;
  }
  if (biased == 0) return give((sign << 15) | u32(high >> 63), high);
  if (biased >= 0x7fff) {
    if ((Env.masked & OE) != 0) return overflowed(sign, mask);
    Env.raised |= OE;
    biased -= 24576;
    if (biased >= 0x7fff) {
      // FSCALE again: an infinity whatever the rounding mode.
      Env.raised |= PE;
      Env.up = 1;
      return infinity(sign);
    }
  }
  return give((sign << 15) | u32(biased), high);
}

/** Whether `high:low` rounds away from zero when its lowest `below` bits of `high` and all of `low` go. */
function away(sign: u32, high: u64, low: u64, below: u32): u64 {
  if (below == 0) return roundsAway(sign, high & 1, low);
  const rest = (high << (64 - below)) | u64(low != 0);
  return roundsAway(sign, (high >> below) & 1, rest);
}

/** Rounds `Z`; a zero of an exact cancellation takes the sign that the rounding mode asks for. */
export function roundZ(bits: u32): u64 {
  if ((Z.high | Z.low) == 0) return zero(u32(Env.rounding == DOWN));
  return round(Z.sign, Z.exponent, Z.high, Z.low, bits);
}
