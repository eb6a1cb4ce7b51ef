/**
 * Signatures of the vector and floating-point operations of the IR. Their meaning is in jit/emit/vector.ts, under the same name.
 *
 * operands: types of d, a, b ("" = unused). merges: d is read as well. readOnly: d is an operand, not written.
 * imm: a 32-bit immediate. traps: may leave at the instruction's start with FP_TRAP set (an unmasked exception).
 */
import type { OperandType } from "./ops.ts";

export interface VectorSignature {
  readonly operands: readonly [d: OperandType, a: OperandType, b: OperandType];
  readonly imm?: true;
  readonly merges?: true;
  readonly readOnly?: true;
  readonly writesFlags?: true;
  readonly traps?: true;
}

const v3 = { operands: ["v128", "v128", "v128"] } as const satisfies VectorSignature;

export const vectorOps = {
  v_and: v3,
  v_or: v3,
  v_xor: v3,
  v_andnot: v3,
} as const satisfies Record<string, VectorSignature>;

export type VectorOp = keyof typeof vectorOps;
