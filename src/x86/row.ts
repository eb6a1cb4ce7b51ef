/**
 * A row is what the manual says about one form of one instruction. The decoder's maps, the disassembler, the masks of
 * the oracle and the keys of the lifting rules are all derived from rows; `instructions/` holds them.
 */
import type { OperandKind } from "./operands.ts";

/** 0: one-byte opcodes, 1: 0F xx, 2: 0F 38 xx, 3: 0F 3A xx. */
export type OpcodeMap = 0 | 1 | 2 | 3;

/**
 * How the effective operand size comes about, before the kinds of `operands` apply it.
 * `b` `w` `d` `q`: always 1, 2, 4, 8. `v`: 2, 4 or 8 by prefixes. `y`: 4, or 8 with REX.W. `z`: 2 or 4.
 * `d64`: as `v`, but 64-bit code has 8 without REX.W and cannot have 4 (PUSH, POP, ENTER, ...).
 * `f64`: as `v`, but always 8 in 64-bit code (near branches; AMD would let 66 make it 2).
 * `a`: the natural width, 8 in 64-bit code and else 4.
 */
export type SizeRule = "b" | "w" | "d" | "q" | "v" | "y" | "z" | "d64" | "f64" | "a";

export interface InstructionRow {
  /** Dense index into `rows`; tables by row are arrays. */
  readonly id: number;
  readonly map: OpcodeMap;
  readonly opcode: number;
  /** True when the low three opcode bits name a register; such a row fills eight opcodes. */
  readonly registerInOpcode: boolean;
  /** Mandatory prefix: none allowed (0), 0x66, 0xf2, 0xf3; -1 where prefixes keep their usual meaning. */
  readonly prefix: -1 | 0 | 0x66 | 0xf2 | 0xf3;
  /** REX.W must be 0 or 1; -1: any. */
  readonly rexW: -1 | 0 | 1;
  readonly hasModrm: boolean;
  /** ModRM.reg as an opcode extension, or -1. */
  readonly digit: number;
  /** ModRM.rm as a further extension (mod is 3), or -1. */
  readonly fixedRm: number;
  readonly form: "any" | "register" | "memory";
  /** How the manual writes the code: "66 0F 38 10 /r". Unique together with `mnemonic`. */
  readonly code: string;
  readonly mnemonic: string;
  /** Destination first, as in Intel's manuals. */
  readonly operands: readonly OperandKind[];
  /** Key of the lifting rule. Rows with the same key differ in operands and sizes alone. */
  readonly lift: string;
  readonly sizeRule: SizeRule;
  /** CPUID feature; "base" is every 64-bit processor. */
  readonly feature: string;
  /** True for what this machine does not have: it is named, measured, and decodes as undefined. */
  readonly absent: boolean;
  /** The memory operand must be a multiple of this, else #GP; 1 where any address will do. */
  readonly alignment: number;
  /** Flags read; changed to a defined value; left undefined by the manual (EFLAGS bit masks; the last two disjoint). */
  readonly flagsRead: number;
  readonly flagsWritten: number;
  readonly flagsUndefined: number;
  /**
   * Where the masks depend on the data, how: "shift": a masked count of 0 changes nothing, OF is defined for 1 only, CF
   * is undefined for SHL/SHR counts past the width; "rotate": count 0 changes nothing, OF is defined for 1 only;
   * "double-shift": as shift, results and flags undefined for counts past the width; "rep": no iteration, no change.
   */
  readonly flagsDepend: "" | "shift" | "rotate" | "double-shift" | "rep";
  /** CPL 0 only. (I/O instructions and CLI/STI go by IOPL and are not marked.) */
  readonly privileged: boolean;
  /** Code sizes in which the form exists. */
  readonly modes: "both" | "64" | "32";
  /** LOCK is allowed with a memory destination. */
  readonly lockable: boolean;
}
