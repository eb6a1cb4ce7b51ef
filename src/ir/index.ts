export { IrBuilder, knownFlagsNames, opBytes } from "./builder.ts";
export { arithmeticFlags, FlagsClass, flagsKind, type SizeLog2 } from "./flags.ts";
export {
  type FieldType,
  formatUnits,
  innerOps,
  linksOf,
  Op,
  type OperandType,
  type OpFormat,
  type OpName,
  type OpRow,
  opRows,
  sizeNames,
  targetsAt,
} from "./ops.ts";
export { type VectorOp, type VectorSignature, vectorOps } from "./vector-ops.ts";
export { Helper, type HelperName, type HelperRow, helperRows } from "./helpers.ts";
export { fieldName, print, printOp } from "./print.ts";
export { verify } from "./verify.ts";
