/**
 * Packed SSE arithmetic and conversions: every lane, with the exceptions of all of them; and what raises #XM. When FP_TRAP
 * is set afterwards the result is not to be written, and `raise_simd` says why.
 */
import { CR4, FP_SCRATCH, FP_TRAP, MXCSR } from "../layout";
import { raise } from "../memory";
import {
  sse_add_f32, sse_add_f64, sse_div_f32, sse_div_f64, sse_mul_f32, sse_mul_f64, sse_sqrt_f32, sse_sqrt_f64, sse_sub_f32, sse_sub_f64,
  sse_trap,
} from "./sse";
import { sse_cmp_f32, sse_cmp_f64, sse_max_f32, sse_max_f64, sse_min_f32, sse_min_f64 } from "./sse-compare";
import {
  sse_f32_to_f64, sse_f32_to_i32, sse_f64_to_f32, sse_f64_to_i32, sse_i32_to_f32, sse_rcp_f32, sse_round_f32, sse_round_f64,
  sse_rsqrt_f32,
} from "./sse-convert";
import { sse_is_sum_f32, sse_is_sum_f32x4, sse_is_sum_f64, sse_is_sum_f64x2 } from "./sse-zeros";

/** The operations, as jit/lift/sse-float.ts numbers them. */
const ADD: u32 = 0;
const SUB: u32 = 1;
const MUL: u32 = 2;
const DIV: u32 = 3;
const MIN: u32 = 4;
const MAX: u32 = 5;
const SQRT: u32 = 6;
const RCP: u32 = 7;
const RSQRT: u32 = 8;
/** Even lanes are subtracted, odd ones added. */
const ADDSUB: u32 = 9;
/** With the predicate in the low three bits. */
const CMP: u32 = 0x10;
/** With ROUNDPS's immediate in the low four bits. */
const ROUND: u32 = 0x20;

const UD: u32 = 6;
const XM: u32 = 19;
const OSXMMEXCPT: u64 = 0x400;

/** Raises the exception that FP_TRAP stands for, and clears it. */
export function raise_simd(vp: u32): u32 {
  store<u32>(vp, 0, FP_TRAP);
  return raise(vp, (load<u64>(vp, CR4) & OSXMMEXCPT) != 0 ? XM : UD, 0);
}

/**
 * After an operation in compiled code that the runtime did: -1 when an exception was raised, 1 when operands and result are
 * numbers all, else 0 (jit/emit/float-state.ts).
 */
export function sse_settle_f32(vp: u32, a: u32, b: u32, r: u32): i32 {
  if (load<u32>(vp, FP_TRAP) != 0) {
    raise_simd(vp);
    return -1;
  }
  return sse_is_sum_f32(a, b, r);
}

export function sse_settle_f64(vp: u32, a: u64, b: u64, r: u64): i32 {
  if (load<u32>(vp, FP_TRAP) != 0) {
    raise_simd(vp);
    return -1;
  }
  return sse_is_sum_f64(a, b, r);
}

/** The same of all lanes. */
export function sse_settle_f32x4(vp: u32, a: v128, b: v128, r: v128): i32 {
  if (load<u32>(vp, FP_TRAP) != 0) {
    raise_simd(vp);
    return -1;
  }
  return sse_is_sum_f32x4(a, b, r);
}

export function sse_settle_f64x2(vp: u32, a: v128, b: v128, r: v128): i32 {
  if (load<u32>(vp, FP_TRAP) != 0) {
    raise_simd(vp);
    return -1;
  }
  return sse_is_sum_f64x2(a, b, r);
}

/** Settles the flags of several lanes when one of them met an unmasked exception. */
function settle(vp: u32, before: u32): void {
  if (load<u32>(vp, FP_TRAP) == 0) return;
  sse_trap(vp, before);
  store<u32>(vp, 1, FP_TRAP);
}

function lane32(vp: u32, op: u32, a: u32, b: u32, n: u32): u32 {
  switch (op) {
    case ADD:
      return sse_add_f32(vp, a, b);
    case SUB:
      return sse_sub_f32(vp, a, b);
    case MUL:
      return sse_mul_f32(vp, a, b);
    case DIV:
      return sse_div_f32(vp, a, b);
    case MIN:
      return sse_min_f32(vp, a, b);
    case MAX:
      return sse_max_f32(vp, a, b);
    case SQRT:
      return sse_sqrt_f32(vp, b);
    case RCP:
      return sse_rcp_f32(b);
    case RSQRT:
      return sse_rsqrt_f32(b);
    case ADDSUB:
      return (n & 1) != 0 ? sse_add_f32(vp, a, b) : sse_sub_f32(vp, a, b);
    default:
      return op < ROUND ? sse_cmp_f32(vp, a, b, op & 7) : sse_round_f32(vp, b, op & 15);
  }
}

function lane64(vp: u32, op: u32, a: u64, b: u64, n: u32): u64 {
  switch (op) {
    case ADD:
      return sse_add_f64(vp, a, b);
    case SUB:
      return sse_sub_f64(vp, a, b);
    case MUL:
      return sse_mul_f64(vp, a, b);
    case DIV:
      return sse_div_f64(vp, a, b);
    case MIN:
      return sse_min_f64(vp, a, b);
    case MAX:
      return sse_max_f64(vp, a, b);
    case SQRT:
      return sse_sqrt_f64(vp, b);
    case ADDSUB:
      return (n & 1) != 0 ? sse_add_f64(vp, a, b) : sse_sub_f64(vp, a, b);
    default:
      return op < ROUND ? sse_cmp_f64(vp, a, b, op & 7) : sse_round_f64(vp, b, op & 15);
  }
}

/** True when ADD, SUB, MUL or DIV may be done by the host: see sse.ts. PE must be set already. */
// @ts-ignore: decorator
@inline
function isSimple(vp: u32, op: u32): bool {
  return op <= DIV && (load<u32>(vp, MXCSR) & 0x7020) == 0x1020;
}

/** True when no lane is a denormal. */
// @ts-ignore: decorator
@inline
function arePlain32(a: v128): bool {
  return i32x4.all_true(i32x4.ge_u(i32x4.sub(i32x4.shl(a, 1), i32x4.splat(1)), i32x4.splat(0xffffff)));
}

// @ts-ignore: decorator
@inline
function isPlain64(a: u64): bool {
  return (a << 1) - 1 >= 0x1fffffffffffff;
}

// @ts-ignore: decorator
@inline
function isInside64(a: u64): bool {
  return ((a >> 52) & 0x7ff) - 2 <= 0x7fc;
}

/** a op b on four f32; of operations with one operand it is b. */
export function sse_f32x4(vp: u32, op: u32, a: v128, b: v128): v128 {
  if (isSimple(vp, op) && arePlain32(a) && arePlain32(b)) {
    let r: v128;
    if (op == ADD) r = f32x4.add(a, b);
    else if (op == SUB) r = f32x4.sub(a, b);
    else if (op == MUL) r = f32x4.mul(a, b);
    else r = f32x4.div(a, b);
    const exponents = v128.and(i32x4.shr_u(r, 23), i32x4.splat(0xff));
    if (i32x4.all_true(i32x4.le_u(i32x4.sub(exponents, i32x4.splat(2)), i32x4.splat(0xfc)))) return r;
  }
  const before = load<u32>(vp, MXCSR);
  const at = vp + FP_SCRATCH;
  v128.store(at, a);
  v128.store(at, b, 16);
  for (let n: u32 = 0; n < 4; n++) {
    const lane = at + (n << 2);
    store<u32>(lane, lane32(vp, op, load<u32>(lane), load<u32>(lane, 16), n));
  }
  settle(vp, before);
  return v128.load(at);
}

/** a op b on two f64; of operations with one operand it is b. */
export function sse_f64x2(vp: u32, op: u32, a: v128, b: v128): v128 {
  if (isSimple(vp, op)) {
    const a0 = i64x2.extract_lane(a, 0);
    const a1 = i64x2.extract_lane(a, 1);
    const b0 = i64x2.extract_lane(b, 0);
    const b1 = i64x2.extract_lane(b, 1);
    if (isPlain64(a0) && isPlain64(a1) && isPlain64(b0) && isPlain64(b1)) {
      let r: v128;
      if (op == ADD) r = f64x2.add(a, b);
      else if (op == SUB) r = f64x2.sub(a, b);
      else if (op == MUL) r = f64x2.mul(a, b);
      else r = f64x2.div(a, b);
      if (isInside64(i64x2.extract_lane(r, 0)) && isInside64(i64x2.extract_lane(r, 1))) return r;
    }
  }
  const before = load<u32>(vp, MXCSR);
  const at = vp + FP_SCRATCH;
  v128.store(at, a);
  v128.store(at, b, 16);
  for (let n: u32 = 0; n < 2; n++) {
    const lane = at + (n << 3);
    store<u64>(lane, lane64(vp, op, load<u64>(lane), load<u64>(lane, 16), n));
  }
  settle(vp, before);
  return v128.load(at);
}

/** CVT…: the operations, as jit/lift/sse-float.ts numbers them. Lanes that are not written are zero. */
export function sse_fp_convert(vp: u32, op: u32, a: v128): v128 {
  const before = load<u32>(vp, MXCSR);
  const from = vp + FP_SCRATCH;
  const to = from + 16;
  v128.store(from, a);
  v128.store(to, i64x2.splat(0));
  switch (op) {
    case 0: // DQ2PS
    case 1: // PI2PS
      for (let n: u32 = 0; n < (op == 0 ? 16 : 8); n += 4) store<u32>(to + n, sse_i32_to_f32(vp, load<i32>(from + n)));
      break;
    case 2: // PS2DQ
    case 3: // TPS2DQ
      for (let n: u32 = 0; n < 16; n += 4) store<u32>(to + n, sse_f32_to_i32(vp, load<u32>(from + n), op & 1));
      break;
    case 4: // PS2PI
    case 5: // TPS2PI
      for (let n: u32 = 0; n < 8; n += 4) store<u32>(to + n, sse_f32_to_i32(vp, load<u32>(from + n), op & 1));
      break;
    case 6: // PD2DQ, PD2PI
    case 7: // TPD2DQ, TPD2PI
      for (let n: u32 = 0; n < 2; n++) store<u32>(to + (n << 2), sse_f64_to_i32(vp, load<u64>(from + (n << 3)), op & 1));
      break;
    case 8: // PD2PS
      for (let n: u32 = 0; n < 2; n++) store<u32>(to + (n << 2), sse_f64_to_f32(vp, load<u64>(from + (n << 3))));
      break;
    default: // PS2PD
      for (let n: u32 = 0; n < 2; n++) store<u64>(to + (n << 3), sse_f32_to_f64(vp, load<u32>(from + (n << 2))));
  }
  settle(vp, before);
  return v128.load(to);
}

/*
 * The dot products are several operations one after the other: when one of them meets an unmasked exception, the flags of
 * those before it stay, and those after it do not come about.
 */

/** DPPS: products of the lanes that imm's upper half selects, summed in pairs, to the lanes that its lower half selects. */
export function sse_f32x4_dot(vp: u32, imm: u32, a: v128, b: v128): v128 {
  let before = load<u32>(vp, MXCSR);
  const at = vp + FP_SCRATCH;
  v128.store(at, a);
  v128.store(at, b, 16);
  for (let n: u32 = 0; n < 4; n++) {
    const lane = at + (n << 2);
    store<u32>(lane, ((imm >> (4 + n)) & 1) != 0 ? sse_mul_f32(vp, load<u32>(lane), load<u32>(lane, 16)) : 0);
  }
  if (load<u32>(vp, FP_TRAP) == 0) {
    before = load<u32>(vp, MXCSR);
    const low = sse_add_f32(vp, load<u32>(at), load<u32>(at, 4));
    const high = sse_add_f32(vp, load<u32>(at, 8), load<u32>(at, 12));
    if (load<u32>(vp, FP_TRAP) == 0) {
      before = load<u32>(vp, MXCSR);
      const sum = sse_add_f32(vp, low, high);
      for (let n: u32 = 0; n < 4; n++) store<u32>(at + (n << 2), ((imm >> n) & 1) != 0 ? sum : 0);
    }
  }
  settle(vp, before);
  return v128.load(at);
}

/** DPPD, likewise. */
export function sse_f64x2_dot(vp: u32, imm: u32, a: v128, b: v128): v128 {
  let before = load<u32>(vp, MXCSR);
  const at = vp + FP_SCRATCH;
  v128.store(at, a);
  v128.store(at, b, 16);
  for (let n: u32 = 0; n < 2; n++) {
    const lane = at + (n << 3);
    store<u64>(lane, ((imm >> (4 + n)) & 1) != 0 ? sse_mul_f64(vp, load<u64>(lane), load<u64>(lane, 16)) : 0);
  }
  if (load<u32>(vp, FP_TRAP) == 0) {
    before = load<u32>(vp, MXCSR);
    const sum = sse_add_f64(vp, load<u64>(at), load<u64>(at, 8));
    for (let n: u32 = 0; n < 2; n++) store<u64>(at + (n << 3), ((imm >> n) & 1) != 0 ? sum : 0);
  }
  settle(vp, before);
  return v128.load(at);
}
