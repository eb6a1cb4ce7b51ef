/** SSE conversions, ROUNDSS/SD, and the reciprocal approximations. Signatures and their use: index.ts. */
import {
  bias, exponentOf, fractionOf, indefiniteOf, infinityOf, isNan, isSignaling, magnitudeOf, quietBit, round, significandOf,
  signOf, signShift,
} from "./binary";
import { Env, IE, PE, roundsAway, ZERO } from "./environment";
import { begin, denormals, end, flushes, operand } from "./sse";
import { shiftRightSticky, W } from "./wide";

/** From format F to format G. */
function convert(vp: u32, a: u64, F: u32, G: u32): u64 {
  const mxcsr = begin(vp);
  a = operand(a, F, mxcsr);
  let result: u64 = 0;
  const sign = signOf(a, F);
  if (isNan(a, F)) {
    if (isSignaling(a, F)) Env.raised |= IE;
    const fraction = fractionOf(a, F);
    result = infinityOf(sign, G) | quietBit(G) | (F < G ? fraction << (G - F) : fraction >> (F - G));
  } else if (magnitudeOf(a, F) == 0) result = u64(sign) << signShift(G);
  else if (magnitudeOf(a, F) == infinityOf(0, F)) result = infinityOf(sign, G);
  else if (!denormals(a, a, F)) result = round(sign, exponentOf(a, F), significandOf(a, F), 0, G, flushes(mxcsr));
  end(vp);
  return result;
}

export function sse_f32_to_f64(vp: u32, a: u32): u64 {
  return convert(vp, a, 23, 52);
}

export function sse_f64_to_f32(vp: u32, a: u64): u32 {
  return u32(convert(vp, a, 52, 23));
}

function fromInteger(vp: u32, value: i64, F: u32): u64 {
  if (value == 0) return 0;
  begin(vp);
  const magnitude = value < 0 ? u64(0 - value) : u64(value);
  const n = i32(clz(magnitude));
  const result = round(u32(value < 0), 63 - n, magnitude << n, 0, F, false);
  end(vp);
  return result;
}

export function sse_i32_to_f32(vp: u32, a: i32): u32 {
  return u32(fromInteger(vp, a, 23));
}

export function sse_i64_to_f32(vp: u32, a: i64): u32 {
  return u32(fromInteger(vp, a, 23));
}

export function sse_i64_to_f64(vp: u32, a: i64): u64 {
  return fromInteger(vp, a, 52);
}

/** The magnitude of a finite number rounded to an integer; all ones when it is 2^64 or more. Raises PE. */
function integerOf(a: u64, F: u32): u64 {
  if (magnitudeOf(a, F) == 0) return 0;
  const exponent = exponentOf(a, F);
  if (exponent > 63) return ~u64(0);
  const whole = shiftRightSticky(significandOf(a, F), 0, min(63 - exponent, 200));
  const rest = W.low;
  if (rest == 0) return whole;
  Env.raised |= PE;
  return whole + roundsAway(signOf(a, F), whole & 1, rest);
}

function toInteger(vp: u32, a: u64, F: u32, bits: u32, truncate: u32): i64 {
  const mxcsr = begin(vp);
  if (truncate) Env.rounding = ZERO;
  a = operand(a, F, mxcsr);
  const limit = u64(1) << (bits - 1);
  const sign = signOf(a, F);
  const magnitude = magnitudeOf(a, F) >= infinityOf(0, F) ? ~u64(0) : integerOf(a, F);
  let result = sign ? 0 - i64(magnitude) : i64(magnitude);
  if (magnitude > limit - 1 + sign) {
    Env.raised = IE;
    result = 0 - i64(limit);
  }
  end(vp);
  return result;
}

export function sse_f32_to_i32(vp: u32, a: u32, truncate: u32): i32 {
  return i32(toInteger(vp, a, 23, 32, truncate));
}

export function sse_f32_to_i64(vp: u32, a: u32, truncate: u32): i64 {
  return toInteger(vp, a, 23, 64, truncate);
}

export function sse_f64_to_i32(vp: u32, a: u64, truncate: u32): i32 {
  return i32(toInteger(vp, a, 52, 32, truncate));
}

export function sse_f64_to_i64(vp: u32, a: u64, truncate: u32): i64 {
  return toInteger(vp, a, 52, 64, truncate);
}

/** imm: bits 0-1 rounding, bit 2 take it from MXCSR instead, bit 3 raise no PE. */
function roundToInteger(vp: u32, a: u64, imm: u32, F: u32): u64 {
  const mxcsr = begin(vp);
  if ((imm & 4) == 0) Env.rounding = imm & 3;
  a = operand(a, F, mxcsr);
  let result = a;
  if (isNan(a, F)) {
    if (isSignaling(a, F)) Env.raised |= IE;
    result = a | quietBit(F);
  } else if (magnitudeOf(a, F) != 0 && exponentOf(a, F) < i32(F)) {
    const magnitude = integerOf(a, F);
    const n = i32(clz(magnitude));
    result = u64(signOf(a, F)) << signShift(F);
    if (magnitude != 0) result |= (u64(63 - n + bias(F)) << F) | fractionOf((magnitude << n) >> (63 - F), F);
    if ((imm & 8) != 0) Env.raised &= ~PE;
  }
  end(vp);
  return result;
}

export function sse_round_f32(vp: u32, a: u32, imm: u32): u32 {
  return u32(roundToInteger(vp, a, imm, 23));
}

export function sse_round_f64(vp: u32, a: u64, imm: u32): u64 {
  return roundToInteger(vp, a, imm, 52);
}

/** Keeps 12 fraction bits: error below 2^-13, where the architecture allows 1.5 · 2^-12. A denormal becomes zero. */
function approximate(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  if ((bits & 0x7f800000) == 0) return bits & 0x80000000;
  return (bits + 0x400) & 0xfffff800;
}

/** RCPSS: 1/a without exceptions or regard for MXCSR; denormals count as zero. */
export function sse_rcp_f32(a: u32): u32 {
  if (isNan(a, 23)) return a | 0x400000;
  if ((a & 0x7f800000) == 0) return (a & 0x80000000) | 0x7f800000;
  return approximate(1 / reinterpret<f32>(a));
}

/** RSQRTSS: 1/√a in the same way; a negative number gives the indefinite. */
export function sse_rsqrt_f32(a: u32): u32 {
  if (isNan(a, 23)) return a | 0x400000;
  if ((a & 0x7f800000) == 0) return (a & 0x80000000) | 0x7f800000;
  if (a >> 31) return u32(indefiniteOf(23));
  return approximate(f32(1 / sqrt<f64>(f64(reinterpret<f32>(a)))));
}
