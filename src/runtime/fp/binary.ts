/**
 * The IEEE formats f32 and f64 (raw bits in a u64): unpacking, and rounding into them. `F` is the number of fraction bits,
 * 23 or 52; the rest follows from it.
 */
import { Env, DOWN, NEAREST, OE, PE, roundsAway, UE, UP, ZERO } from "./environment";
import { shiftRightSticky, W } from "./wide";
import { Z } from "./unpacked";

// @ts-ignore: decorator
@inline
export function signShift(F: u32): u32 {
  return F == 23 ? 31 : 63;
}

// @ts-ignore: decorator
@inline
export function bias(F: u32): i32 {
  return F == 23 ? 127 : 1023;
}

// @ts-ignore: decorator
@inline
export function maxExponent(F: u32): u64 {
  return F == 23 ? 0xff : 0x7ff;
}

// @ts-ignore: decorator
@inline
export function signOf(a: u64, F: u32): u32 {
  return u32(a >> signShift(F));
}

// @ts-ignore: decorator
@inline
export function biasedOf(a: u64, F: u32): u64 {
  return (a >> F) & maxExponent(F);
}

// @ts-ignore: decorator
@inline
export function fractionOf(a: u64, F: u32): u64 {
  return a & ((u64(1) << F) - 1);
}

/** The bits of ±0, without the sign: everything but the sign. */
// @ts-ignore: decorator
@inline
export function magnitudeOf(a: u64, F: u32): u64 {
  return a & ((u64(1) << signShift(F)) - 1);
}

// @ts-ignore: decorator
@inline
export function infinityOf(sign: u32, F: u32): u64 {
  return (u64(sign) << signShift(F)) | (maxExponent(F) << F);
}

// @ts-ignore: decorator
@inline
export function quietBit(F: u32): u64 {
  return u64(1) << (F - 1);
}

// @ts-ignore: decorator
@inline
export function indefiniteOf(F: u32): u64 {
  return infinityOf(1, F) | quietBit(F);
}

// @ts-ignore: decorator
@inline
export function isNan(a: u64, F: u32): bool {
  return magnitudeOf(a, F) > infinityOf(0, F);
}

// @ts-ignore: decorator
@inline
export function isSignaling(a: u64, F: u32): bool {
  return isNan(a, F) && (a & quietBit(F)) == 0;
}

// @ts-ignore: decorator
@inline
export function isDenormal(a: u64, F: u32): bool {
  return biasedOf(a, F) == 0 && fractionOf(a, F) != 0;
}

/** Unbiased exponent of a finite nonzero value, as the unpacked form (unpacked.ts) has it. */
export function exponentOf(a: u64, F: u32): i32 {
  const e = i32(biasedOf(a, F));
  if (e != 0) return e - bias(F);
  return 1 - bias(F) - (i32(clz(fractionOf(a, F))) - (63 - i32(F)));
}

/** Its significand, top bit set. */
export function significandOf(a: u64, F: u32): u64 {
  const fraction = fractionOf(a, F);
  if (biasedOf(a, F) != 0) return (fraction | (u64(1) << F)) << (63 - F);
  return fraction << clz(fraction);
}

/**
 * Rounds ±high:low / 2^127 · 2^exponent (top bit set) to the format. With `flush` a tiny result becomes zero while UE is
 * masked (MXCSR.FTZ). With unmasked overflow or underflow the flags are right and the value means nothing.
 */
export function round(sign: u32, exponent: i32, high: u64, low: u64, F: u32, flush: bool): u64 {
  const below = 63 - F;
  let biased = exponent + bias(F);
  let significand = high >> below;
  let rest = (high << (64 - below)) | u64(low != 0);
  const top = u64(sign) << signShift(F);
  if (biased <= 0) {
    const carries = biased == 0 && significand == (u64(2) << F) - 1 && roundsAway(sign, 1, rest) != 0;
    if (carries || (Env.masked & UE) != 0) {
      if (!carries && flush) {
        Env.raised |= UE | PE;
        return top;
      }
      significand = shiftRightSticky(significand, rest, min(1 - biased, 200));
      rest = W.low;
      if (rest != 0 && !carries) Env.raised |= UE;
      biased = 0;
    } else Env.raised |= UE;
  }
  if (rest != 0) {
    Env.raised |= PE;
    const up = roundsAway(sign, significand & 1, rest);
    Env.up = u32(up);
    significand += up;
    if (significand >> (F + 1) != 0) {
      significand >>= 1;
      biased++;
    }
  }
  if (biased == 0) return top | significand; // a carry into bit F makes the smallest normal number
  if (biased >= i32(maxExponent(F))) return overflowed(sign, F);
  return top | ((u64(biased) << F) + fractionOf(significand, F));
}

function overflowed(sign: u32, F: u32): u64 {
  const mode = Env.rounding;
  Env.raised |= OE;
  if ((Env.masked & OE) == 0) return 0;
  const inward = mode == ZERO || (mode != NEAREST && (mode == UP) != (sign == 0));
  Env.raised |= PE;
  Env.up = u32(!inward);
  return infinityOf(sign, F) - u64(inward);
}

/** Rounds `Z`; a zero of an exact cancellation takes the sign that the rounding mode asks for. */
export function roundZ(F: u32, flush: bool): u64 {
  if ((Z.high | Z.low) == 0) return u64(Env.rounding == DOWN) << signShift(F);
  return round(Z.sign, Z.exponent, Z.high, Z.low, F, flush);
}
