/** Loads, stores and moves of the x87 in the common case (x87-common-state.ts says which that is). */
import { FCW, FTOP, FTW } from "../layout";
import { PE } from "./environment";
import { J } from "./f80";
import { fabs, fchs, x87_fxch } from "./x87-arithmetic";
import {
  setStatus, tagsOf, topOf, registerAt, register, bitsOf, popOne, roundsToNearest, exponentOfInteger, mantissaOfInteger, POP,
} from "./x87-common-state";
import {
  x87_fild, x87_fist_i16, x87_fist_i32, x87_fist_i64, x87_fld_f32, x87_fld_f64, x87_fld_f80, x87_fld_sti, x87_fst_f32, x87_fst_f64,
  x87_fst_f80, x87_fst_sti, x87_high, x87_pop, x87_store_blocked,
} from "./x87-memory";
import { C1 } from "./x87-stack";

const HALF: u64 = 0x8000000000000000;
/** Bits of an instruction's immediate, as jit/lift/x87.ts sets them; the low three are i of ST(i). */
const TRUNCATE: u32 = 32;

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
