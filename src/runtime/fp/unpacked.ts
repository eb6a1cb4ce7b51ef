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

export function sqrt(exponent: i32, a: u64): void {
  // The radicand a:0, shifted by 1 for an even exponent, has a root with its top bit in bit 63.
  let high = exponent & 1 ? a : a >> 1;
  let low = exponent & 1 ? 0 : a << 63;
  let root: u64 = 0;
  let rest: u64 = 0;
  let over: u64 = 0; // bit 64 of the remainder
  for (let i = 0; i < 64; i++) {
    over = rest >> 62;
    rest = (rest << 2) | (high >> 62);
    high = (high << 2) | (low >> 62);
    low <<= 2;
    const trial = (root << 2) | 1;
    const carry = root >> 62;
    root <<= 1;
    if (over > carry || (over == carry && rest >= trial)) {
      over -= carry + u64(rest < trial);
      rest -= trial;
      root |= 1;
    }
  }
  const remainder = (rest | over) != 0;
  const more = over != 0 || rest > root;
  give(0, exponent >> 1, root, remainder ? (more ? 0xc000000000000000 : 0x4000000000000000) : 0);
}
