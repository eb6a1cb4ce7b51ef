// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Sums and products of normal 80-bit numbers, rounded to nearest, inline: what runtime/fp/x87-common-arithmetic.ts does in `add` and `mul`.
 * What values decide at random is computed and not branched on.
 */
import { type Code, type Label, type Local, W } from "#wasm";
import { C1, type X87Stack, type X87Value } from "./x87-stack.ts";

export interface Operands {
  readonly a: X87Value;
  readonly b: X87Value;
  /** b counts with the other sign. */
  readonly negate: boolean;
}
export interface Rounded {
  readonly m: Local;
  readonly se: Local;
  /** PE and C1 as FSW has them. */
  readonly raised: Local;
}

/** Branches to `slow` where an operand or the result is not so common; nothing is written before. */
export function emitSum(c: Code, x87: X87Stack, { a, b, negate }: Operands, slow: Label): Rounded {
  const [ea, eb, e, sign, swaps, distance] = ["ea", "eb", "e", "sign", "swaps", "distance"].map((name) => x87.local(name)) as [Local, Local, Local, Local, Local, Local];
  const [high, low, small, differ, carry, d] = ["high", "low", "small", "differ", "carry", "d"].map((name) => x87.local(name, "i64")) as [Local, Local, Local, Local, Local, Local];
  c.get(a.se).i32(0x7fff).op(W.i32_and).set(ea);
  c.get(b.se).i32(0x7fff).op(W.i32_and).set(eb);
  c.get(ea).get(eb).op(W.i32_lt_u).get(ea).get(eb).op(W.i32_eq).get(a.m).get(b.m).op(W.i64_lt_u, W.i32_and, W.i32_or).set(swaps);
  // The larger operand and the smaller one.
  c.get(b.m).get(a.m).get(swaps).op(W.select).set(high);
  c.get(a.m).get(b.m).get(swaps).op(W.select).set(small);
  c.get(eb).get(ea).get(swaps).op(W.select).tee(e).get(ea).get(eb).get(swaps).op(W.select, W.i32_sub).set(distance);
  c.get(distance).i32(63).op(W.i32_gt_u).unlikely().brIf(slow);
  c.get(distance).op(W.i64_extend_i32_u).set(d);
  const bSign = (): Code => (negate ? c.get(b.se).i32(0x8000).op(W.i32_xor) : c.get(b.se));
  bSign().get(a.se).get(swaps).op(W.select).i32(0x8000).op(W.i32_and).set(sign);
  bSign().get(a.se).op(W.i32_xor).i32(15).op(W.i32_shr_u).i32(1).op(W.i32_and, W.i64_extend_i32_u).set(differ);
  // What is shifted out comes into `low`. Minus something is its complement and one more.
  c.i64(0).get(differ).op(W.i64_sub).set(carry);
  c.get(small).i64(1).op(W.i64_shl).i64(63).get(d).op(W.i64_sub, W.i64_shl).get(carry).op(W.i64_xor).get(differ).op(W.i64_add).set(low);
  c.get(small).get(d).op(W.i64_shr_u).get(carry).op(W.i64_xor).get(high).op(W.i64_add);
  c.get(low).op(W.i64_eqz, W.i64_extend_i32_u).get(differ).op(W.i64_and, W.i64_add).set(small);
  c.get(small).get(high).op(W.i64_lt_u, W.i64_extend_i32_u).get(differ).i64(1).op(W.i64_xor, W.i64_and).set(carry);
  // Nothing is lost: less than 64 bits were shifted out.
  c.get(low).get(carry).op(W.i64_shr_u).get(small).get(carry).op(W.i64_and).i64(63).op(W.i64_shl, W.i64_or).set(low);
  c.get(small).get(carry).op(W.i64_shr_u).get(carry).i64(63).op(W.i64_shl, W.i64_or).tee(high).op(W.i64_eqz).unlikely().brIf(slow);
  // Its top bit to bit 63.
  c.get(high).op(W.i64_clz).set(d);
  c.get(high).get(d).op(W.i64_shl).get(low).i64(1).op(W.i64_shr_u).i64(63).get(d).op(W.i64_sub, W.i64_shr_u, W.i64_or).set(high);
  c.get(low).get(d).op(W.i64_shl).set(low);
  c.get(e).get(carry).get(d).op(W.i64_sub, W.i32_wrap_i64, W.i32_add).set(e);
  return round(c, x87, { high, low, e, sign }, slow);
}

export function emitProduct(c: Code, x87: X87Stack, { a, b }: Operands, slow: Label): Rounded {
  const [e, sign] = [x87.local("e"), x87.local("sign")];
  const [high, low, a0, a1, b0, b1, q, r] = ["high", "low", "a0", "a1", "b0", "b1", "q", "r"].map((name) => x87.local(name, "i64")) as [
    Local, Local, Local, Local, Local, Local, Local, Local,
  ];
  const half = (value: X87Value, lower: Local, upper: Local): void => {
    c.get(value.m).i64(-1, 0).op(W.i64_and).set(lower);
    c.get(value.m).i64(32).op(W.i64_shr_u).set(upper);
  };
  half(a, a0, a1);
  half(b, b0, b1);
  c.get(a0).get(b0).op(W.i64_mul).tee(low).i64(32).op(W.i64_shr_u).get(a1).get(b0).op(W.i64_mul, W.i64_add).tee(q);
  c.i64(-1, 0).op(W.i64_and).get(a0).get(b1).op(W.i64_mul, W.i64_add).set(r);
  c.get(a1).get(b1).op(W.i64_mul).get(q).i64(32).op(W.i64_shr_u, W.i64_add).get(r).i64(32).op(W.i64_shr_u, W.i64_add).set(high);
  c.get(r).i64(32).op(W.i64_shl).get(low).i64(-1, 0).op(W.i64_and, W.i64_or).set(low);
  // One bit to the left where the top bit is not set.
  c.get(high).i64(63).op(W.i64_shr_u).i64(1).op(W.i64_xor).set(q);
  c.get(high).get(q).op(W.i64_shl).get(low).i64(63).op(W.i64_shr_u).get(q).op(W.i64_and, W.i64_or).set(high);
  c.get(low).get(q).op(W.i64_shl).set(low);
  c.get(a.se).i32(0x7fff).op(W.i32_and).get(b.se).i32(0x7fff).op(W.i32_and, W.i32_add).i32(16382).op(W.i32_sub).get(q).op(W.i32_wrap_i64, W.i32_sub).set(e);
  c.get(a.se).get(b.se).op(W.i32_xor).i32(0x8000).op(W.i32_and).set(sign);
  return round(c, x87, { high, low, e, sign }, slow);
}

/** ±high:low / 2^127 · 2^e; the top bit is set. */
function round(c: Code, x87: X87Stack, { high, low, e, sign }: { high: Local; low: Local; e: Local; sign: Local }, slow: Label): Rounded {
  const up = x87.local("up", "i64");
  const raised = x87.local("raised");
  c.get(e).i32(1).op(W.i32_sub).i32(0x7ffd).op(W.i32_ge_u).unlikely().brIf(slow);
  const half = (): Code => c.get(low).i64(0, -0x80000000);
  half().op(W.i64_gt_u, W.i64_extend_i32_u);
  half().op(W.i64_eq, W.i64_extend_i32_u).get(high).op(W.i64_and, W.i64_or).i64(1).op(W.i64_and).set(up);
  // All ones would become zeros.
  c.get(high).get(up).op(W.i64_add).tee(high).op(W.i64_eqz).unlikely().brIf(slow);
  c.get(low).op(W.i64_eqz, W.i32_eqz).i32(5).op(W.i32_shl).get(up).op(W.i32_wrap_i64).i32(Math.log2(C1)).op(W.i32_shl, W.i32_or).set(raised);
  c.get(sign).get(e).op(W.i32_or).set(e);
  return { m: high, se: e, raised };
}
