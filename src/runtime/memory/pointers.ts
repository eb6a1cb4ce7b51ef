/**
 * Hints where pointers lead (jit/emit/followed-pointers.ts). Compiled code finds them by itself; what it learns comes here.
 *
 * A loop's *debt* grows by one with each hint that was wrong, and is paid by the instructions that run in between: so many wrong ones in a
 * row as the tables have places are what it takes to learn a ring of that size. Whose debt is too large uses no hints, until so much has run
 * that learning all of them once more is nothing beside it.
 */
import * as L from "../layout";

/** Instructions for which one wrong hint is worth its while. */
// @ts-ignore: decorator
@inline const INSTRUCTIONS: i32 = 16;
// @ts-ignore: decorator
@inline const MOST_DEBT: i32 = 8192;
// @ts-ignore: decorator
@inline const DISTRUST: i32 = -1;
/** Instructions until a loop is trusted again. */
// @ts-ignore: decorator
@inline const PROBATION: u32 = 1 << 28;

/**
 * A pointer to an address of the guest, whose hint is at a spot, leads to an arena address, and the hint did not say so. `left` of the
 * budget. Gives where the hints begin of what lies there, nobody's if the loop is not trusted from here on.
 */
export function learn_pointer(vp: u32, trust: u32, spot: u32, host: u32, address: u32, left: i32): u32 {
  const next = spots_of(address);
  store<u32>(vp + L.POINTER_HINTS + 2 * spot, host);
  store<u16>(vp + L.POINTER_SPOTS + spot, <u16>next);
  const at = vp + L.POINTER_TRUSTS + trust * L.POINTER_TRUST_BYTES;
  // Less than 0 where another slice has begun.
  const ran = load<i32>(at, 4) - left;
  store<i32>(at, left, 4);
  const debt = max(0, load<i32>(at) + 1 - (ran > 0 ? ran / INSTRUCTIONS : 0));
  store<i32>(at, debt);
  if (debt <= MOST_DEBT) return next;
  store<i32>(at, DISTRUST);
  store<u32>(at, clock(vp, left), 4);
  return 0;
}

/** A loop begins that is not trusted. */
export function regain_trust(vp: u32, trust: u32, left: i32): void {
  const at = vp + L.POINTER_TRUSTS + trust * L.POINTER_TRUST_BYTES;
  if (clock(vp, left) - load<u32>(at, 4) < PROBATION) return;
  store<i32>(at, 0);
  store<i32>(at, left, 4);
}

/** Instructions that have run, modulo 2^32. */
// @ts-ignore: decorator
@inline function clock(vp: u32, left: i32): u32 {
  return load<u32>(vp + L.RUN_END) - left;
}

/** Places in a row have spots of their own, whether they are 16 bytes long, 32 or 64, or a page each. */
function spots_of(address: u32): u32 {
  const hash = ((address >> 6) ^ (address << 6) ^ ((address >> 18) & 63)) & (L.POINTER_HINT_COUNT - 1);
  return 2 * (hash | u32((hash & (L.POINTER_HINT_GROUP - 1)) == 0));
}
