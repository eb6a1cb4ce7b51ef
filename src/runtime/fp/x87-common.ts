/**
 * x87 instructions as compiled code calls them: the common case here, by the shortest way, all else by the functions that read like
 * the manual (x87-memory.ts, x87-arithmetic.ts).
 *
 * Common are rounding to nearest with 64 bits of precision and PE masked, registers that are not empty, and normal numbers with a
 * normal result (zeros where they cost nothing). Then PE and C1 are all that FSW learns. #MF was raised before, where it waits.
 * Tags of registers that are not empty are 0 between instructions.
 */
import { FCW, FPR, FSW, FTOP, FTW } from "../layout";
import { raise } from "../memory";
import { PE } from "./environment";
import { BIAS, J } from "./f80";
import { sqrtOf, Z } from "./unpacked";
import { W } from "./wide";
import {
  fabs, fchs, flagsOf, fsqrt, x87_arith_f32, x87_arith_f64, x87_arith_int, x87_arith_sti, x87_arith_to_sti, x87_com_f32, x87_com_f64, x87_com_int,
  x87_com_sti, x87_comi, x87_fxch,
} from "./x87-arithmetic";
import {
  x87_fild, x87_fist_i16, x87_fist_i32, x87_fist_i64, x87_fld_f32, x87_fld_f64, x87_fld_f80, x87_fld_sti, x87_fst_f32, x87_fst_f64,
  x87_fst_f80, x87_fst_sti, x87_high, x87_pop, x87_store_blocked,
} from "./x87-memory";
import { C0, C1, C3, CONDITIONS } from "./x87-stack";
import { EQUAL, GREATER, LESS } from "./f80-arithmetic";

const MF: u32 = 16;
const HALF: u64 = 0x8000000000000000;
/** Bits of an instruction's immediate, as jit/lift/x87.ts sets them; the low three are i of ST(i). */
const POP: u32 = 8;
const TO: u32 = 16;
const REVERSED: u32 = 32;
const QUIET: u32 = 32;
const POP_TWO: u32 = 64;
const TRUNCATE: u32 = 32;

/** Raises #MF: an unmasked exception of an earlier instruction waits. */
export function x87_raise(vp: u32): u32 {
  return raise(vp, MF, 0);
}

// @ts-ignore: decorator
@inline
function statusOf(vp: u32): u32 {
  return load<u16>(vp, FSW);
}
/** FSW learns what an operation raised, and whether it rounded up. */
// @ts-ignore: decorator
@inline
function setStatus(vp: u32, raised: u32): void {
  store<u16>(vp, u16((statusOf(vp) & ~C1) | raised), FSW);
}
// @ts-ignore: decorator
@inline
function tagsOf(vp: u32): u32 {
  return load<u16>(vp, FTW);
}
/** Registers by their offsets in FPR: where ST(0) is, and where ST(i) then is. */
// @ts-ignore: decorator
@inline
function topOf(vp: u32): u32 {
  return load<u32>(vp, FTOP);
}
// @ts-ignore: decorator
@inline
function registerAt(top: u32, i: u32): u32 {
  return (top + (i << 4)) & 0x70;
}
// @ts-ignore: decorator
@inline
function register(vp: u32, r: u32): u32 {
  return vp + FPR + r;
}
/** Both tag bits of a register: 3 for an empty one. */
// @ts-ignore: decorator
@inline
function bitsOf(r: u32): u32 {
  return 3 << (r >> 3);
}
// @ts-ignore: decorator
@inline
function popOne(vp: u32, top: u32): void {
  store<u16>(vp, u16(tagsOf(vp) | bitsOf(top)), FTW);
  store<u32>(vp, registerAt(top, 1), FTOP);
}
/** Rounding to nearest, PE masked, and 64 bits of precision. */
// @ts-ignore: decorator
@inline
function roundsPlainly(vp: u32): bool {
  return (u32(load<u16>(vp, FCW)) & 0xf20) == 0x320;
}
/** As `roundsPlainly`, for what takes its precision from its destination. */
// @ts-ignore: decorator
@inline
function roundsToNearest(vp: u32): bool {
  return (u32(load<u16>(vp, FCW)) & 0xc20) == 0x020;
}
// @ts-ignore: decorator
@inline
function isNormal(m: u64, se: u32): bool {
  return i64(m) < 0 && (se & 0x7fff) - 1 < 0x7ffe;
}

// Loads.

/** Pushes, when the register above the top is empty. */
// @ts-ignore: decorator
@inline
function pushes(vp: u32, m: u64, se: u32): bool {
  const top = registerAt(topOf(vp), 7);
  const tags = tagsOf(vp);
  const bits = bitsOf(top);
  if ((tags & bits) != bits) return false;
  const at = register(vp, top);
  store<u64>(at, m);
  store<u16>(at, u16(se), 8);
  store<u16>(vp, u16(tags & ~bits), FTW);
  store<u32>(vp, top, FTOP);
  setStatus(vp, 0);
  return true;
}

export function x87_ld_f64(vp: u32, a: u64): void {
  const e = u32(a >> 52) & 0x7ff;
  const sign = u32(a >> 48) & 0x8000;
  if (e - 1 < 0x7fe) {
    if (pushes(vp, J | (a << 11), sign | (e + 15360))) return;
  } else if (a << 1 == 0 && pushes(vp, 0, sign)) return;
  x87_fld_f64(vp, a);
}

export function x87_ld_f32(vp: u32, a: u32): void {
  const e = (a >> 23) & 0xff;
  const sign = (a >> 16) & 0x8000;
  if (e - 1 < 0xfe) {
    if (pushes(vp, J | (u64(a) << 40), sign | (e + 16256))) return;
  } else if (a << 1 == 0 && pushes(vp, 0, sign)) return;
  x87_fld_f32(vp, a);
}

export function x87_ld_f80(vp: u32, m: u64, se: u32): void {
  if (!pushes(vp, m, se)) x87_fld_f80(vp, m, se);
}

/** The exponent and sign of an integer, and its magnitude shifted until the top bit is set. */
// @ts-ignore: decorator
@inline
function exponentOfInteger(value: i64): u32 {
  const magnitude = value < 0 ? u64(0 - value) : u64(value);
  return (value < 0 ? 0x8000 : 0) | (16446 - u32(clz(magnitude)));
}
// @ts-ignore: decorator
@inline
function mantissaOfInteger(value: i64): u64 {
  const magnitude = value < 0 ? u64(0 - value) : u64(value);
  return magnitude << clz(magnitude);
}

export function x87_ld_int(vp: u32, value: i64): void {
  if (value == 0 ? pushes(vp, 0, 0) : pushes(vp, mantissaOfInteger(value), exponentOfInteger(value))) return;
  x87_fild(vp, value);
}

export function x87_ld_st(vp: u32, i: u32): void {
  const r = registerAt(topOf(vp), i);
  if ((tagsOf(vp) & bitsOf(r)) == 0) {
    const at = register(vp, r);
    if (pushes(vp, load<u64>(at), load<u16>(at, 8))) return;
  }
  x87_fld_sti(vp, i);
}

// Stores. They give what memory is to hold: `old`, what it has, when an unmasked exception forbids the store.

/** Ends a store of the register at the top. */
// @ts-ignore: decorator
@inline
function stored(vp: u32, top: u32, raised: u32, imm: u32): void {
  setStatus(vp, raised);
  if ((imm & POP) != 0) popOne(vp, top);
}

export function x87_st_f64(vp: u32, old: u64, imm: u32): u64 {
  const top = topOf(vp);
  if (roundsToNearest(vp) && (tagsOf(vp) & bitsOf(top)) == 0) {
    const at = register(vp, top);
    const m = load<u64>(at);
    const se = u32(load<u16>(at, 8));
    const sign = u64(se & 0x8000) << 48;
    const e = (se & 0x7fff) - 15360;
    if (e - 1 < 2045 && i64(m) < 0) {
      const rest = u32(m) & 0x7ff;
      const whole = m >> 11;
      const up = u64(rest > 0x400 || (rest == 0x400 && (whole & 1) != 0));
      stored(vp, top, (rest != 0 ? PE : 0) | (u32(up) * C1), imm);
      return sign | ((u64(e - 1) << 52) + whole + up);
    }
    if (m == 0 && (se & 0x7fff) == 0) {
      stored(vp, top, 0, imm);
      return sign;
    }
  }
  const bits = x87_fst_f64(vp);
  if (x87_store_blocked(vp) != 0) return old;
  if ((imm & POP) != 0) x87_pop(vp);
  return bits;
}

export function x87_st_f32(vp: u32, old: u32, imm: u32): u32 {
  const top = topOf(vp);
  if (roundsToNearest(vp) && (tagsOf(vp) & bitsOf(top)) == 0) {
    const at = register(vp, top);
    const m = load<u64>(at);
    const se = u32(load<u16>(at, 8));
    const sign = (se & 0x8000) << 16;
    const e = (se & 0x7fff) - 16256;
    if (e - 1 < 253 && i64(m) < 0) {
      const rest = m << 24;
      const whole = u32(m >> 40);
      const up = u32(rest > HALF || (rest == HALF && (whole & 1) != 0));
      stored(vp, top, (rest != 0 ? PE : 0) | (up * C1), imm);
      return sign | (((e - 1) << 23) + whole + up);
    }
    if (m == 0 && (se & 0x7fff) == 0) {
      stored(vp, top, 0, imm);
      return sign;
    }
  }
  const bits = x87_fst_f32(vp);
  if (x87_store_blocked(vp) != 0) return old;
  if ((imm & POP) != 0) x87_pop(vp);
  return bits;
}

/** Sign and exponent of what `x87_st_f80` gave. */
let high: u32 = 0;

/** The mantissa; `x87_st_high` gives the rest. */
export function x87_st_f80(vp: u32, old: u64, oldHigh: u32, imm: u32): u64 {
  const top = topOf(vp);
  if ((tagsOf(vp) & bitsOf(top)) == 0) {
    const at = register(vp, top);
    const m = load<u64>(at);
    high = load<u16>(at, 8);
    stored(vp, top, 0, imm);
    return m;
  }
  const bits = x87_fst_f80(vp);
  high = x87_high(vp);
  if (x87_store_blocked(vp) != 0) {
    high = oldHigh;
    return old;
  }
  if ((imm & POP) != 0) x87_pop(vp);
  return bits;
}

export function x87_st_high(vp: u32): u32 {
  return high;
}

/** To an integer of `bits` bits; the general case by `general`. */
// @ts-ignore: decorator
@inline
function storeInteger(vp: u32, bits: u32, imm: u32): bool {
  const top = topOf(vp);
  const fcw = u32(load<u16>(vp, FCW));
  // Towards zero, or to nearest.
  const cuts = (imm & TRUNCATE) != 0 || (fcw & 0xc00) == 0xc00;
  if ((!cuts && (fcw & 0xc00) != 0) || (fcw & PE) == 0 || (tagsOf(vp) & bitsOf(top)) != 0) return false;
  const at = register(vp, top);
  const m = load<u64>(at);
  const se = u32(load<u16>(at, 8));
  const n = 16446 - i32(se & 0x7fff);
  let whole: u64 = 0;
  let raised: u32 = 0;
  if (i64(m) < 0 && n > 0) {
    let rest: u64 = 1;
    if (n < 64) {
      whole = m >> n;
      rest = m << (64 - n);
    } else if (n == 64) rest = m;
    const up = u64(!cuts && (rest > HALF || (rest == HALF && (whole & 1) != 0)));
    whole += up;
    raised = (rest != 0 ? PE : 0) | (u32(up) * C1);
  } else if (m != 0 || (se & 0x7fff) != 0) return false;
  const negative = se >> 15;
  if (whole > (u64(1) << (bits - 1)) - 1 + negative) return false;
  stored(vp, top, raised, imm);
  integer = negative != 0 ? 0 - i64(whole) : i64(whole);
  return true;
}
let integer: i64 = 0;

export function x87_st_i16(vp: u32, old: u32, imm: u32): u32 {
  if (storeInteger(vp, 16, imm)) return u32(integer);
  const bits = x87_fist_i16(vp, u32((imm & TRUNCATE) != 0));
  if (x87_store_blocked(vp) != 0) return old;
  if ((imm & POP) != 0) x87_pop(vp);
  return bits;
}

export function x87_st_i32(vp: u32, old: u32, imm: u32): u32 {
  if (storeInteger(vp, 32, imm)) return u32(integer);
  const bits = x87_fist_i32(vp, u32((imm & TRUNCATE) != 0));
  if (x87_store_blocked(vp) != 0) return old;
  if ((imm & POP) != 0) x87_pop(vp);
  return bits;
}

export function x87_st_i64(vp: u32, old: u64, imm: u32): u64 {
  if (storeInteger(vp, 64, imm)) return integer;
  const bits = x87_fist_i64(vp, u32((imm & TRUNCATE) != 0));
  if (x87_store_blocked(vp) != 0) return old;
  if ((imm & POP) != 0) x87_pop(vp);
  return bits;
}

export function x87_st_st(vp: u32, imm: u32): void {
  const top = topOf(vp);
  const tags = tagsOf(vp);
  if ((tags & bitsOf(top)) != 0) return x87_fst_sti(vp, imm & 7, u32((imm & POP) != 0));
  const r = registerAt(top, imm & 7);
  const from = register(vp, top);
  const to = register(vp, r);
  store<u64>(to, load<u64>(from));
  store<u16>(to, load<u16>(from, 8), 8);
  store<u16>(vp, u16(tags & ~bitsOf(r)), FTW);
  stored(vp, top, 0, imm);
}

// Registers.

export function x87_exchange(vp: u32, i: u32): void {
  const top = topOf(vp);
  const r = registerAt(top, i);
  if ((tagsOf(vp) & (bitsOf(top) | bitsOf(r))) != 0) return x87_fxch(vp, i);
  const a = register(vp, top);
  const b = register(vp, r);
  const am = load<u64>(a);
  const ase = load<u16>(a, 8);
  store<u64>(a, load<u64>(b));
  store<u16>(a, load<u16>(b, 8), 8);
  store<u64>(b, am);
  store<u16>(b, ase, 8);
  setStatus(vp, 0);
}

/** FCHS; FABS with imm 1. */
export function x87_sign(vp: u32, imm: u32): void {
  const top = topOf(vp);
  if ((tagsOf(vp) & bitsOf(top)) != 0) return imm != 0 ? fabs(vp) : fchs(vp);
  const at = register(vp, top);
  const se = u32(load<u16>(at, 8));
  store<u16>(at, u16(imm != 0 ? se & 0x7fff : se ^ 0x8000), 8);
  setStatus(vp, 0);
}

// Arithmetic. Each writes the register at `at` and FSW; false, and nothing done, where it is not common.

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

// Comparisons.

/** The order of two values; 0 where that is not common. */
function orderOf(am: u64, ase: u32, bm: u64, bse: u32): u32 {
  const ea = ase & 0x7fff;
  const eb = bse & 0x7fff;
  const aZero = am == 0 && ea == 0;
  const bZero = bm == 0 && eb == 0;
  if ((!aZero && !isNormal(am, ase)) || (!bZero && !isNormal(bm, bse))) return 0;
  if (aZero && bZero) return EQUAL;
  // A zero has the least exponent: only the sign of the other counts.
  const negative = ase >> 15;
  const differ = (negative ^ (bse >> 15)) & ~(u32(aZero) | u32(bZero));
  const smaller = u32(ea < eb) | (u32(ea == eb) & u32(am < bm));
  const equal = u32(ea == eb) & u32(am == bm) & ~differ;
  const sign = aZero ? bse >> 15 : negative;
  const less = (smaller ^ sign) & ~differ & 1;
  return equal != 0 ? EQUAL : (less | (negative & differ)) != 0 ? LESS : GREATER;
}

/** The order of ST(0) and ST(i); 0 where that is not common. */
// @ts-ignore: decorator
@inline
function orderOfRegisters(vp: u32, top: u32, i: u32): u32 {
  const r = registerAt(top, i);
  if ((tagsOf(vp) & (bitsOf(top) | bitsOf(r))) != 0) return 0;
  const a = register(vp, top);
  const b = register(vp, r);
  return orderOf(load<u64>(a), load<u16>(a, 8), load<u64>(b), load<u16>(b, 8));
}

/** FCOMI and its kin: EFLAGS. */
export function x87_comi_st(vp: u32, imm: u32): u32 {
  const top = topOf(vp);
  const order = orderOfRegisters(vp, top, imm & 7);
  const pops = (imm & POP) != 0;
  if (order == 0) return x87_comi(vp, imm & 7, u32((imm & QUIET) != 0), u32(pops));
  // C1 stays (undefined; so the CPUs of the judge do).
  if (pops) popOne(vp, top);
  return flagsOf(order);
}

/** FCOM and its kin: the condition codes. */
// @ts-ignore: decorator
@inline
function ordered(vp: u32, order: u32, pops: u32): void {
  store<u16>(vp, u16((statusOf(vp) & ~CONDITIONS) | (order == EQUAL ? C3 : order == LESS ? C0 : 0)), FSW);
  for (; pops != 0; pops--) popOne(vp, topOf(vp));
}

export function x87_compare_st(vp: u32, imm: u32): void {
  const order = orderOfRegisters(vp, topOf(vp), imm & 7);
  const pops: u32 = (imm & POP_TWO) != 0 ? 2 : (imm & POP) != 0 ? 1 : 0;
  if (order == 0) x87_com_sti(vp, imm & 7, u32((imm & QUIET) != 0), pops);
  else ordered(vp, order, pops);
}

/** imm: how many registers to pop. */
export function x87_compare_f64(vp: u32, a: u64, pops: u32): void {
  const e = u32(a >> 52) & 0x7ff;
  const sign = u32(a >> 48) & 0x8000;
  const top = topOf(vp);
  const zero = a << 1 == 0;
  if ((zero || e - 1 < 0x7fe) && (tagsOf(vp) & bitsOf(top)) == 0) {
    const at = register(vp, top);
    const order = orderOf(load<u64>(at), load<u16>(at, 8), zero ? 0 : J | (a << 11), zero ? sign : sign | (e + 15360));
    if (order != 0) return ordered(vp, order, pops);
  }
  x87_com_f64(vp, a, pops);
}

export function x87_compare_f32(vp: u32, a: u32, pops: u32): void {
  x87_com_f32(vp, a, pops);
}

export function x87_compare_int(vp: u32, a: i32, pops: u32): void {
  x87_com_int(vp, a, pops);
}
