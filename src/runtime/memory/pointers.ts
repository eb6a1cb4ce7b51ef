/**
 * Hints where pointers lead (jit/emit/followed-pointers.ts). Compiled code finds them by itself; what it learns comes here.
 *
 * A loop's *debt* grows by one with each hint that was wrong, and is paid by the instructions that run in between: so many wrong ones in a
 * row as the table has places are what it takes to learn a ring of that size. Whose debt is too large uses no hints, until it has begun
 * many times more.
 */
import * as L from "../layout";

/** Instructions for which one wrong hint is worth its while. */
// @ts-ignore: decorator
@inline const INSTRUCTIONS: i32 = 16;
// @ts-ignore: decorator
@inline const MOST_DEBT: i32 = 8192;
/** How often a loop begins until it is trusted again. */
// @ts-ignore: decorator
@inline const BEGINNINGS: i32 = 1 << 20;

/** A pointer, whose hint is so far in the table, leads to an arena address, and the hint did not say so. `left` of the budget. */
export function learn_pointer(vp: u32, trust: u32, spot: u32, host: u32, left: i32): void {
  store<u32>(vp + L.POINTER_HINTS + spot, host);
  const at = vp + L.POINTER_TRUSTS + trust * L.POINTER_TRUST_BYTES;
  // Less than 0 where another slice has begun.
  const ran = load<i32>(at, 4) - left;
  store<i32>(at, left, 4);
  const debt = max(0, load<i32>(at) + 1 - (ran > 0 ? ran / INSTRUCTIONS : 0));
  store<i32>(at, debt > MOST_DEBT ? -BEGINNINGS : debt);
}
