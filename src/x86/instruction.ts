/**
 * A decoded instruction: the fields of its encoding with prefixes and defaults worked out, and the manual's row.
 *
 * One object is overwritten by each `decode()`; whoever keeps an instruction copies what it needs. All fields are small
 * integers (int32), so that a decode allocates nothing.
 */
import { rows } from "./instructions/index.ts";
import type { InstructionRow } from "./row.ts";

/** `Instruction.base` of RIP-relative addressing: displacement counts from the next instruction. */
export const ripBase = 16;

export class Instruction {
  /** Of the form's row. 0 where no form was found; a named form of an absent feature also gives `undefined`. */
  id = 0;
  /** Bytes, 1..15. After a failed decode: bytes looked at. */
  length = 0;

  /** Effective operand size in bytes, 1 2 4 8; 1 for byte forms. */
  operandSize = 4;
  /** Effective address size in bytes, 2 4 8. */
  addressSize = 8;
  /** Code size: 64, 32 or 16. */
  mode = 64;

  lock = false;
  /** The last of F2 and F3 that was seen, whatever it means here; else 0. */
  rep = 0;
  /** 66 was seen, whatever it means here. */
  opsizePrefix = false;
  /** 0, or 0x40..0x4f. */
  rex = 0;

  /** Segment of the memory operand after defaults, 0..5: ES CS SS DS FS GS. SS where rSP or rBP is the base. */
  segment = 3;
  /** Override that counts, or -1: in 64-bit code ES CS SS DS overrides are ignored. */
  segmentOverride = -1;

  mod = 0;
  /** ModRM.reg with REX.R; 0..7 where it names a segment or MMX register. */
  reg = 0;
  /** ModRM.rm with REX.B: the register where mod is 3; 0..7 where that is an MMX or x87 register. */
  rm = 0;
  /** Low three bits of the opcode with REX.B. */
  opcodeReg = 0;

  /** The r/m operand is memory, or there is a moffs. Not set for string and other implied memory. */
  hasMemory = false;
  /** -1, 0..15, or `ripBase`. */
  base = -1;
  /** -1, or 0..15. */
  index = -1;
  /** log2 of the factor. */
  scale = 0;
  /** Sign-extended from its encoded size; a 64-bit moffs has its upper half in `displacementHigh`. */
  displacement = 0;
  displacementHigh = 0;

  /** The immediate, or the branch displacement, extended to 64 bits: Ib and Iw with zeros, all others with the sign. */
  immLow = 0;
  immHigh = 0;
  /** ENTER's nesting level, or a far pointer's selector. */
  imm2 = 0;

  /** The form, as the manual has it; row 0 is `nothing`. */
  get row(): InstructionRow {
    return rows[this.id];
  }
}

/** A byte register: number 0..15 in the low four bits, 0x10 set where its bits 15:8 are meant (AH CH DH BH). */
export type ByteRegister = number;

/**
 * What register number `n` (of `reg`, `rm` or `opcodeReg`) means in a byte operand: without REX, 4..7 are
 * AH CH DH BH, the second byte of rAX rCX rDX rBX; with any REX they are SPL BPL SIL DIL.
 */
export function byteRegister(instruction: Instruction, n: number): ByteRegister {
  return instruction.rex === 0 && n >= 4 && n < 8 ? (n - 4) | 0x10 : n;
}
