/**
 * Exact arithmetic on unpacked finite numbers, for every format: the formats only unpack, call this, and round.
 *
 * An unpacked number is ±(significand / 2^63) · 2^exponent with the significand's top bit set. Results are in `Z`:
 * the significand has 64 more bits in `low`, the lowest of them sticky; a zero result has both parts zero.
 */
import { divide, multiply, shiftLeft, shiftRightSticky, W } from "./wide";

export class Z {
  static sign: u32 = 0;
  static exponent: i32 = 0;
  static high: u64 = 0;
  static low: u64 = 0;
}

function give(sign: u32, exponent: i32, high: u64, low: u64): void {
  Z.sign = sign;
  Z.exponent = exponent;
  Z.high = high;
  Z.low = low;
}

/** Shifts high:low left until its top bit is set. */
export function normalize(sign: u32, exponent: i32, high: u64, low: u64): void {
  if ((high | low) == 0) {
    give(sign, exponent, 0, 0);
    return;
  }
  const n = high != 0 ? i32(clz(high)) : 64 + i32(clz(low));
  const top = shiftLeft(high, low, n);
  give(sign, exponent - n, top, W.low);
}

export function add(aSign: u32, aExp: i32, a: u64, bSign: u32, bExp: i32, b: u64): void {
  if (aExp < bExp || (aExp == bExp && a < b)) {
    const s = aSign;
    aSign = bSign;
    bSign = s;
    const e = aExp;
    aExp = bExp;
    bExp = e;
    const m = a;
    a = b;
    b = m;
  }
  const distance = aExp - bExp;
  const high = shiftRightSticky(b, 0, min(distance, 200));
  const low = W.low;
  if (aSign == bSign) {
    const sum = a + high;
    if (sum >= a) give(aSign, aExp, sum, low);
    else {
      const shifted = shiftRightSticky(sum, low, 1);
      give(aSign, aExp + 1, shifted | 0x8000000000000000, W.low);
    }
    return;
  }
  normalize(aSign, aExp, a - high - u64(low != 0), 0 - low);
}

export function mul(aSign: u32, aExp: i32, a: u64, bSign: u32, bExp: i32, b: u64): void {
  const high = multiply(a, b);
  normalize(aSign ^ bSign, aExp + bExp + 1, high, W.low);
}

export function div(aSign: u32, aExp: i32, a: u64, bSign: u32, bExp: i32, b: u64): void {
  const below = a < b;
  const high = below ? divide(a, 0, b) : divide(a >> 1, a << 63, b);
  const low = divide(W.rest, 0, b);
  give(aSign ^ bSign, aExp - bExp - i32(below), high, low | u64(W.rest != 0));
}

/** The greatest f64 below 2^64. */
const BELOW_2_64: f64 = 18446744073709549568.0;

/** The root of high:low, whose top bit is in bit 63; leaves the remainder in Root. */
function rootOf(high: u64, low: u64): u64 {
  // 52 bits by the host's root, the rest by one step of Newton's: the error is a dozen bits, and its square nothing.
  const estimate = min(sqrt<f64>(f64(high)) * 4294967296.0, BELOW_2_64);
  let root = u64(estimate);
  let square = multiply(root, root);
  const rest = f64(i64(high - square - u64(low < W.low))) * 18446744073709551616.0 + f64(low - W.low);
  const step = i64(floor(rest / (2.0 * estimate)));
  const next = root + step;
  root = step > 0 && next < root ? ~u64(0) : next;
  square = multiply(root, root);
  let over = high - square - u64(low < W.low);
  let rem = low - W.low;
  // At most one too large, or one too small.
  while (i64(over) < 0) {
    root--;
    const more = (root << 1) + 1;
    rem += more;
    over += (root >> 63) + u64(rem < more);
  }
  while (over > root >> 63 || (over == root >> 63 && rem > root << 1)) {
    const less = (root << 1) + 1;
    over -= (root >> 63) + u64(rem < less);
    rem -= less;
    root++;
  }
  Root.over = over;
  Root.rest = rem;
  return root;
}
class Root {
  static over: u64 = 0;
  static rest: u64 = 0;
}

export function sqrtOf(exponent: i32, a: u64): void {
  // Of a · 2^64 with an odd exponent, of half of it with an even one.
  const half = u64(~exponent & 1);
  const root = rootOf(a >> half, (a & half) << 63);
  const exact = (Root.over | Root.rest) == 0;
  const more = Root.over != 0 || Root.rest > root;
  give(0, exponent >> 1, root, exact ? 0 : more ? 0xc000000000000000 : 0x4000000000000000);
}
