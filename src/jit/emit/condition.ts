// biome-ignore-all format: short cases read better on one line
/** Conditions from lazy flags, where it is known what set them. */
import { type Code, W } from "#wasm";

/** Pushes a condition from operands at the top of 64 bits; what is not known goes by `generic`. */
export function pushKnownCondition(c: Code, cc: number, known: "" | "sub" | "logic", a: () => Code, b: () => Code, generic: () => void): void {
  const parity = cc === 10 || cc === 11;
  if (known === "" || parity) return generic();
  if (known === "logic") {
    switch (cc) {
      case 0: case 2: c.i32(0); return;
      case 1: case 3: c.i32(1); return;
      case 4: case 6: a().op(W.i64_eqz); return;
      case 5: case 7: a().op(W.i64_eqz, W.i32_eqz); return;
      case 8: case 12: a().i64(0).op(W.i64_lt_s); return;
      case 9: case 13: a().i64(0).op(W.i64_ge_s); return;
      case 14: a().i64(0).op(W.i64_le_s); return;
      default: a().i64(0).op(W.i64_gt_s); return;
    }
  }
  const compare: Record<number, number> = {
    2: W.i64_lt_u, 3: W.i64_ge_u, 4: W.i64_eq, 5: W.i64_ne, 6: W.i64_le_u, 7: W.i64_gt_u, 12: W.i64_lt_s, 13: W.i64_ge_s, 14: W.i64_le_s, 15: W.i64_gt_s,
  };
  if (compare[cc] !== undefined) {
    a();
    b().op(compare[cc]);
    return;
  }
  if (cc >= 8) {
    a();
    b().op(W.i64_sub).i64(0).op(cc === 8 ? W.i64_lt_s : W.i64_ge_s);
    return;
  }
  // Overflow of a - b: the signs differ, and the result's is not a's.
  a();
  b().op(W.i64_xor);
  a();
  a();
  b().op(W.i64_sub, W.i64_xor, W.i64_and).i64(0).op(cc === 0 ? W.i64_lt_s : W.i64_ge_s);
}
