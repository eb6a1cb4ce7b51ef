/**
 * SSE arithmetic under MXCSR, one lane at a time, and comparisons. Signatures and their use: index.ts. (SDM 1,
 * "SIMD Floating-Point Exceptions"; tininess is found after rounding.)
 *
 * The code is written once for both formats: values are raw bits in a u64 and F is the number of fraction bits.
 */
import { FP_TRAP, MXCSR } from "../layout";
import {
  exponentOf, indefiniteOf, infinityOf, isDenormal, isNan, isSignaling, magnitudeOf, quietBit, roundZ, significandOf, signOf,
  signShift,
} from "./binary";
import { ALL, BEFORE, DE, DOWN, Env, IE, PE, stopped, ZE } from "./environment";
import * as unpacked from "./unpacked";

const DAZ: u32 = 0x40;
const FTZ: u32 = 0x8000;

/** Takes rounding and masks from MXCSR, which is the value. */
export function begin(vp: u32): u32 {
  const mxcsr = load<u32>(vp + MXCSR);
  Env.rounding = (mxcsr >> 13) & 3;
  Env.masked = (mxcsr >> 7) & 63;
  Env.raised = 0;
  return mxcsr;
}

/** Folds the exceptions of the operation into MXCSR, and asks for a trap if one is unmasked. */
export function end(vp: u32): void {
  if (Env.raised == 0) return;
  store<u32>(vp + MXCSR, load<u32>(vp + MXCSR) | Env.raised);
  const unmasked = Env.raised & ~Env.masked;
  if (unmasked != 0) store<u32>(vp + FP_TRAP, load<u32>(vp + FP_TRAP) | unmasked);
}

/**
 * What remains to be done when FP_TRAP, the unmasked exceptions of all lanes, is not 0: clears it. If an unmasked exception
 * was found in the operands of some lane, no lane has a result, and so no result's exceptions (OE, UE, PE) count.
 * `before` is MXCSR before the instruction.
 */
export function sse_trap(vp: u32, before: u32): void {
  if ((load<u32>(vp + FP_TRAP) & BEFORE) != 0) {
    const mxcsr = load<u32>(vp + MXCSR);
    store<u32>(vp + MXCSR, (mxcsr & ~(ALL & ~BEFORE)) | (before & (ALL & ~BEFORE)));
  }
  store<u32>(vp + FP_TRAP, 0);
}

/** The operand as arithmetic sees it: under DAZ a denormal is a zero of its sign. */
// @ts-ignore: decorator
@inline
export function operand(a: u64, F: u32, mxcsr: u32): u64 {
  return (mxcsr & DAZ) != 0 && isDenormal(a, F) ? (a >> signShift(F)) << signShift(F) : a;
}

// @ts-ignore: decorator
@inline
export function flushes(mxcsr: u32): bool {
  return (mxcsr & FTZ) != 0;
}

function invalid(F: u32): u64 {
  Env.raised |= IE;
  return indefiniteOf(F);
}

/** The result when a or b is a NaN: the first NaN, made quiet. */
function propagate2(a: u64, b: u64, F: u32): u64 {
  if (isSignaling(a, F) || isSignaling(b, F)) Env.raised |= IE;
  return (isNan(a, F) ? a : b) | quietBit(F);
}

// @ts-ignore: decorator
@inline
function isInfinite(a: u64, F: u32): bool {
  return magnitudeOf(a, F) == infinityOf(0, F);
}

/** Raises DE for denormal operands; true when that stops the operation. */
export function denormals(a: u64, b: u64, F: u32): bool {
  if (isDenormal(a, F) || isDenormal(b, F)) Env.raised |= DE;
  return stopped();
}

function signed(sign: u32, F: u32): u64 {
  return u64(sign) << signShift(F);
}

function addBits(a: u64, b: u64, F: u32, mxcsr: u32): u64 {
  if (isNan(a, F) || isNan(b, F)) return propagate2(a, b, F);
  if (isInfinite(a, F) && isInfinite(b, F) && a != b) return invalid(F);
  if (denormals(a, b, F)) return 0;
  if (isInfinite(a, F)) return a;
  if (isInfinite(b, F)) return b;
  const aSign = signOf(a, F);
  const bSign = signOf(b, F);
  if (magnitudeOf(a, F) == 0) {
    if (magnitudeOf(b, F) == 0) return aSign == bSign ? a : signed(u32(Env.rounding == DOWN), F);
    unpacked.add(bSign, exponentOf(b, F), significandOf(b, F), 0, -0x10000, 0);
  } else if (magnitudeOf(b, F) == 0) unpacked.add(aSign, exponentOf(a, F), significandOf(a, F), 0, -0x10000, 0);
  else unpacked.add(aSign, exponentOf(a, F), significandOf(a, F), bSign, exponentOf(b, F), significandOf(b, F));
  return roundZ(F, flushes(mxcsr));
}

function subBits(a: u64, b: u64, F: u32, mxcsr: u32): u64 {
  // A NaN keeps its sign: only numbers are negated.
  return addBits(a, isNan(b, F) ? b : b ^ signed(1, F), F, mxcsr);
}

function mulBits(a: u64, b: u64, F: u32, mxcsr: u32): u64 {
  if (isNan(a, F) || isNan(b, F)) return propagate2(a, b, F);
  const sign = signOf(a ^ b, F);
  const endless = isInfinite(a, F) || isInfinite(b, F);
  const nothing = magnitudeOf(a, F) == 0 || magnitudeOf(b, F) == 0;
  if (endless && nothing) return invalid(F);
  if (denormals(a, b, F)) return 0;
  if (endless) return infinityOf(sign, F);
  if (nothing) return signed(sign, F);
  unpacked.mul(signOf(a, F), exponentOf(a, F), significandOf(a, F), signOf(b, F), exponentOf(b, F), significandOf(b, F));
  return roundZ(F, flushes(mxcsr));
}

function divBits(a: u64, b: u64, F: u32, mxcsr: u32): u64 {
  if (isNan(a, F) || isNan(b, F)) return propagate2(a, b, F);
  const sign = signOf(a ^ b, F);
  if (isInfinite(a, F) && isInfinite(b, F)) return invalid(F);
  if (magnitudeOf(a, F) == 0 && magnitudeOf(b, F) == 0) return invalid(F);
  if (isInfinite(a, F)) {
    denormals(a, b, F);
    return infinityOf(sign, F);
  }
  if (magnitudeOf(b, F) == 0) {
    Env.raised |= ZE;
    return infinityOf(sign, F);
  }
  if (denormals(a, b, F)) return 0;
  if (isInfinite(b, F) || magnitudeOf(a, F) == 0) return signed(sign, F);
  unpacked.div(signOf(a, F), exponentOf(a, F), significandOf(a, F), signOf(b, F), exponentOf(b, F), significandOf(b, F));
  return roundZ(F, flushes(mxcsr));
}

function sqrtBits(a: u64, F: u32, mxcsr: u32): u64 {
  if (isNan(a, F)) return propagate2(a, a, F);
  if (magnitudeOf(a, F) == 0) return a;
  if (signOf(a, F)) return invalid(F);
  if (isInfinite(a, F)) return a;
  if (denormals(a, a, F)) return 0;
  unpacked.sqrtOf(exponentOf(a, F), significandOf(a, F));
  return roundZ(F, flushes(mxcsr));
}

const ADD: u32 = 0;
const SUB: u32 = 1;
const MUL: u32 = 2;
const DIV: u32 = 3;
const SQRT: u32 = 4;

function compute(vp: u32, op: u32, a: u64, b: u64, F: u32): u64 {
  const mxcsr = begin(vp);
  a = operand(a, F, mxcsr);
  b = operand(b, F, mxcsr);
  let result: u64;
  if (op == ADD) result = addBits(a, b, F, mxcsr);
  else if (op == SUB) result = subBits(a, b, F, mxcsr);
  else if (op == MUL) result = mulBits(a, b, F, mxcsr);
  else if (op == DIV) result = divBits(a, b, F, mxcsr);
  else result = sqrtBits(a, F, mxcsr);
  end(vp);
  return result;
}

/*
 * The common case by the host's own arithmetic, with the same results: rounding to nearest, PE masked, operands that are
 * zeros or normal numbers, a result well inside the range. Then PE is the only exception there can be, and it is to be found
 * out only while it is not yet set.
 */

// @ts-ignore: decorator
@inline
function isCommon(mxcsr: u32): bool {
  return (mxcsr & 0x7000) == 0x1000;
}

// @ts-ignore: decorator
@inline
function isPlain32(a: u32): bool {
  return (a & 0x7f800000) != 0 || a << 1 == 0;
}

// @ts-ignore: decorator
@inline
function isPlain64(a: u64): bool {
  return (a & 0x7ff0000000000000) != 0 || a << 1 == 0;
}

/** Neither infinite nor NaN, and above the smallest normal number, where rounding may hide an underflow. */
// @ts-ignore: decorator
@inline
export function isInside32(a: u32): bool {
  return ((a >> 23) & 0xff) - 2 <= 0xfc;
}

// @ts-ignore: decorator
@inline
export function isInside64(a: u64): bool {
  return ((a >> 52) & 0x7ff) - 2 <= 0x7fc;
}

function inexact(vp: u32, mxcsr: u32): void {
  store<u32>(vp + MXCSR, mxcsr | PE);
}

export function sse_add_f32(vp: u32, a: u32, b: u32): u32 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && isPlain32(a) && isPlain32(b)) {
    const x = reinterpret<f32>(a);
    const y = reinterpret<f32>(b);
    const sum = x + y;
    const bits = reinterpret<u32>(sum);
    if (isInside32(bits) || sum == 0) {
      const part = sum - x;
      if ((mxcsr & PE) == 0 && x - (sum - part) + (y - part) != 0) inexact(vp, mxcsr);
      return bits;
    }
  }
  return u32(compute(vp, ADD, a, b, 23));
}

export function sse_add_f64(vp: u32, a: u64, b: u64): u64 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && isPlain64(a) && isPlain64(b)) {
    const x = reinterpret<f64>(a);
    const y = reinterpret<f64>(b);
    const sum = x + y;
    const bits = reinterpret<u64>(sum);
    if (isInside64(bits) || sum == 0) {
      // The rounding error of a sum is itself a number (Knuth 4.2.2, theorem B).
      const part = sum - x;
      if ((mxcsr & PE) == 0 && x - (sum - part) + (y - part) != 0) inexact(vp, mxcsr);
      return bits;
    }
  }
  return compute(vp, ADD, a, b, 52);
}

export function sse_sub_f32(vp: u32, a: u32, b: u32): u32 {
  if ((b & 0x7fffffff) > 0x7f800000) return u32(compute(vp, SUB, a, b, 23)); // a NaN keeps its sign
  return sse_add_f32(vp, a, b ^ 0x80000000);
}

export function sse_sub_f64(vp: u32, a: u64, b: u64): u64 {
  if ((b & 0x7fffffffffffffff) > 0x7ff0000000000000) return compute(vp, SUB, a, b, 52);
  return sse_add_f64(vp, a, b ^ 0x8000000000000000);
}

export function sse_mul_f32(vp: u32, a: u32, b: u32): u32 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && isPlain32(a) && isPlain32(b)) {
    // 24 by 24 bits: exact in f64, and rounding that is rounding once.
    const exact = f64(reinterpret<f32>(a)) * f64(reinterpret<f32>(b));
    const bits = reinterpret<u32>(f32(exact));
    if (isInside32(bits)) {
      if ((mxcsr & PE) == 0 && f64(reinterpret<f32>(bits)) != exact) inexact(vp, mxcsr);
      return bits;
    }
    if ((a << 1 == 0 || b << 1 == 0) && bits << 1 == 0) return bits;
  }
  return u32(compute(vp, MUL, a, b, 23));
}

export function sse_mul_f64(vp: u32, a: u64, b: u64): u64 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && isPlain64(a) && isPlain64(b)) {
    const bits = reinterpret<u64>(reinterpret<f64>(a) * reinterpret<f64>(b));
    // Exact without a doubt when the significands have 53 bits together; in doubt the slow path tells, until PE is set.
    if (isInside64(bits) && ((mxcsr & PE) != 0 || min<u64>(ctz(a), 52) + min<u64>(ctz(b), 52) >= 53)) return bits;
    // A product with zero, unless the other is infinite or no number.
    if ((a << 1 == 0 || b << 1 == 0) && bits << 1 == 0) return bits;
  }
  return compute(vp, MUL, a, b, 52);
}

export function sse_div_f32(vp: u32, a: u32, b: u32): u32 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && isPlain32(a) && isPlain32(b)) {
    const quotient = reinterpret<f32>(a) / reinterpret<f32>(b);
    const bits = reinterpret<u32>(quotient);
    if (isInside32(bits)) {
      if ((mxcsr & PE) == 0 && f64(quotient) * f64(reinterpret<f32>(b)) != f64(reinterpret<f32>(a))) inexact(vp, mxcsr);
      return bits;
    }
  }
  return u32(compute(vp, DIV, a, b, 23));
}

export function sse_div_f64(vp: u32, a: u64, b: u64): u64 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && (mxcsr & PE) != 0 && isPlain64(a) && isPlain64(b)) {
    const bits = reinterpret<u64>(reinterpret<f64>(a) / reinterpret<f64>(b));
    if (isInside64(bits)) return bits;
  }
  return compute(vp, DIV, a, b, 52);
}

export function sse_sqrt_f32(vp: u32, a: u32): u32 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && isPlain32(a)) {
    const root = sqrt<f32>(reinterpret<f32>(a));
    const bits = reinterpret<u32>(root);
    if (isInside32(bits)) {
      if ((mxcsr & PE) == 0 && f64(root) * f64(root) != f64(reinterpret<f32>(a))) inexact(vp, mxcsr);
      return bits;
    }
  }
  return u32(compute(vp, SQRT, a, 0, 23));
}

export function sse_sqrt_f64(vp: u32, a: u64): u64 {
  const mxcsr = load<u32>(vp + MXCSR);
  if (isCommon(mxcsr) && (mxcsr & PE) != 0 && isPlain64(a)) {
    const bits = reinterpret<u64>(sqrt<f64>(reinterpret<f64>(a)));
    if (isInside64(bits)) return bits;
  }
  return compute(vp, SQRT, a, 0, 52);
}
