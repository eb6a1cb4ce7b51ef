/** Conversions between the 80-bit format and f32, f64, integers and packed BCD. Exceptions go to `Env`. */
import * as binary from "./binary";
import { DE, Env, IE, PE, roundsAway, ZERO } from "./environment";
import {
  BIAS, exponentOf, F80, give, infinity, isOdd, isUnsupported, isZero, J, MAX_EXP, QUIET, significandOf, zero,
} from "./f80";
import { shiftRightSticky, W } from "./wide";

/** f32 (F = 23) or f64 (F = 52) to 80 bits: exact; a signalling NaN is invalid, a denormal raises DE. */
export function fromBinary(a: u64, F: u32): u64 {
  const sign = binary.signOf(a, F);
  const fraction = binary.fractionOf(a, F);
  const biased = binary.biasedOf(a, F);
  if (biased == binary.maxExponent(F)) {
    if (fraction == 0) return infinity(sign);
    if ((fraction & binary.quietBit(F)) == 0) Env.raised |= IE;
    return give((sign << 15) | MAX_EXP, J | QUIET | (fraction << (63 - F)));
  }
  if (biased == 0) {
    if (fraction == 0) return zero(sign);
    Env.raised |= DE;
  }
  return give((sign << 15) | u32(binary.exponentOf(a, F) + BIAS), binary.significandOf(a, F));
}

/** To f32 or f64 with rounding, overflow and underflow. */
export function toBinary(m: u64, se: u32, F: u32): u64 {
  const sign = se >> 15;
  if (isOdd(m, se)) {
    if (isUnsupported(m, se)) {
      Env.raised |= IE;
      return binary.indefiniteOf(F);
    }
    if ((m & QUIET) == 0) Env.raised |= IE;
    return binary.infinityOf(sign, F) | binary.quietBit(F) | ((m << 1) >> (64 - F));
  }
  if ((se & MAX_EXP) == MAX_EXP) return binary.infinityOf(sign, F);
  if (isZero(m, se)) return u64(sign) << binary.signShift(F);
  return binary.round(sign, exponentOf(m, se), significandOf(m), 0, F, false);
}

export function fromInteger(value: i64): u64 {
  if (value == 0) return zero(0);
  const sign = u32(value < 0);
  const magnitude = sign ? u64(0 - value) : u64(value);
  const n = u32(clz(magnitude));
  return give((sign << 15) | (u32(BIAS) + 63 - n), magnitude << n);
}

/** The magnitude rounded to an integer, when it is below 2^64; otherwise all ones. Raises PE. */
export function integerOf(m: u64, se: u32): u64 {
  if (isZero(m, se)) return 0;
  const exponent = exponentOf(m, se);
  if (exponent > 63) return ~u64(0);
  const whole = shiftRightSticky(significandOf(m), 0, min(63 - exponent, 200));
  const rest = W.low;
  if (rest == 0) return whole;
  const up = roundsAway(se >> 15, whole & 1, rest);
  Env.raised |= PE;
  Env.up = u32(up);
  return whole + up;
}

/** An invalid conversion forgets what rounding said. */
function invalid(): void {
  Env.raised = (Env.raised & ~PE) | IE;
  Env.up = 0;
}

/** To a signed integer of `bits` bits (16, 32, 64), or the integer indefinite −2^(bits−1). */
export function toInteger(m: u64, se: u32, bits: u32, truncate: bool): i64 {
  const mode = Env.rounding;
  if (truncate) Env.rounding = ZERO;
  const magnitude = (se & MAX_EXP) == MAX_EXP || isOdd(m, se) ? ~u64(0) : integerOf(m, se);
  Env.rounding = mode;
  const sign = se >> 15;
  const limit = u64(1) << (bits - 1);
  if (magnitude > limit - 1 + sign) {
    invalid();
    return 0 - i64(limit);
  }
  return sign ? 0 - i64(magnitude) : i64(magnitude);
}

/** 18 packed decimal digits and a sign byte; any nibble above 9 is undefined and counts as its value here. */
export function fromBcd(low: u64, high: u32): u64 {
  let value: u64 = (u64(high >> 4) & 15) * 10 + (high & 15);
  for (let shift = 60; shift >= 0; shift -= 4) value = value * 10 + ((low >> shift) & 15);
  if (value == 0) return zero((high >> 15) & 1);
  const m = fromInteger(i64(value));
  return give(((high >> 15) << 15) | F80.se, m);
}

/** Bytes 0-7 as the value, bytes 8-9 in `F80.se`. */
export function toBcd(m: u64, se: u32): u64 {
  let magnitude = (se & MAX_EXP) == MAX_EXP || isOdd(m, se) ? ~u64(0) : integerOf(m, se);
  if (magnitude > 999999999999999999) {
    invalid();
    return give(0xffff, 0xc000000000000000);
  }
  let low: u64 = 0;
  for (let shift = 0; shift < 64; shift += 4) {
    low |= (magnitude % 10) << shift;
    magnitude /= 10;
  }
  return give(((se >> 15) << 15) | u32(magnitude % 10) | (u32(magnitude / 10) << 4), low);
}
