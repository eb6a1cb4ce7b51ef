/**
 * The operands of every row as one number each, made once from the rows: what lifting asks of an operand is then a bit, or
 * an index into a small table, and never a property of an object or a comparison of strings.
 *
 * An operand's bits: 0-2 where the number of its general register stands (0: it is none), then the flags below, at `sizeShift` the
 * code of its size, at `memorySizeShift` the one that counts in memory, at `registerShift` the number of a fixed register, from
 * `placeShift` on the number of its place.
 */
import { assert } from "#base";
import { OPERANDS, type OperandPlace, type OperandShape, rows } from "#x86";

/** Where a general register's number stands. */
export const inRm = 1;
export const inReg = 2;
export const inOpcode = 3;
export const inRow = 4;
export const registerMask = 7;

export const maybeMemory = 1 << 3;
export const isImmediate = 1 << 4;
/** The constant one of the short shifts. */
export const isOne = 1 << 5;

const sizeShift = 8;
const memorySizeShift = 12;
const registerShift = 16;
const placeShift = 20;

/** Numbers of `operands` from one row's first operand to the next one's. */
export const operandStride = 4;

const sizes: readonly OperandShape["size"][] = [0, 1, 2, 4, 6, 8, 10, 16, "v", "z", "y", "a"];

const memoryPlaces: readonly OperandPlace[] = ["rm", "memory", "moffs", "xmm-rm", "mmx-rm"];
const registerPlaces: Partial<Record<OperandPlace, number>> = {
  rm: inRm,
  "rm-register": inRm,
  reg: inReg,
  "opcode-register": inOpcode,
  fixed: inRow,
};

const places: OperandPlace[] = [];
function placeNumber(place: OperandPlace): number {
  if (!places.includes(place)) places.push(place);
  return places.indexOf(place);
}

function bitsOf({ place, size, memorySize, register }: OperandShape): number {
  return (
    (registerPlaces[place] ?? 0) |
    (memoryPlaces.includes(place) ? maybeMemory : 0) |
    (place === "immediate" || place === "one" ? isImmediate : 0) |
    (place === "one" ? isOne : 0) |
    (sizes.indexOf(size) << sizeShift) |
    (sizes.indexOf(memorySize ?? size) << memorySizeShift) |
    ((register ?? 0) << registerShift) |
    (placeNumber(place) << placeShift)
  );
}

/** By row id times `operandStride`, plus the operand's place in the row. */
export const operandTable = new Int32Array(rows.length * operandStride);
for (const { id, operands, mnemonic } of rows) {
  assert(operands.length <= operandStride, `${mnemonic} has at most ${operandStride} operands`);
  for (const [n, kind] of operands.entries()) operandTable[id * operandStride + n] = bitsOf(OPERANDS[kind]);
}

/** What all operands of one instruction have in common: `sizeOf` takes it. */
export const sizesOf = (operandSize: number, long: boolean): number => operandSize | (long ? 16 : 0);

const bytesOfCode = new Uint8Array(sizes.length * 32);
for (const [code, size] of sizes.entries())
  for (const long of [false, true])
    for (const operandSize of [1, 2, 4, 8])
      bytesOfCode[code * 32 + sizesOf(operandSize, long)] = bytesOf(size, operandSize, long);

function bytesOf(size: OperandShape["size"], operandSize: number, long: boolean): number {
  switch (size) {
    case "v":
      return operandSize;
    case "z":
      return Math.min(operandSize, 4);
    case "y":
      return operandSize === 8 ? 8 : 4;
    case "a":
      return long ? 8 : 4;
    default:
      return size;
  }
}

/** Bytes of an operand; `inMemory`: the instruction has its operand in memory. */
export const sizeOf = (bits: number, inMemory: boolean, sizes: number): number =>
  bytesOfCode[((bits >> (inMemory ? memorySizeShift : sizeShift)) & 15) * 32 + sizes];

/** The register that the row names. */
export const fixedRegister = (bits: number): number => (bits >> registerShift) & 15;

export const placeOf = (bits: number): OperandPlace => places[bits >> placeShift];
