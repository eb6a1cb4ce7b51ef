// biome-ignore-all format: short cases read better on one line
/** Conditions from lazy flags as the record has them, at the top of 64 bits: for the interpreter. Regions have native-flags.ts. */
import { type Code, W } from "#wasm";

/** What is known of the operation that last set the flags; "" is nothing. */
type KnownFlags = "" | "sub" | "logic";

/** The lazy flags as the interpreter has them: each pushes an i64 (see ir/flags.ts). */
export interface LazyFlags {
  a(): Code;
  b(): Code;
  /** Pushes the condition, as an i32, from whatever the flags are. */
  generic(): void;
}

/** Pushes condition cc as an i32, 0 or 1. */
export function pushKnownCondition(c: Code, cc: number, known: KnownFlags, flags: LazyFlags): void {
  // Parity needs the low byte, which stands elsewhere.
  if (known === "" || cc >> 1 === 5) return flags.generic();
  if (known === "sub") afterSub(cc, flags);
  else afterLogic(c, cc, flags);
}

function afterLogic(c: Code, cc: number, { a }: LazyFlags): void {
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

const comparisons: Record<number, number> = {
  2: W.i64_lt_u, 3: W.i64_ge_u, 4: W.i64_eq, 5: W.i64_ne, 6: W.i64_le_u, 7: W.i64_gt_u, 12: W.i64_lt_s, 13: W.i64_ge_s, 14: W.i64_le_s, 15: W.i64_gt_s,
};

function afterSub(cc: number, { a, b }: LazyFlags): void {
  if (comparisons[cc] !== undefined) {
    a();
    b().op(comparisons[cc]);
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
