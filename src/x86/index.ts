export { Instruction, type ByteRegister, byteRegister, ripBase } from "./instruction.ts";
export type { InstructionRow, OpcodeMap, SizeRule } from "./row.ts";
export { nothing } from "./row-nothing.ts";
export { OPERANDS, type OperandKind, type OperandPlace, type OperandShape } from "./operands.ts";
export {
  AC,
  AF,
  ALL_FLAGS,
  CF,
  DF,
  FLAGS_ALWAYS_ONE,
  ID,
  IF,
  IOPL,
  IOPL_SHIFT,
  NT,
  OF,
  PF,
  printFlags,
  RF,
  SF,
  STATUS_FLAGS,
  TF,
  VIF,
  VIP,
  VM,
  ZF,
} from "./flags.ts";
export { rows } from "./instructions/index.ts";
export { CONDITIONS } from "./instructions/define.ts";
export { DECODED, decode, type DecodeResult, maxInstructionLength, TOO_LONG, TRUNCATED, UNDEFINED } from "./decode.ts";
