/**
 * x87 instructions as compiled code calls them: the common case here and in the other x87-common files, by the shortest way, all
 * else by the functions that read like the manual (x87-memory.ts, x87-arithmetic.ts).
 *
 * Common are rounding to nearest with 64 bits of precision and PE masked, registers that are not empty, and normal numbers with a
 * normal result (zeros where they cost nothing). Then PE and C1 are all that FSW learns. #MF was raised before, where it waits.
 * Tags of registers that are not empty are 0 between instructions.
 *
 * This file: what the others ask of the x87's state, and of numbers.
 */
import { FCW, FPR, FSW, FTOP, FTW } from "../layout";
import { PE } from "./environment";
import { C1 } from "./x87-stack";

/** In an immediate of jit/lift/x87.ts: the instruction pops. The low three bits are i of ST(i). */
export const POP: u32 = 8;

// @ts-ignore: decorator
@inline
export function statusOf(vp: u32): u32 {
  return load<u16>(vp, FSW);
}
/** FSW learns what an operation raised, and whether it rounded up. */
// @ts-ignore: decorator
@inline
export function setStatus(vp: u32, raised: u32): void {
  store<u16>(vp, u16((statusOf(vp) & ~C1) | raised), FSW);
}
// @ts-ignore: decorator
@inline
export function tagsOf(vp: u32): u32 {
  return load<u16>(vp, FTW);
}
/** Registers by their offsets in FPR: where ST(0) is, and where ST(i) then is. */
// @ts-ignore: decorator
@inline
export function topOf(vp: u32): u32 {
  return load<u32>(vp, FTOP);
}
// @ts-ignore: decorator
@inline
export function registerAt(top: u32, i: u32): u32 {
  return (top + (i << 4)) & 0x70;
}
// @ts-ignore: decorator
@inline
export function register(vp: u32, r: u32): u32 {
  return vp + FPR + r;
}
/** Both tag bits of a register: 3 for an empty one. */
// @ts-ignore: decorator
@inline
export function bitsOf(r: u32): u32 {
  return 3 << (r >> 3);
}
// @ts-ignore: decorator
@inline
export function popOne(vp: u32, top: u32): void {
  store<u16>(vp, u16(tagsOf(vp) | bitsOf(top)), FTW);
  store<u32>(vp, registerAt(top, 1), FTOP);
}
/** Rounding to nearest, PE masked, and 64 bits of precision. */
// @ts-ignore: decorator
@inline
export function roundsPlainly(vp: u32): bool {
  return (u32(load<u16>(vp, FCW)) & 0xf20) == 0x320;
}
/** As `roundsPlainly`, for what takes its precision from its destination. */
// @ts-ignore: decorator
@inline
export function roundsToNearest(vp: u32): bool {
  return (u32(load<u16>(vp, FCW)) & 0xc20) == 0x020;
}
// @ts-ignore: decorator
@inline
export function isNormal(m: u64, se: u32): bool {
  return i64(m) < 0 && (se & 0x7fff) - 1 < 0x7ffe;
}
/** The exponent and sign of an integer, and its magnitude shifted until the top bit is set. */
// @ts-ignore: decorator
@inline
export function exponentOfInteger(value: i64): u32 {
  const magnitude = value < 0 ? u64(0 - value) : u64(value);
  return (value < 0 ? 0x8000 : 0) | (16446 - u32(clz(magnitude)));
}
// @ts-ignore: decorator
@inline
export function mantissaOfInteger(value: i64): u64 {
  const magnitude = value < 0 ? u64(0 - value) : u64(value);
  return magnitude << clz(magnitude);
}
