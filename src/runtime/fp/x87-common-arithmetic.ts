/** x87 arithmetic in the common case (x87-common-state.ts says which that is). */
import { FSW } from "../layout";
import { PE } from "./environment";
import { BIAS, J } from "./f80";
import { sqrtOf, Z } from "./unpacked";
import { W } from "./wide";
import { fsqrt, x87_arith_f32, x87_arith_f64, x87_arith_int, x87_arith_sti, x87_arith_to_sti } from "./x87-arithmetic";
import {
  setStatus, tagsOf, topOf, registerAt, register, bitsOf, popOne, roundsPlainly, isNormal, exponentOfInteger, mantissaOfInteger, POP,
} from "./x87-common-state";
import { C1 } from "./x87-stack";

const HALF: u64 = 0x8000000000000000;
/** Bits of an instruction's immediate, as jit/lift/x87.ts sets them; the low three are i of ST(i). */
const TO: u32 = 16;
const REVERSED: u32 = 32;

// Each writes the register at `at` and FSW; false, and nothing done, where it is not common.

/** Writes ±m:low / 2^127 · 2^e rounded; the top bit of m is set. False where e is not inside the range by what rounding may add. */
// @ts-ignore: decorator
@inline
function finish(vp: u32, at: u32, sign: u32, e: i32, m: u64, low: u64): bool {
  if (u32(e) - 1 >= 0x7ffd) return false;
  const up = u64(low > HALF) | (u64(low == HALF) & m);
  const one = up & 1;
  m += one;
  // All ones became zeros.
  const over = u64(m == 0);
  store<u64>(at, m | (over << 63));
  store<u16>(at, u16(sign | (u32(e) + u32(over))), 8);
  setStatus(vp, (u32(low != 0) * PE) | (u32(one) * C1));
  return true;
}

/** A zero of either sign. */
// @ts-ignore: decorator
@inline
function isZero(m: u64, se: u32): bool {
  return m == 0 && (se & 0x7fff) == 0;
}
/** Writes an exact value. */
// @ts-ignore: decorator
@inline
function exactly(vp: u32, at: u32, m: u64, se: u32): bool {
  store<u64>(at, m);
  store<u16>(at, u16(se), 8);
  setStatus(vp, 0);
  return true;
}
/** A sum with one zero. */
function addZero(vp: u32, at: u32, am: u64, ase: u32, bm: u64, bse: u32): bool {
  if (isZero(am, ase) && isNormal(bm, bse)) return exactly(vp, at, bm, bse);
  return isNormal(am, ase) && isZero(bm, bse) && exactly(vp, at, am, ase);
}
/** A product with a zero. */
function mulZero(vp: u32, at: u32, am: u64, ase: u32, bm: u64, bse: u32): bool {
  const a = isZero(am, ase);
  const b = isZero(bm, bse);
  if ((!a && !isNormal(am, ase)) || (!b && !isNormal(bm, bse))) return false;
  return exactly(vp, at, 0, (ase ^ bse) & 0x8000);
}

/*
 * What depends on values at random (which operand is the larger, whether a sum carries) is computed, not branched on.
 */

function add(vp: u32, at: u32, am: u64, ase: u32, bm: u64, bse: u32): bool {
  if (!isNormal(am, ase) || !isNormal(bm, bse)) return addZero(vp, at, am, ase, bm, bse);
  const ea = ase & 0x7fff;
  const eb = bse & 0x7fff;
  const swaps = u32(ea < eb) | (u32(ea == eb) & u32(am < bm));
  const m = (am ^ bm) & (0 - u64(swaps));
  am ^= m;
  bm ^= m;
  const e = (ea ^ eb) & (0 - swaps);
  const distance = (ea ^ e) - (eb ^ e);
  let low: u64;
  if (distance < 64) {
    low = (bm << 1) << (63 - distance);
    bm >>= distance;
  } else {
    low = distance == 64 ? bm : distance == 65 ? (bm >> 1) | (bm & 1) : 1;
    bm = 0;
  }
  // Minus b is its complement and one more.
  const differ = u64(((ase ^ bse) >> 15) & 1);
  const complement = 0 - differ;
  low = (low ^ complement) + differ;
  let high = am + (bm ^ complement) + (u64(low == 0) & differ);
  const carry = u64(high < am) & ~differ;
  low = (low >> carry) | ((high & carry) << 63) | (low & carry);
  high = (high >> carry) | (carry << 63);
  if (high == 0) {
    if (low != 0) return false;
    // A zero of an exact cancellation is positive.
    return exactly(vp, at, 0, 0);
  }
  const n = clz(high);
  high = (high << n) | ((low >> 1) >> (63 - n));
  const sign = (ase ^ ((ase ^ bse) & (0 - swaps))) & 0x8000;
  return finish(vp, at, sign, i32(ea ^ e) + i32(carry) - i32(n), high, low << n);
}

function mul(vp: u32, at: u32, am: u64, ase: u32, bm: u64, bse: u32): bool {
  if (!isNormal(am, ase) || !isNormal(bm, bse)) return mulZero(vp, at, am, ase, bm, bse);
  const a0 = am & 0xffffffff;
  const a1 = am >> 32;
  const b0 = bm & 0xffffffff;
  const b1 = bm >> 32;
  const p = a0 * b0;
  const q = a1 * b0 + (p >> 32);
  const r = a0 * b1 + (q & 0xffffffff);
  const m = a1 * b1 + (q >> 32) + (r >> 32);
  const low = (r << 32) | (p & 0xffffffff);
  const short = (m >> 63) ^ 1;
  const e = i32(ase & 0x7fff) + i32(bse & 0x7fff) - 16382 - i32(short);
  return finish(vp, at, (ase ^ bse) & 0x8000, e, (m << short) | ((low >> 63) & short), low << short);
}

/** high:low / d with high < d and the top bit of d set, in two digits (Knuth 4.3.1, D); the remainder goes to `W.rest`. */
// @ts-ignore: decorator
@inline
function quotient(high: u64, low: u64, d: u64): u64 {
  const d1 = d >> 32;
  const d0 = d & 0xffffffff;
  const l1 = low >> 32;
  let q1 = high / d1;
  let r = high - q1 * d1;
  // Too large by at most two.
  let over = u64(q1 >> 32 != 0) | u64(q1 * d0 > ((r << 32) | l1));
  q1 -= over;
  r += d1 & (0 - over);
  over &= u64(r >> 32 == 0) & (u64(q1 >> 32 != 0) | u64(q1 * d0 > ((r << 32) | l1)));
  q1 -= over;
  const middle = ((high << 32) | l1) - q1 * d;
  const l0 = low & 0xffffffff;
  let q0 = middle / d1;
  r = middle - q0 * d1;
  over = u64(q0 >> 32 != 0) | u64(q0 * d0 > ((r << 32) | l0));
  q0 -= over;
  r += d1 & (0 - over);
  over &= u64(r >> 32 == 0) & (u64(q0 >> 32 != 0) | u64(q0 * d0 > ((r << 32) | l0)));
  q0 -= over;
  W.rest = ((middle << 32) | l0) - q0 * d;
  return (q1 << 32) + q0;
}

function div(vp: u32, at: u32, am: u64, ase: u32, bm: u64, bse: u32): bool {
  if (!isNormal(am, ase) || !isNormal(bm, bse)) return false;
  const half = u64(am >= bm);
  const e = i32(ase & 0x7fff) - i32(bse & 0x7fff) + 16382 + i32(half);
  if (u32(e) - 1 >= 0x7ffd) return false;
  const m = quotient(am >> half, (am & half) << 63, bm);
  const rest = W.rest;
  // Never a tie: a quotient of 65 bits times a divisor of 64 has too many.
  const low: u64 = (u64(rest > bm - rest) << 63) | u64(rest != 0);
  return finish(vp, at, (ase ^ bse) & 0x8000, e, m, low);
}

export function x87_sqrt(vp: u32): void {
  const top = topOf(vp);
  if (roundsPlainly(vp) && (tagsOf(vp) & bitsOf(top)) == 0) {
    const at = register(vp, top);
    const m = load<u64>(at);
    const se = u32(load<u16>(at, 8));
    if (isNormal(m, se) && se >> 15 == 0) {
      sqrtOf(i32(se) - BIAS, m);
      finish(vp, at, 0, Z.exponent + BIAS, Z.high, Z.low);
      return;
    }
  }
  fsqrt(vp);
}

const ADD: u32 = 0;
const MUL: u32 = 1;
const SUB: u32 = 4;
const DIV: u32 = 6;

// @ts-ignore: decorator
@inline
function compute(vp: u32, op: u32, at: u32, am: u64, ase: u32, bm: u64, bse: u32): bool {
  if (op == ADD) return add(vp, at, am, ase, bm, bse);
  if (op == SUB) return add(vp, at, am, ase, bm, bse ^ 0x8000);
  if (op == MUL) return mul(vp, at, am, ase, bm, bse);
  return div(vp, at, am, ase, bm, bse);
}

/** ST(0) or, with TO, ST(i) = ST(0) op ST(i), or the other way round with REVERSED. */
// @ts-ignore: decorator
@inline
function ofRegisters(vp: u32, op: u32, imm: u32): void {
  const top = topOf(vp);
  const i = imm & 7;
  const r = registerAt(top, i);
  const pops = (imm & POP) != 0;
  if (roundsPlainly(vp) && (tagsOf(vp) & (bitsOf(top) | bitsOf(r))) == 0) {
    const to = (imm & TO) != 0;
    const a = register(vp, top);
    const b = register(vp, r);
    const reversed = (imm & REVERSED) != 0;
    const x = reversed ? b : a;
    const y = reversed ? a : b;
    if (compute(vp, op, to ? b : a, load<u64>(x), load<u16>(x, 8), load<u64>(y), load<u16>(y, 8))) {
      if (pops) popOne(vp, top);
      return;
    }
  }
  const field = op | (imm & REVERSED ? 1 : 0);
  if ((imm & TO) != 0) x87_arith_to_sti(vp, field, i, u32(pops));
  else x87_arith_sti(vp, field, i);
}

export function x87_add_st(vp: u32, imm: u32): void {
  ofRegisters(vp, ADD, imm);
}
export function x87_sub_st(vp: u32, imm: u32): void {
  ofRegisters(vp, SUB, imm);
}
export function x87_mul_st(vp: u32, imm: u32): void {
  ofRegisters(vp, MUL, imm);
}
export function x87_div_st(vp: u32, imm: u32): void {
  ofRegisters(vp, DIV, imm);
}

/** ST(0) = ST(0) op (m, se), or the other way round with REVERSED; false, and nothing done, where that is not common. */
function ofMemory(vp: u32, imm: u32, m: u64, se: u32): bool {
  const top = topOf(vp);
  if (!roundsPlainly(vp) || (tagsOf(vp) & bitsOf(top)) != 0) return false;
  const at = register(vp, top);
  const am = load<u64>(at);
  const ase = u32(load<u16>(at, 8));
  switch (imm & 7) {
    case 0:
      return add(vp, at, am, ase, m, se);
    case 1:
      return mul(vp, at, am, ase, m, se);
    case 4:
      return add(vp, at, am, ase, m, se ^ 0x8000);
    case 5:
      return add(vp, at, m, se, am, ase ^ 0x8000);
    case 6:
      return div(vp, at, am, ase, m, se);
    default:
      return div(vp, at, m, se, am, ase);
  }
}

/** imm: the opcode's /r field. */
export function x87_op_f64(vp: u32, a: u64, imm: u32): void {
  const e = u32(a >> 52) & 0x7ff;
  if (e - 1 < 0x7fe && ofMemory(vp, imm, J | (a << 11), (u32(a >> 48) & 0x8000) | (e + 15360))) return;
  x87_arith_f64(vp, imm, a);
}

export function x87_op_f32(vp: u32, a: u32, imm: u32): void {
  const e = (a >> 23) & 0xff;
  if (e - 1 < 0xfe && ofMemory(vp, imm, J | (u64(a) << 40), ((a >> 16) & 0x8000) | (e + 16256))) return;
  x87_arith_f32(vp, imm, a);
}

export function x87_op_int(vp: u32, a: i32, imm: u32): void {
  if (a != 0 && ofMemory(vp, imm, mantissaOfInteger(a), exponentOfInteger(a))) return;
  x87_arith_int(vp, imm, a);
}
