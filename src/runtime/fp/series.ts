/**
 * The power series behind the transcendental functions, in fixed point: fractions of 2^128 as (high, low), low in `W.low`.
 * Arguments are small enough that the number of terms given leaves an error below 2^-90.
 */
import { addR, divideSmall, fractionOfR, multiplyHigh, mulR, normalizeR, R, scaleR, squareOfR } from "./wide-float";
import { W } from "./wide";

const ONES: u64 = 0xffffffffffffffff;

/**
 * 1 − y/(a(a+1)) · (1 − y/((a+2)(a+3)) · (…)): with y = x² and a = 2 this is sin(x)/x, with a = 1 cos(x).
 * One unit is missing from 1, so the value is never exactly 1: no result of a transcendental function is exact.
 */
function alternating(yh: u64, yl: u64, a: u32): u64 {
  let th = ONES;
  let tl = ONES;
  for (let k: i32 = 28; k >= 0; k -= 2) {
    const d = u64(a + k) * (a + k + 1);
    const p = multiplyHigh(yh, yl, th, tl);
    th = ~divideSmall(p, W.low, d);
    tl = ~W.low;
  }
  W.low = tl;
  return th;
}

/** R = sin(R) for |R| < 0.8. */
export function sinR(): void {
  const y = squareOfR();
  const t = alternating(y, W.low, 2);
  scaleR(t, W.low);
}

/** R = cos(R) for |R| < 0.8. */
export function cosR(): void {
  const y = squareOfR();
  const t = alternating(y, W.low, 1);
  normalizeR(0, -1, t, W.low);
}

/** R = e^R − 1 for |R| < 0.7. */
export function expm1R(): void {
  // t = 1 ± v/2 · (1 ± v/3 · (…)), below 2: its unit is 2^-127.
  const vh = fractionOfR();
  const vl = W.low;
  const negative = R.sign != 0;
  let th: u64 = 0x8000000000000000;
  let tl: u64 = 0;
  for (let k: u64 = 30; k >= 2; k--) {
    const p = multiplyHigh(vh, vl, th, tl);
    const q = divideSmall(p, W.low, k);
    if (negative) {
      th = 0x8000000000000000 - q - u64(W.low != 0);
      tl = 0 - W.low;
    } else {
      th = 0x8000000000000000 + q;
      tl = W.low;
    }
  }
  mulR(0, -(th >> 63 == 0 ? 1 : 0), th >> 63 == 0 ? (th << 1) | (tl >> 63) : th, th >> 63 == 0 ? tl << 1 : tl);
}

/** R = 2·atanh(R)/ln 2 for |R| < 0.18: log2 of (1 + R)/(1 − R). */
export function log2R(): void {
  const wh = squareOfR();
  const wl = W.low;
  let hh: u64 = 0;
  let hl: u64 = 0;
  // h = w/3 + w²/5 + …
  for (let k: u64 = 47; k >= 3; k -= 2) {
    const c = divideSmall(ONES, ONES, k);
    const sum = hl + W.low;
    hh = hh + c + u64(sum < hl);
    hl = sum;
    hh = multiplyHigh(wh, wl, hh, hl);
    hl = W.low;
  }
  // R · (1 + h)
  const sign = R.sign;
  const exponent = R.exponent;
  const high = R.high;
  const low = R.low;
  scaleR(hh, hl);
  addR(sign, exponent, high, low);
  mulR(0, 1, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e89); // 2/ln 2
}

/** R = atan(R) for |R| < 0.07. */
export function atanR(): void {
  const wh = squareOfR();
  const wl = W.low;
  let hh: u64 = 0;
  let hl: u64 = 0;
  // h = 1/3 − w · (1/5 − w · (…))
  for (let k: u64 = 29; k >= 3; k -= 2) {
    const p = multiplyHigh(wh, wl, hh, hl);
    const pl = W.low;
    const c = divideSmall(ONES, ONES, k);
    hh = c - p - u64(W.low < pl);
    hl = W.low - pl;
  }
  const u = multiplyHigh(wh, wl, hh, hl);
  scaleR(~u, ~W.low);
}
