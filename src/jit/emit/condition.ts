// biome-ignore-all format: short cases read better on one line
/** Conditions from lazy flags, where it is known what set them. */
import { type Code, W } from "#wasm";

/** What is known of the operation that last set the flags; "" is nothing. "add" and "result" answer some conditions only. */
export type KnownFlags = "" | "sub" | "logic" | "add" | "result";

/** The lazy flags as an executor has them: each pushes an i64 (see ir/flags.ts). */
export interface LazyFlags {
  a(): Code;
  b(): Code;
  c(): Code;
  /** Pushes the condition, as an i32, from whatever the flags are. */
  generic(): void;
}

/** Pushes condition cc as an i32, 0 or 1. */
export function pushKnownCondition(c: Code, cc: number, known: KnownFlags, flags: LazyFlags): void {
  const which = cc >> 1;
  const negate = (cc & 1) !== 0;
  // Parity needs the low byte, which stands elsewhere.
  if (known === "" || which === 5) return flags.generic();
  if (known === "sub") return afterSub(cc, flags);
  if (known === "logic") return afterLogic(c, cc, flags);
  if (which === 1) {
    if (known === "result") flags.c().op(W.i32_wrap_i64).i32(1).op(W.i32_and);
    else {
      flags.a();
      flags.b().op(W.i64_add);
      flags.a().op(W.i64_lt_u);
    }
    if (negate) c.op(W.i32_eqz);
    return;
  }
  if (which !== 2 && which !== 4) return flags.generic();
  flags.a();
  if (known === "add") flags.b().op(W.i64_add);
  if (which === 2) c.op(W.i64_eqz);
  else c.i64(0).op(W.i64_lt_s);
  if (negate) c.op(W.i32_eqz);
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

/** What is known after an operation with this name that writes flags. */
export function knownFlagsAfter(name: string): KnownFlags {
  if (/^(sub\d+i?f|cmp\d+i?|neg\d+f)$/.test(name)) return "sub";
  if (/^((and|or|xor)\d+i?f|test\d+i?|bs[fr]\d+f)$/.test(name)) return "logic";
  if (/^add\d+i?f$/.test(name)) return "add";
  if (/^(inc\d+f|dec\d+f|imul\d+f|setresult\d+)$/.test(name)) return "result";
  return "";
}
