/**
 * How AT&T syntax names an instruction, as GNU objdump 2.40 prints it: Intel's mnemonic, or another, with a size suffix
 * where no register operand shows the size.
 */
import type { Instruction } from "./instruction.ts";
import { OPERANDS, type OperandShape } from "./operands.ts";

const suffixes: Readonly<Record<number, string>> = { 1: "b", 2: "w", 4: "l", 8: "q" };
export const suffixOf = (bytes: number): string => suffixes[bytes] ?? "";

/** Names that depend on the operand size: with 2, 4, 8 bytes. */
const bySize: Readonly<Record<string, readonly [string, string, string]>> = {
  cbw: ["cbtw", "cwtl", "cltq"],
  cwd: ["cwtd", "cltd", "cqto"],
  iret: ["iretw", "iret", "iretq"],
  retf: ["lretw", "lret", "lretq"],
  sysret: ["sysretl", "sysretl", "sysretq"],
  sysexit: ["sysexitl", "sysexitl", "sysexitq"],
  movd: ["movd", "movd", "movq"],
  pextrd: ["pextrd", "pextrd", "pextrq"],
  pinsrd: ["pinsrd", "pinsrd", "pinsrq"],
  fxsave: ["fxsave", "fxsave", "fxsave64"],
  fxrstor: ["fxrstor", "fxrstor", "fxrstor64"],
  xsave: ["xsave", "xsave", "xsave64"],
  xrstor: ["xrstor", "xrstor", "xrstor64"],
  xsaveopt: ["xsaveopt", "xsaveopt", "xsaveopt64"],
  xsavec: ["xsavec", "xsavec", "xsavec64"],
  xsaves: ["xsaves", "xsaves", "xsaves64"],
  xrstors: ["xrstors", "xrstors", "xrstors64"],
  rdssp: ["rdsspd", "rdsspd", "rdsspq"],
  incssp: ["incsspd", "incsspd", "incsspq"],
  wrss: ["wrssd", "wrssd", "wrssq"],
  wruss: ["wrussd", "wrussd", "wrussq"],
  fldenv: ["fldenvs", "fldenv", "fldenv"],
  fnstenv: ["fnstenvs", "fnstenv", "fnstenv"],
  frstor: ["frstors", "frstor", "frstor"],
  fnsave: ["fnsaves", "fnsave", "fnsave"],
  movsxd: ["movsxd", "movsxd", "movslq"],
  pusha: ["pushaw", "pusha", "pusha"],
  popa: ["popaw", "popa", "popa"],
};

const renamed: Readonly<Record<string, string>> = {
  callf: "lcall",
  jmpf: "ljmp",
  fneni: "fneni(8087 only)",
  fndisi: "fndisi(8087 only)",
  fnsetpm: "fnsetpm(287 only)",
  frstpm: "frstpm(287 only)",
};

/** Stack and branch instructions take a suffix only where 66 changed their size. */
const suffixOnlyNarrow = new Set([
  "push",
  "pop",
  "call",
  "jmp",
  "ret",
  "leave",
  "enter",
  "pushf",
  "popf",
  "callf",
  "jmpf",
]);
/** Memory forms without a suffix although no register shows the size. */
const neverSuffix = new Set([
  "setcc", "sldt", "str", "smsw", "lmsw", "lldt", "ltr", "verr", "verw", "mov-from-sreg", "mov-to-sreg", "extractps",
  "pinsrw", "pextrw", "pextrb", "pinsrb", "movd", "pextrd", "pinsrd",
]); // biome-ignore format: a list
/** The string instructions whose operand is not the accumulator say their size. */
const suffixedStrings = new Set(["movs", "cmps", "ins", "outs"]);

/** Suffix of an x87 memory operand: reals s l t, integers s (2) l (4) ll (8). */
function x87Suffix(mnemonic: string, bytes: number): string {
  const integer = /^fi/.test(mnemonic);
  if (integer) return bytes === 2 ? "s" : bytes === 4 ? "l" : "ll";
  return bytes === 4 ? "s" : bytes === 8 ? "l" : "t";
}
const x87Sized = /^(fi?(add|mul|comp?|subr?|divr?|stp?|ld)|fisttp|fild|fistp?)$/;

/** Comparison predicates 0 to 7 of CMPPS and its like become part of the name. */
const predicates = ["eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"];

function registerShowsSize(instruction: Instruction): boolean {
  return instruction.row.operands.some((kind) => {
    const place = (OPERANDS[kind] as OperandShape).place;
    return place === "reg" || place === "opcode-register" || (place === "fixed" && kind !== "CL" && kind !== "DX");
  });
}

/** The AT&T name with its suffix, without prefixes. */
export function attName(instruction: Instruction): string {
  const { row, operandSize, hasMemory } = instruction;
  const name = row.mnemonic;
  if (instruction.mode !== 64 && /^sys(ret|exit)$/.test(name)) return name;
  if (instruction.mode !== 64 && row.operands[0] === "Ms") return `${name}l`;
  const bySizeNames = bySize[name];
  if (bySizeNames) return bySizeNames[operandSize === 2 ? 0 : operandSize === 8 ? 2 : 1];
  if (name === "jcxz")
    return instruction.addressSize === 8 ? "jrcxz" : instruction.addressSize === 4 ? "jecxz" : "jcxz";
  if (name.startsWith("loop") && instruction.addressSize * 8 < instruction.mode) {
    return name + suffixOf(instruction.addressSize);
  }
  if (name === "movzx" || name === "movsx") {
    const from = row.operands[1] === "Eb" ? "b" : "w";
    return `${name.slice(0, 4)}${from}${suffixOf(operandSize)}`;
  }
  if (name === "mov" && instruction.mode === 64) {
    const wideImmediate = row.operands[1] === "Iv" && operandSize === 8;
    const moffs = row.operands.includes("Ob") || row.operands.includes("Ov");
    if (wideImmediate || (moffs && instruction.addressSize === 8)) return "movabs";
  }
  if ((name === "bsf" || name === "bsr") && instruction.rep === 0xf3) return name === "bsf" ? "tzcnt" : "lzcnt";
  const predicate = /^cmp([ps][sd])$/.exec(name);
  if (predicate && row.operands.length === 3 && instruction.immLow < 8) {
    return `cmp${predicates[instruction.immLow]}${predicate[1]}`;
  }
  if (name === "pclmulqdq" && (instruction.immLow & 0xee) === 0) {
    return `pclmul${instruction.immLow & 1 ? "h" : "l"}q${instruction.immLow & 16 ? "h" : "l"}qdq`;
  }
  if (row.feature === "fpu" || row.feature === "sse3") {
    if (hasMemory && x87Sized.test(name)) {
      const shape = OPERANDS[row.operands[0] ?? "M"] as OperandShape;
      return name + x87Suffix(name, shape.size as number);
    }
    // Where ST(i) is the destination, System V's assembler exchanged SUB and SUBR, DIV and DIVR.
    const swapped = row.operands[0] === "STi" ? /^f(sub|div)(r?)(p?)$/.exec(name) : null;
    if (swapped) return `f${swapped[1]}${swapped[2] ? "" : "r"}${swapped[3]}`;
  }
  if (row.operands[0] === "Mp" && operandSize === 8 && renamed[name]) return `${renamed[name]}q`;
  if (suffixOnlyNarrow.has(name)) {
    const registerOperand = registerShowsSize(instruction) || (row.hasModrm && !hasMemory) || row.operands[0] === "Jb";
    return (renamed[name] ?? name) + (operandSize === 2 && !registerOperand ? "w" : "");
  }
  if (suffixedStrings.has(name)) return name + suffixOf(operandSize);
  const memorySuffix = hasMemory && row.operands.some((kind) => (OPERANDS[kind] as OperandShape).place === "rm");
  if (name === "crc32" || name.startsWith("cvtsi2s")) return name + (memorySuffix ? suffixOf(operandSize) : "");
  if (memorySuffix && !neverSuffix.has(row.lift) && !registerShowsSize(instruction))
    return name + suffixOf(operandSize);
  return renamed[name] ?? name;
}
