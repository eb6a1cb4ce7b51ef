/**
 * The opcode maps, expanded once from the rows into flat arrays that `decode()` indexes.
 *
 * `roots[context | map | prefix | opcode]` is a row's id, or below zero: ~n, where `leaves[n * 256 + ModRM byte]` is the
 * id. Context: 0 = 64-bit code without REX.W, 1 = with, 2 = other code. Prefix: 0 none, 1 = 66, 2 = F3, 3 = F2. Id 0 is
 * `nothing`.
 */
import { rows } from "./instructions/index.ts";
import { OPERANDS, type OperandPlace, type OperandShape } from "./operands.ts";
import type { InstructionRow, SizeRule } from "./row.ts";

export const CONTEXT_STRIDE = 4096;
const mapStride = 1024;
const prefixStride = 256;

/** Bits of `rowBits[id]`; immediates and the size rule are small numbers at the shifts below. */
export const HAS_MODRM = 1;
export const MOD_IGNORED = 2;
export const LOCKABLE = 4;
export const ABSENT = 8;
/** 66 is this row's mandatory prefix and says nothing about sizes. */
export const TAKES_66 = 16;
/** ModRM.reg, or rm, names one of eight registers, and REX has no say: segment, MMX and x87 registers. */
export const LOW_REG = 32;
export const LOW_RM = 64;
/** Only the registers in `registersOf[id]` exist. */
export const SOME_REGISTERS = 128;
export const IMMEDIATE_SHIFT = 8;
export const SIZE_SHIFT = 12;

/** What follows ModRM, SIB and displacement. */
export const IMMEDIATE = {
  none: 0,
  byte: 1,
  signedByte: 2,
  word: 3,
  /** Two bytes with operand size 2, else four. */
  sized: 4,
  /** operandSize bytes. */
  full: 5,
  moffs: 6,
  wordByte: 7,
  farPointer: 8,
} as const;

const sizeRules: readonly SizeRule[] = ["b", "w", "d", "q", "v", "y", "z", "d64", "f64", "a"];

function immediateOf(row: InstructionRow): number {
  const has = (...kinds: string[]): boolean => row.operands.some((kind) => kinds.includes(kind));
  if (has("Ib2")) return IMMEDIATE.wordByte;
  if (has("Ob", "Ov")) return IMMEDIATE.moffs;
  if (has("Ap")) return IMMEDIATE.farPointer;
  if (has("Iv")) return IMMEDIATE.full;
  if (has("Iz", "Jz")) return IMMEDIATE.sized;
  if (has("Ibs", "Jb")) return IMMEDIATE.signedByte;
  if (has("Iw")) return IMMEDIATE.word;
  return has("Ib") ? IMMEDIATE.byte : IMMEDIATE.none;
}

/** Bit n: ModRM.reg may be n. -1 where all may. CS is never loaded by MOV; CR1, CR5 and so on do not exist. */
function registersAllowed(row: InstructionRow): number {
  const places = row.operands.map((kind) => (OPERANDS[kind] as OperandShape).place);
  if (places.includes("control-reg")) return (1 << 0) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 8);
  if (places.includes("debug-reg")) return 0xff;
  if (places.includes("segment-reg")) return row.lift === "mov-to-sreg" ? 0b111101 : 0b111111;
  return -1;
}

function bitsOf(row: InstructionRow): number {
  const places = row.operands.map((kind) => (OPERANDS[kind] as OperandShape).place);
  const has = (...some: OperandPlace[]): boolean => some.some((place) => places.includes(place));
  const modIgnored = has("control-reg", "debug-reg");
  return (
    (row.hasModrm ? HAS_MODRM : 0) |
    (modIgnored ? MOD_IGNORED : 0) |
    (row.lockable ? LOCKABLE : 0) |
    (row.absent ? ABSENT : 0) |
    (row.prefix === 0x66 ? TAKES_66 : 0) |
    (has("segment-reg", "mmx-reg") ? LOW_REG : 0) |
    (has("mmx-rm", "mmx-rm-register", "sti") ? LOW_RM : 0) |
    (registersAllowed(row) >= 0 ? SOME_REGISTERS : 0) |
    (immediateOf(row) << IMMEDIATE_SHIFT) |
    (sizeRules.indexOf(row.sizeRule) << SIZE_SHIFT)
  );
}

export const rowBits = Int32Array.from(rows, bitsOf);
export const registersOf = Int32Array.from(rows, registersAllowed);

/** Effective operand size at `rule * 16 + mode * 4 + REX.W * 2 + (66 ? 1 : 0)`, mode 0 = 64, 1 = 32, 2 = 16. */
export const operandSizes = new Uint8Array(sizeRules.length * 16);

function operandSizeOf(rule: SizeRule, mode: number, wide: boolean, has66: boolean): number {
  const usual = wide && mode === 0 ? 8 : has66 !== (mode === 2) ? 2 : 4;
  switch (rule) {
    case "b":
      return 1;
    case "w":
      return 2;
    case "d":
      return 4;
    case "q":
      return 8;
    case "v":
      return usual;
    case "y":
      return usual === 8 ? 8 : 4;
    case "z":
      return usual === 8 ? 4 : usual;
    case "d64":
      return mode === 0 && usual === 4 ? 8 : usual;
    case "f64":
      return mode === 0 ? 8 : usual;
    case "a":
      return mode === 0 ? 8 : 4;
  }
}

for (const [n, rule] of sizeRules.entries()) {
  for (let state = 0; state < 12; state++) {
    operandSizes[n * 16 + state] = operandSizeOf(rule, state >> 2, (state & 2) !== 0, (state & 1) !== 0);
  }
}

export const roots = new Int32Array(3 * CONTEXT_STRIDE);
const leafRows: Int32Array[] = [];

/** How narrowly a row matches; narrower rows overwrite wider ones. */
function narrowness(row: InstructionRow): number {
  return (
    (row.prefix >= 0 ? 16 : 0) +
    (row.fixedRm >= 0 ? 8 : 0) +
    (row.digit >= 0 ? 4 : 0) +
    (row.form !== "any" ? 2 : 0) +
    (row.registerInOpcode ? 0 : 1)
  );
}

function contextsOf(row: InstructionRow): number[] {
  const in64 = row.rexW < 0 ? [0, 1] : [row.rexW];
  const in32 = row.rexW === 1 ? [] : [2];
  return row.modes === "64" ? in64 : row.modes === "32" ? in32 : [...in64, ...in32];
}

function prefixesOf(row: InstructionRow): number[] {
  switch (row.prefix) {
    case -1:
      return [0, 1, 2, 3];
    case 0:
      return [0];
    case 0x66:
      return [1];
    case 0xf3:
      return [2];
    case 0xf2:
      return [3];
  }
}

/** The ModRM bytes of a row; undefined: all. */
function modrmsOf({ digit, fixedRm, form }: InstructionRow): readonly number[] | undefined {
  if (digit < 0 && fixedRm < 0 && form === "any") return undefined;
  const found: number[] = [];
  const end = form === "memory" ? 0xc0 : 0x100;
  for (let modrm = form === "register" ? 0xc0 : 0; modrm < end; modrm++) {
    if (digit >= 0 && ((modrm >> 3) & 7) !== digit) continue;
    if (fixedRm < 0 || (modrm & 7) === fixedRm) found.push(modrm);
  }
  return found;
}

function enter(row: InstructionRow, modrms: readonly number[] | undefined, root: number): void {
  const before = roots[root] as number;
  if (modrms === undefined) {
    roots[root] = row.id;
    return;
  }
  let leaf = before < 0 ? leafRows[~before] : undefined;
  if (!leaf) {
    leaf = new Int32Array(256).fill(before);
    roots[root] = ~leafRows.length;
    leafRows.push(leaf);
  }
  for (const modrm of modrms) leaf[modrm] = row.id;
}

for (const row of rows.slice(1).sort((a, b) => narrowness(a) - narrowness(b))) {
  const modrms = modrmsOf(row);
  for (const context of contextsOf(row)) {
    for (const prefix of prefixesOf(row)) {
      for (let n = 0; n < (row.registerInOpcode ? 8 : 1); n++) {
        enter(row, modrms, context * CONTEXT_STRIDE + row.map * mapStride + prefix * prefixStride + row.opcode + n);
      }
    }
  }
}

/** Of many roots the leaves are equal: those of all prefixes, where a row takes them all. */
export const leaves = shareLeaves();

function shareLeaves(): Int32Array {
  const numbers = new Map<string, number>();
  const places = leafRows.map((leaf) => {
    const key = leaf.join();
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  });
  const shared = new Int32Array(numbers.size * 256);
  for (const [n, leaf] of leafRows.entries()) shared.set(leaf, (places[n] as number) * 256);
  for (const [n, root] of roots.entries()) if (root < 0) roots[n] = ~(places[~root] as number);
  return shared;
}

const find = (code: string, mnemonic: string): number =>
  rows.findIndex((row) => row.code === code && row.mnemonic === mnemonic);

/** 90 is a NOP by name, but with REX.B it exchanges r8. */
export const nopRow = find("90", "nop");
export const pauseRow = find("F3 90", "pause");
export const exchangeRow = find("90+r", "xchg");
