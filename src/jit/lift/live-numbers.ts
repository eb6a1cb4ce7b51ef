/**
 * Live numbers: immediates and displacements that an instruction loads from its own bytes each time it runs, because they were seen to
 * change (runtime/memory/numbers.ts). The technique is that of Dehnert et al., "The Transmeta Code Morphing Software", CGO 2003, section
 * on stylized self-modifying code.
 *
 * Law: what an instruction is lifted to depends on none of the bytes of its live numbers. So a number is live only where its rule passes
 * it on as a value. Those that say where code goes on (relative jumps and calls) are none.
 */
import { Op } from "#ir";
import { type Instruction, immediateBytes, immediateKind, ripBase } from "#x86";
import type { Lifter } from "./lifter.ts";

/** Keys of rules that take an immediate for a value, whatever it is. */
export const takeValues: ReadonlySet<string> = new Set([
  ...["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "test", "mov", "imul", "push"],
  ...["shl", "shr", "sar", "rol", "ror"],
]);

/** Which numbers are live. It is asked once for each that could be. */
export interface LiveNumbers {
  /** Of the number in so many bytes at an arena address. */
  isLive(from: number, bytes: number): boolean;
}

/** The operations by which numbers of 1, 2, 4 and 8 bytes are loaded, with their signs. */
const loads: Readonly<Record<number, number>> = { 1: Op.code_s8, 2: Op.code_s16, 4: Op.code_s32, 8: Op.code_s64 };

/** Says to the lifter which numbers are live of the instruction that it is about to lift, whose bytes end at `end`. */
export function settleNumbers(l: Lifter, i: Instruction, end: number, numbers: LiveNumbers): void {
  const immediate = immediateBytes(i);
  const kind = immediateKind(i.id);
  if (kind === "other") return;
  if (immediate > 0 && takeValues.has(i.row.lift) && numbers.isLive(end - immediate, immediate)) {
    l.immediate.op = kind === "unsigned" ? Op.code_z8 : loads[immediate];
    l.immediate.from = end - immediate;
  }
  const displacement = displacementBytes(i);
  if (displacement > 0 && numbers.isLive(end - immediate - displacement, displacement)) {
    l.displacement.op = loads[displacement];
    l.displacement.from = end - immediate - displacement;
  }
}

/** Of an address of 64 bits. */
function displacementBytes({ hasMemory, mod, base, addressSize }: Instruction): number {
  if (!hasMemory || addressSize !== 8) return 0;
  if (mod === 1) return 1;
  return mod === 2 || base < 0 || base === ripBase ? 4 : 0;
}
