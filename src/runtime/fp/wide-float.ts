/**
 * Floating point with 128-bit significands, for the transcendental functions: ±(high:low / 2^127) · 2^exponent with the top
 * bit set. Results are in `R`, truncated, with relative error below 2^-120; zero has high = 0.
 */
import { multiply, shiftLeft, shiftRightSticky, W } from "./wide";

export class R {
  static sign: u32 = 0;
  static exponent: i32 = 0;
  static high: u64 = 0;
  static low: u64 = 0;
}

export function setR(sign: u32, exponent: i32, high: u64, low: u64): void {
  R.sign = sign;
  R.exponent = exponent;
  R.high = high;
  R.low = low;
}

/** Normalises high:low, any value but zero having its top bit found. */
export function normalizeR(sign: u32, exponent: i32, high: u64, low: u64): void {
  if ((high | low) == 0) return setR(sign, 0, 0, 0);
  const n = high != 0 ? i32(clz(high)) : 64 + i32(clz(low));
  const top = shiftLeft(high, low, n);
  setR(sign, exponent - n, top, W.low);
}

/** The upper 128 bits of a 128 x 128-bit product, low half in `W.low`; up to 3 units too small. */
export function multiplyHigh(ah: u64, al: u64, bh: u64, bl: u64): u64 {
  const x = multiply(ah, bl);
  const y = multiply(al, bh);
  const high = multiply(ah, bh);
  const low = W.low;
  const first = low + x;
  const carry = u64(first < low);
  W.low = first + y;
  return high + carry + u64(W.low < first);
}

/** high:low / d for a small d, low half in `W.low`. */
export function divideSmall(high: u64, low: u64, d: u64): u64 {
  const q = high / d;
  const r1 = ((high - q * d) << 32) | (low >> 32);
  const q1 = r1 / d;
  const r0 = ((r1 - q1 * d) << 32) | (low & 0xffffffff);
  W.low = (q1 << 32) + r0 / d;
  return q;
}

/** R = R · b. */
export function mulR(sign: u32, exponent: i32, high: u64, low: u64): void {
  const product = multiplyHigh(R.high, R.low, high, low);
  normalizeR(R.sign ^ sign, R.exponent + exponent + 1, product, W.low);
}

/** R = R + b. */
export function addR(sign: u32, exponent: i32, high: u64, low: u64): void {
  if (high == 0) return;
  if (R.high == 0) return setR(sign, exponent, high, low);
  let aSign = R.sign;
  let aExp = R.exponent;
  let ah = R.high;
  let al = R.low;
  if (aExp < exponent || (aExp == exponent && (ah < high || (ah == high && al < low)))) {
    aSign = sign;
    aExp = exponent;
    ah = high;
    al = low;
    sign = R.sign;
    exponent = R.exponent;
    high = R.high;
    low = R.low;
  }
  const bh = shiftRightSticky(high, low, min(aExp - exponent, 200));
  const bl = W.low;
  if (aSign != sign) return normalizeR(aSign, aExp, ah - bh - u64(al < bl), al - bl);
  const l = al + bl;
  const carry = u64(l < al);
  const h = ah + bh;
  const sum = h + carry;
  if (h >= ah && sum >= h) return setR(aSign, aExp, sum, l);
  setR(aSign, aExp + 1, (sum >> 1) | 0x8000000000000000, (sum << 63) | (l >> 1));
}

/** R = R / b, by long division: one quotient bit a step. */
export function divR(sign: u32, exponent: i32, high: u64, low: u64): void {
  let rh = R.high;
  let rl = R.low;
  let e = R.exponent - exponent;
  let carry: u64 = 0;
  if (rh < high || (rh == high && rl < low)) {
    carry = rh >> 63;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
    e--;
  }
  let qh: u64 = 0;
  let ql: u64 = 0;
  for (let i = 0; i < 128; i++) {
    qh = (qh << 1) | (ql >> 63);
    ql <<= 1;
    if (carry != 0 || rh > high || (rh == high && rl >= low)) {
      rh = rh - high - u64(rl < low);
      rl -= low;
      ql |= 1;
    }
    carry = rh >> 63;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
  }
  setR(R.sign ^ sign, e, qh, ql);
}

/** |R| as a fraction of 2^128 for |R| < 1: the high half, low half in `W.low`. */
export function fractionOfR(): u64 {
  return shiftRightSticky(R.high, R.low, min(-1 - R.exponent, 200));
}

/** R² as a fraction of 2^128, for |R| < 1. */
export function squareOfR(): u64 {
  const square = multiplyHigh(R.high, R.low, R.high, R.low);
  return shiftRightSticky(square, W.low, min(-2 - 2 * R.exponent, 200));
}

/** R = R · t, with t a fraction of 2^128. */
export function scaleR(high: u64, low: u64): void {
  mulR(0, -1, high, low);
}
