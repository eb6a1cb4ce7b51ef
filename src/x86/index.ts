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
