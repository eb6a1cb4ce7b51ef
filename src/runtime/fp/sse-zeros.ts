/**
 * What compiled code asks when a result of Wasm's arithmetic is not well inside the range (jit/emit/vector-float.ts), while MXCSR rounds to nearest
 * and PE is masked and set: whether it is the processor's result all the same, with no flag that is not set already. Mostly it is, and there is a zero
 * in it. All values are raw bits.
 *
 * A sum or difference of numbers is exact where it is small, so it need only be a number. A product, quotient or root is a zero by itself
 * or, which is an underflow, by rounding.
 */
import { isInside32, isInside64 } from "./sse";

const LOW32: u32 = 0x1000000;
const LOW64: u64 = 0x20000000000000;
const END32: u32 = 0xff000000;
const END64: u64 = 0xffe0000000000000;

/** A zero or a normal finite value: what raises no exception by being an operand. */
// @ts-ignore: decorator
@inline
function isNumber32(a: u32): bool {
  return a << 1 == 0 || (a << 1) - LOW32 < END32 - LOW32;
}

// @ts-ignore: decorator
@inline
function isNumber64(a: u64): bool {
  return a << 1 == 0 || (a << 1) - LOW64 < END64 - LOW64;
}

/** Of all lanes. */
// @ts-ignore: decorator
@inline
function areNumbers32(a: v128): bool {
  const twice = i32x4.shl(a, 1);
  const normal = i32x4.lt_u(i32x4.sub(twice, i32x4.splat(LOW32)), i32x4.splat(END32 - LOW32));
  return v128.all_true<i32>(v128.or(normal, i32x4.eq(twice, i32x4.splat(0))));
}

// @ts-ignore: decorator
@inline
function areNumbers64(a: v128): bool {
  return isNumber64(i64x2.extract_lane(a, 0)) && isNumber64(i64x2.extract_lane(a, 1));
}

/** Whether operands and result are numbers all. */
export function sse_is_sum_f32(a: u32, b: u32, r: u32): i32 {
  return i32(isNumber32(a) && isNumber32(b) && isNumber32(r));
}

export function sse_is_sum_f64(a: u64, b: u64, r: u64): i32 {
  return i32(isNumber64(a) && isNumber64(b) && isNumber64(r));
}

export function sse_is_sum_f32x4(a: v128, b: v128, r: v128): i32 {
  return i32(areNumbers32(a) && areNumbers32(b) && areNumbers32(r));
}

export function sse_is_sum_f64x2(a: v128, b: v128, r: v128): i32 {
  return i32(areNumbers64(a) && areNumbers64(b) && areNumbers64(r));
}

/** Of numbers. Above the smallest normal number rounding hides no underflow. */
// @ts-ignore: decorator
@inline
function isProduct64(a: u64, b: u64, r: u64): bool {
  return isInside64(r) || (r << 1 == 0 && (a << 1 == 0 || b << 1 == 0));
}

/** Also of quotients and, with its operand twice, of roots. */
export function sse_is_product_f32(a: u32, b: u32, r: u32): i32 {
  const isProduct = isInside32(r) || (r << 1 == 0 && (a << 1 == 0 || b << 1 == 0));
  return i32(isNumber32(a) && isNumber32(b) && isProduct);
}

export function sse_is_product_f64(a: u64, b: u64, r: u64): i32 {
  return i32(isNumber64(a) && isNumber64(b) && isProduct64(a, b, r));
}

export function sse_is_product_f32x4(a: v128, b: v128, r: v128): i32 {
  const twice = i32x4.shl(r, 1);
  const inside = i32x4.lt_u(i32x4.sub(twice, i32x4.splat(2 * LOW32)), i32x4.splat(END32 - 2 * LOW32));
  const none = i32x4.splat(0);
  const factors = v128.or(i32x4.eq(i32x4.shl(a, 1), none), i32x4.eq(i32x4.shl(b, 1), none));
  const zero = v128.and(i32x4.eq(twice, none), factors);
  return i32(areNumbers32(a) && areNumbers32(b) && v128.all_true<i32>(v128.or(inside, zero)));
}

export function sse_is_product_f64x2(a: v128, b: v128, r: v128): i32 {
  const low = isProduct64(i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0), i64x2.extract_lane(r, 0));
  const high = isProduct64(i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1), i64x2.extract_lane(r, 1));
  return i32(low && high && areNumbers64(a) && areNumbers64(b));
}
