/** 128-bit integers as (high, low) pairs. A function returns the high half and leaves the low half in `W.low`. */

export class W {
  static low: u64 = 0;
  static rest: u64 = 0;
}

export function multiply(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const low = a0 * b0;
  const m = a1 * b0 + (low >> 32);
  const n = a0 * b1 + (m & 0xffffffff);
  W.low = (n << 32) | (low & 0xffffffff);
  return a1 * b1 + (m >> 32) + (n >> 32);
}

/** high:low / d, which must fit 64 bits (high < d) with d ≥ 2^63; the remainder goes to `W.rest`. (Knuth 4.3.1, D.) */
export function divide(high: u64, low: u64, d: u64): u64 {
  const d1 = d >> 32;
  const d0 = d & 0xffffffff;
  let q1 = high / d1;
  let r = high - q1 * d1;
  const l1 = low >> 32;
  while (q1 > 0xffffffff || q1 * d0 > ((r << 32) | l1)) {
    q1--;
    r += d1;
    if (r > 0xffffffff) break;
  }
  const middle = ((high << 32) | l1) - q1 * d;
  let q0 = middle / d1;
  r = middle - q0 * d1;
  const l0 = low & 0xffffffff;
  while (q0 > 0xffffffff || q0 * d0 > ((r << 32) | l0)) {
    q0--;
    r += d1;
    if (r > 0xffffffff) break;
  }
  W.rest = ((middle << 32) | l0) - q0 * d;
  return (q1 << 32) + q0;
}

/** high:low >> n for any n ≥ 0; bits shifted out leave the lowest bit set ("sticky"). */
export function shiftRightSticky(high: u64, low: u64, n: u32): u64 {
  if (n == 0) {
    W.low = low;
    return high;
  }
  if (n < 64) {
    W.low = (high << (64 - n)) | (low >> n) | u64((low << (64 - n)) != 0);
    return high >> n;
  }
  if (n == 64) W.low = high | u64(low != 0);
  else if (n < 128) W.low = (high >> (n - 64)) | u64((high << (128 - n)) != 0 || low != 0);
  else W.low = u64((high | low) != 0);
  return 0;
}

/** high:low << n for 0 ≤ n < 128. */
export function shiftLeft(high: u64, low: u64, n: u32): u64 {
  if (n == 0) {
    W.low = low;
    return high;
  }
  if (n < 64) {
    W.low = low << n;
    return (high << n) | (low >> (64 - n));
  }
  W.low = 0;
  return low << (n - 64);
}
