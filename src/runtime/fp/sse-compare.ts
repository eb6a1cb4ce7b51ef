/** MIN, MAX, CMP, COMIS and UCOMIS under MXCSR. Signatures and their use: index.ts. */
import { isNan, isSignaling, magnitudeOf, signOf } from "./binary";
import { Env, IE } from "./environment";
import { EQUAL, GREATER, LESS, UNORDERED } from "./f80-arithmetic";
import { begin, denormals, end, operand } from "./sse";
import { flagsOf } from "./x87-arithmetic";

/** The order of a and b; exceptions go to `Env`. */
function order(a: u64, b: u64, F: u32, quiet: bool): u32 {
  if (isNan(a, F) || isNan(b, F)) {
    if (!quiet || isSignaling(a, F) || isSignaling(b, F)) Env.raised |= IE;
    return UNORDERED;
  }
  denormals(a, b, F);
  const am = magnitudeOf(a, F);
  const bm = magnitudeOf(b, F);
  if ((am | bm) == 0 || a == b) return EQUAL;
  const aSign = signOf(a, F) != 0;
  if (aSign != (signOf(b, F) != 0)) return aSign ? LESS : GREATER;
  return am < bm != aSign ? LESS : GREATER;
}

/** MIN and MAX give the second operand, as it is, for NaNs and for two zeros. */
function extreme(vp: u32, a: u64, b: u64, F: u32, wanted: u32): u64 {
  const mxcsr = begin(vp);
  a = operand(a, F, mxcsr);
  b = operand(b, F, mxcsr);
  const result = order(a, b, F, false) == wanted ? a : b;
  end(vp);
  return result;
}

export function sse_min_f32(vp: u32, a: u32, b: u32): u32 {
  return u32(extreme(vp, a, b, 23, LESS));
}

export function sse_min_f64(vp: u32, a: u64, b: u64): u64 {
  return extreme(vp, a, b, 52, LESS);
}

export function sse_max_f32(vp: u32, a: u32, b: u32): u32 {
  return u32(extreme(vp, a, b, 23, GREATER));
}

export function sse_max_f64(vp: u32, a: u64, b: u64): u64 {
  return extreme(vp, a, b, 52, GREATER);
}

/** The orders for which predicates EQ, LT, LE and UNORD hold; 4-7 are their negations. */
function holds(predicate: u32, o: u32): bool {
  const kind = predicate & 3;
  const wanted = kind == 0 ? EQUAL : kind == 1 ? LESS : kind == 2 ? LESS | EQUAL : UNORDERED;
  return ((wanted & o) != 0) != ((predicate & 4) != 0);
}

function compare(vp: u32, a: u64, b: u64, predicate: u32, F: u32): u64 {
  const mxcsr = begin(vp);
  const kind = predicate & 3;
  const o = order(operand(a, F, mxcsr), operand(b, F, mxcsr), F, kind == 0 || kind == 3);
  end(vp);
  return holds(predicate, o) ? ~u64(0) : 0;
}

export function sse_cmp_f32(vp: u32, a: u32, b: u32, predicate: u32): u32 {
  return u32(compare(vp, a, b, predicate, 23));
}

export function sse_cmp_f64(vp: u32, a: u64, b: u64, predicate: u32): u64 {
  return compare(vp, a, b, predicate, 52);
}

function flags(vp: u32, a: u64, b: u64, F: u32, quiet: u32): u32 {
  const mxcsr = begin(vp);
  const o = order(operand(a, F, mxcsr), operand(b, F, mxcsr), F, quiet != 0);
  end(vp);
  return flagsOf(o);
}

export function sse_comi_f32(vp: u32, a: u32, b: u32, quiet: u32): u32 {
  return flags(vp, a, b, 23, quiet);
}

export function sse_comi_f64(vp: u32, a: u64, b: u64, quiet: u32): u32 {
  return flags(vp, a, b, 52, quiet);
}
