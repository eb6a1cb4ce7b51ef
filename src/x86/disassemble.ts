/**
 * The disassembler: AT&T syntax as GNU objdump 2.40 prints it, so that listings can be compared by text.
 *
 * Branch targets and RIP-relative addresses are hexadecimal without symbols. Prefixes that change nothing are printed
 * where `bytes` are given, since an `Instruction` does not keep their order.
 */
import { attName } from "./att-names.ts";
import { attPrefixes } from "./att-prefixes.ts";
import { byteRegister, type Instruction, ripBase } from "./instruction.ts";
import { OPERANDS, type OperandKind, type OperandShape } from "./operands.ts";
import { GPR8, GPR8_HIGH, GPR16, GPR32, GPR64, SEGMENTS } from "./registers.ts";

/** A general register of 2, 4 or 8 bytes, or a byte register as `byteRegister` gives it. */
export function registerName(register: number, size: number): string {
  const n = register & 15;
  switch (size) {
    case 1:
      return register & 0x10 ? (GPR8_HIGH[n] ?? "") : (GPR8[n] ?? "");
    case 2:
      return GPR16[n] ?? "";
    case 4:
      return GPR32[n] ?? "";
    default:
      return GPR64[n] ?? "";
  }
}

/** Bytes of an operand kind in this instruction. */
function sizeIn(instruction: Instruction, shape: OperandShape): number {
  switch (shape.size) {
    case "v":
      return instruction.operandSize;
    case "z":
      return instruction.operandSize === 2 ? 2 : 4;
    case "y":
      return instruction.operandSize === 8 ? 8 : 4;
    case "a":
      return instruction.mode === 64 ? 8 : 4;
    default:
      return shape.size;
  }
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const signedHex = (value: number): string => (value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);

function generalRegister(instruction: Instruction, register: number, size: number): string {
  return `%${registerName(size === 1 ? byteRegister(instruction, register) : register, size)}`;
}

const pairs16 = ["%bx,%si", "%bx,%di", "%bp,%si", "%bp,%di", "%si", "%di", "%bp", "%bx"];

function segmentText(instruction: Instruction): string {
  return instruction.segmentOverride < 0 ? "" : `%${SEGMENTS[instruction.segmentOverride]}:`;
}

/** The address that RIP-relative addressing means, or the target of a branch. */
function relativeTarget(instruction: Instruction, address: bigint, displacement: bigint): bigint {
  const target = address + BigInt(instruction.length) + displacement;
  if (instruction.mode === 64) return BigInt.asUintN(64, target);
  // objdump takes no notice of 66 before a short branch.
  const narrow = instruction.operandSize === 2 && !instruction.row.operands.includes("Jb");
  return BigInt.asUintN(narrow ? 16 : 32, target);
}

function memory(instruction: Instruction): string {
  const segment = segmentText(instruction);
  const { base, index, displacement, addressSize, mod, mode } = instruction;
  const rm = instruction.rm & 7;
  if (addressSize === 2) {
    if (base < 0) return `${segment}${signedHex(displacement)}`;
    const shown = mod === 0 ? "" : signedHex(displacement);
    return `${segment}${shown}(${pairs16[rm]})`;
  }
  if (base === ripBase) return `${segment}${signedHex(displacement)}(%${addressSize === 8 ? "rip" : "eip"})`;
  const name = (n: number): string => `%${registerName(n, addressSize)}`;
  const hasSib = rm === 4;
  const placeholder = mode === 64 && addressSize === 8 ? "%riz" : "%eiz";
  // A SIB without index is shown by a name that is no register, unless it is the only way to say what is meant.
  const needed = base >= 0 ? (base & 7) !== 4 : addressSize === 4;
  const showsIndex = hasSib && (instruction.scale !== 0 || index >= 0 || needed);
  if (base < 0 && !showsIndex) {
    const bits = mode === 64 && addressSize === 8 ? 64 : 32;
    // Without base and index the displacement is an address.
    return `${segment}${hex(BigInt.asUintN(bits, BigInt(displacement)))}`;
  }
  const shown = mod !== 0 || base < 0 ? signedHex(displacement) : "";
  const indexText = showsIndex ? `,${index >= 0 ? name(index) : placeholder},${1 << instruction.scale}` : "";
  return `${segment}${shown}(${base >= 0 ? name(base) : ""}${indexText})`;
}

function immediate(instruction: Instruction, kind: OperandKind, shape: OperandShape): string {
  if (kind === "Ib2") return `$${hex(BigInt(instruction.imm2))}`;
  const value = (BigInt(instruction.immHigh) << 32n) | BigInt(instruction.immLow >>> 0);
  const bits = shape.signed ? instruction.operandSize * 8 : sizeIn(instruction, shape) * 8;
  return `$${hex(BigInt.asUintN(bits, value))}`;
}

function stringOperand(instruction: Instruction, destination: boolean): string {
  const register = registerName(destination ? 7 : 6, instruction.addressSize);
  const segment = destination ? "%es:" : segmentText(instruction) || "%ds:";
  return `${segment}(%${register})`;
}

/** These read the low 16 bits of a register that is printed whole. */
const takesSelector = new Set(["lar", "lsl", "mov-to-sreg"]);

function operand(instruction: Instruction, kind: OperandKind, address: bigint): string {
  const { row } = instruction;
  const shape = OPERANDS[kind] as OperandShape;
  const size = row.mnemonic === "movsxd" && instruction.operandSize === 2 ? 2 : sizeIn(instruction, shape);
  switch (shape.place) {
    case "rm":
      if (instruction.hasMemory) return memory(instruction);
      return generalRegister(instruction, instruction.rm, takesSelector.has(row.lift) ? instruction.operandSize : size);
    case "rm-register":
      return generalRegister(instruction, instruction.rm, size);
    case "memory":
      return memory(instruction);
    case "reg": {
      const mask = /^(movmskp[sd]|pmovmskb|pextrw|crc32)$/.test(row.mnemonic) && instruction.rex & 8;
      return generalRegister(instruction, instruction.reg, mask ? 8 : size);
    }
    case "opcode-register":
      return generalRegister(instruction, instruction.opcodeReg, size);
    case "fixed":
      if (kind === "DX" && /^(in|out|ins|outs)$/.test(row.mnemonic)) return "(%dx)";
      return `%${registerName(shape.register ?? 0, size)}`;
    case "immediate":
      return immediate(instruction, kind, shape);
    case "relative":
      return hex(relativeTarget(instruction, address, BigInt(instruction.immLow)));
    case "far-pointer":
      return `$${hex(BigInt(instruction.imm2))},$${hex(BigInt(instruction.immLow >>> 0))}`;
    case "moffs": {
      const low = BigInt(instruction.displacement >>> 0);
      return `${segmentText(instruction)}${hex(BigInt.asUintN(64, (BigInt(instruction.displacementHigh) << 32n) | low))}`;
    }
    case "string-source":
      return stringOperand(instruction, false);
    case "string-destination":
      return stringOperand(instruction, true);
    case "segment-reg": {
      const n = instruction.reg & 7;
      return `%${SEGMENTS[n] ?? "?"}`;
    }
    case "segment-fixed":
      return `%${SEGMENTS[shape.register ?? 0]}`;
    case "control-reg":
      return `%cr${instruction.reg}`;
    case "debug-reg":
      return `%db${instruction.reg}`;
    case "xmm-reg":
      return `%xmm${instruction.reg}`;
    case "xmm-rm":
      return instruction.hasMemory ? memory(instruction) : `%xmm${instruction.rm}`;
    case "xmm-rm-register":
      return `%xmm${instruction.rm}`;
    case "xmm-fixed":
      return `%xmm${shape.register}`;
    case "mmx-reg":
      return `%mm${instruction.reg & 7}`;
    case "mmx-rm":
      return instruction.hasMemory ? memory(instruction) : `%mm${instruction.rm & 7}`;
    case "mmx-rm-register":
      return `%mm${instruction.rm & 7}`;
    case "st0":
      return "%st";
    case "sti":
      return `%st(${instruction.rm & 7})`;
    case "one":
      return "";
  }
}

/** Operands that objdump prints although the table has none. */
function impliedOperands(instruction: Instruction): string {
  switch (instruction.row.mnemonic) {
    case "monitor":
    case "monitorx":
      return `%${registerName(0, instruction.addressSize)},%ecx,%edx`;
    case "mwait":
      return "%eax,%ecx";
    case "mwaitx":
      return "%eax,%ecx,%ebx";
    case "xlat":
      return `${segmentText(instruction) || "%ds:"}(%${registerName(3, instruction.addressSize)})`;
    default:
      return "";
  }
}

function operands(instruction: Instruction, address: bigint): string {
  const { row } = instruction;
  let kinds = row.operands;
  // A predicate that became part of the name is no operand any more.
  if (/^cmp[ps][sd]$/.test(row.mnemonic) && kinds.length === 3 && instruction.immLow < 8) kinds = kinds.slice(0, 2);
  if (row.mnemonic === "pclmulqdq" && (instruction.immLow & 0xee) === 0) kinds = kinds.slice(0, 2);
  // FADD and its like name both registers, comparisons with ST(i) only the other one.
  if (/^fu?comp?$/.test(row.mnemonic) && kinds.includes("STi")) kinds = ["STi"];
  const texts = kinds.map((kind) => operand(instruction, kind, address)).filter((text) => text !== "");
  const target = row.operands[0];
  const indirect = /^(call|jmp)f?$/.test(row.mnemonic) && (target === "Ev" || target === "Mp");
  if (indirect) return `*${texts[0]}`;
  if (row.mnemonic === "enter" || row.mnemonic === "bound") return texts.join(",");
  return texts.length === 0 ? impliedOperands(instruction) : texts.reverse().join(",");
}

/** Prefix bytes as far as an `Instruction` remembers them. */
function rememberedPrefixes(instruction: Instruction): Uint8Array {
  const bytes: number[] = [];
  if (instruction.segmentOverride >= 0)
    bytes.push([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][instruction.segmentOverride] ?? 0);
  if (instruction.opsizePrefix) bytes.push(0x66);
  if (instruction.addressSize !== Math.min(instruction.mode / 8, 8)) bytes.push(0x67);
  if (instruction.lock) bytes.push(0xf0);
  if (instruction.rep !== 0) bytes.push(instruction.rep);
  if (instruction.rex !== 0) bytes.push(instruction.rex);
  return Uint8Array.from(bytes);
}

/**
 * The instruction as text: prefixes, name, operands, each separated by one space. Bytes that are no instruction are
 * "(bad)". With `bytes`, the prefixes are those found from `offset` on.
 */
export function disassemble(instruction: Instruction, address: bigint, bytes?: Uint8Array, offset = 0): string {
  if (instruction.row.id === 0) return "(bad)";
  const { text, hint } = attPrefixes(instruction, bytes ?? rememberedPrefixes(instruction), offset);
  const name = plainNop(instruction) ?? attName(instruction);
  const list = plainNop(instruction) === "xchg" ? "%ax,%ax" : operands(instruction, address);
  const comment =
    instruction.hasMemory && instruction.base === ripBase
      ? `        # ${hex(relativeTarget(instruction, address, BigInt(instruction.displacement)))}`
      : "";
  return `${text}${name}${hint}${list === "" ? "" : ` ${list}`}${comment}`;
}

/** 66 90 is printed as the exchange that it looks like. */
function plainNop(instruction: Instruction): string | undefined {
  if (instruction.row.code !== "90") return undefined;
  return instruction.opsizePrefix && (instruction.rex & 8) === 0 ? "xchg" : "nop";
}
