/**
 * Takes away flag writes that nobody sees.
 *
 * A write is dead when a later operation of the block overwrites the flags before anything reads them or leaves:
 * leaving shows the guest (or its signal handler) the flags as they stand at that instruction's start.
 */
import { type IrBuilder, Op, type OpName, opRows } from "#ir";

/** The same operation without its flags, where there is one. */
const plainOf: Int32Array = Int32Array.from(opRows, (row) => {
  if (!/^(add|sub|and|or|xor|shl|shr|sar|rol|ror|imul)\d+i?f$/.test(row.name)) return -1;
  return Op[row.name.slice(0, -1) as OpName];
});
const reads: Uint8Array = Uint8Array.from(opRows, (row) => (row.readsFlags ? 1 : 0));
const overwrites: Uint8Array = Uint8Array.from(opRows, (row) => (row.writesFlags && !row.keepsFlags ? 1 : 0));
const leaves: Uint8Array = Uint8Array.from(opRows, (row) => (row.leaves ? 1 : 0));
const keeps: Uint8Array = Uint8Array.from(opRows, (row) => (row.keepsFlags ? 1 : 0));

export function removeDeadFlags(ir: IrBuilder): void {
  let live = true;
  for (let n = ir.opCount - 1; n >= 0; n--) {
    const op = ir.opAt(n);
    if (!live && (overwrites[op] || keeps[op]) && plainOf[op] >= 0) {
      ir.setOpAt(n, plainOf[op]);
      continue;
    }
    if (overwrites[op]) live = false;
    if (reads[op] || leaves[op]) live = true;
  }
}
