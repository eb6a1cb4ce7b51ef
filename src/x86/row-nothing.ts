import type { InstructionRow } from "./row.ts";

/** The row of bytes that are no instruction. Its id is 0, so that empty table entries lead here. */
export const nothing: InstructionRow = {
  id: 0,
  map: 0,
  opcode: 0,
  registerInOpcode: false,
  prefix: -1,
  rexW: -1,
  hasModrm: false,
  digit: -1,
  fixedRm: -1,
  form: "any",
  code: "",
  mnemonic: "(bad)",
  operands: [],
  lift: "(bad)",
  sizeRule: "d",
  feature: "none",
  flagsRead: 0,
  flagsWritten: 0,
  flagsUndefined: 0,
  flagsDepend: "",
  privileged: false,
  modes: "both",
  lockable: false,
};
