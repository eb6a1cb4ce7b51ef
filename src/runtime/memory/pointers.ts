/**
 * Hints where pointers lead (jit/emit/followed-pointers.ts). Compiled code finds them by itself; what it learns comes here.
 *
 * A loop's *debt* grows by one with each hint that was wrong, and is paid by the instructions that run in between: twice as many wrong ones in
 * a row as the tables have places are more than it takes to learn a ring of that size. Whose debt is too large takes the hints of long rings
 * from then on, where the spots of what it learns are; and where they do not help either it uses none, until so much has run that to
 * learn all of them once more is little beside it.
 */
import * as L from "../layout";

/** Instructions for which one wrong hint is worth its while. */
// @ts-ignore: decorator
@inline const INSTRUCTIONS: i32 = 16;
// @ts-ignore: decorator
@inline const DISTRUST: i32 = -1;
/** Instructions until a loop is trusted again. */
// @ts-ignore: decorator
@inline const PROBATION: u32 = 1 << 30;
/** Offsets in a trust. */
// @ts-ignore: decorator
@inline const SINCE: u32 = 4;
// @ts-ignore: decorator
@inline const FAR: u32 = 8;

/**
 * A pointer to an address of the guest, whose hint is at a spot, leads to an arena address, and the hint did not say so. `left` of the
 * budget. Gives where the hints begin of what lies there, nobody's if the loop is not trusted from here on.
 */
export function learn_pointer(vp: u32, trust: u32, spot: u32, host: u32, address: u32, left: i32): u32 {
  const at = vp + L.POINTER_TRUSTS + trust * L.POINTER_TRUST_BYTES;
  const far = load<u32>(at, FAR) != 0;
  const next = far ? far_spots_of(address) : near_spots_of(address);
  store<u32>(vp + L.POINTER_HINTS + spot, host);
  store<u32>(vp + L.POINTER_SPOTS + spot, next);
  // Less than 0 where another slice has begun.
  const ran = load<i32>(at, SINCE) - left;
  store<i32>(at, left, SINCE);
  const debt = max(0, load<i32>(at) + 1 - (ran > 0 ? ran / INSTRUCTIONS : 0));
  store<i32>(at, debt);
  if (debt <= i32(2 * (far ? L.FAR_POINTER_HINTS : L.NEAR_POINTER_HINTS))) return next;
  store<u32>(at, u32(!far), FAR);
  store<i32>(at, far ? DISTRUST : 0);
  if (!far) return far_spots_of(address);
  store<u32>(at, clock(vp, left), SINCE);
  return 0;
}

/** A loop begins that is not trusted. */
export function regain_trust(vp: u32, trust: u32, left: i32): void {
  const at = vp + L.POINTER_TRUSTS + trust * L.POINTER_TRUST_BYTES;
  if (clock(vp, left) - load<u32>(at, SINCE) < PROBATION) return;
  store<i32>(at, 0);
  store<i32>(at, left, SINCE);
}

/** Instructions that have run, modulo 2^32. */
// @ts-ignore: decorator
@inline function clock(vp: u32, left: i32): u32 {
  return load<u32>(vp + L.RUN_END) - left;
}

/** Places in a row have spots of their own, whether they are 16 bytes long, 32 or 64, or a page each. */
function near_spots_of(address: u32): u32 {
  const hash = ((address >> 6) ^ (address << 6) ^ ((address >> 18) & 63)) & (L.NEAR_POINTER_HINTS - 1);
  return 4 * somebody(hash);
}
function far_spots_of(address: u32): u32 {
  const hash = ((address >> 6) ^ (address << 11) ^ ((address >> 23) & 63)) & (L.FAR_POINTER_HINTS - 1);
  return 4 * (L.NEAR_POINTER_HINTS + somebody(hash));
}
function somebody(hash: u32): u32 {
  return hash | u32((hash & (L.POINTER_HINT_GROUP - 1)) == 0);
}
