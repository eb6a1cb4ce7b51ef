/**
 * Takes away flag writes that nobody sees.
 *
 * A write is dead when a later operation of the block overwrites the flags before anything reads them or leaves:
 * leaving shows the guest (or its signal handler) the flags as they stand at that instruction's start.
 */
import { type IrBuilder, Op, type OpName, opRows } from "#ir";

/** The same operation without its flags, where there is one. */
export const plainOf: Int32Array = Int32Array.from(opRows, (row) => {
  if (!/^(add|sub|and|or|xor|shl|shr|sar|rol|ror|imul)\d+i?f$/.test(row.name)) return -1;
  return Op[row.name.slice(0, -1) as OpName];
});
/** Bits of what an operation means to the flags before it: they are seen, they are overwritten; its own write can be taken away. (runtime/lift.ts) */
const SEES = 1;
const OVERWRITES = 2;
const REMOVABLE = 4;
export const flagEffects = Uint8Array.from(opRows, ({ readsFlags, writesFlags, keepsFlags, leaves }, op) => {
  const removable = plainOf[op] >= 0 && writesFlags;
  return (
    (readsFlags || leaves ? SEES : 0) | (writesFlags && !keepsFlags ? OVERWRITES : 0) | (removable ? REMOVABLE : 0)
  );
});

export function removeDeadFlags(ir: IrBuilder): void {
  let live = true;
  for (let n = ir.opCount - 1; n >= 0; n--) {
    const op = ir.opAt(n);
    const effect = flagEffects[op];
    if (effect === 0) continue;
    if (!live && (effect & REMOVABLE) !== 0) ir.setOpAt(n, plainOf[op]);
    else if ((effect & SEES) !== 0) live = true;
    else if ((effect & OVERWRITES) !== 0) live = false;
  }
}
