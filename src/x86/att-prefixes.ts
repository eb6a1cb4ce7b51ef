/**
 * Which prefixes objdump prints in front of a mnemonic: each prefix byte in order, but for those that the instruction
 * itself shows (a size, a segment, a mandatory prefix), of which only the last of a kind is shown.
 */
import type { Instruction } from "./instruction.ts";
import { OPERANDS, type OperandShape } from "./operands.ts";

const plainNames: Readonly<Record<number, string>> = {
  38: "es",
  46: "cs",
  54: "ss",
  62: "ds",
  100: "fs",
  101: "gs",
  240: "lock",
};

const shapes = (instruction: Instruction): OperandShape[] =>
  instruction.row.operands.map((kind) => OPERANDS[kind] as OperandShape);

/** The bits of REX that an operand or the size made use of; 0x40 itself where SPL, BPL, SIL or DIL did. */
function usedRex(instruction: Instruction): number {
  const { row, rex } = instruction;
  let used = 0;
  const use = (bit: number): void => {
    if (bit === 0 || rex & bit) used |= 0x40 | bit;
  };
  if (row.rexW >= 0 || row.sizeRule === "v" || row.sizeRule === "y") {
    const narrowMemory = instruction.hasMemory && row.operands.some((kind) => kind === "RvMw" || kind === "Sw");
    if (row.mnemonic !== "nop" || row.hasModrm) if (!narrowMemory) use(8);
  }
  if (row.mnemonic.startsWith("crc32") || row.mnemonic === "movmskps" || row.mnemonic === "movmskpd") use(8);
  if (row.mnemonic === "pmovmskb" || row.mnemonic === "pextrw") use(8);
  if (instruction.hasMemory && row.hasModrm) {
    use(1);
    if ((instruction.rm & 7) === 4) use(2);
  }
  for (const shape of shapes(instruction)) {
    const isByte = shape.size === 1;
    switch (shape.place) {
      case "reg":
        use(4);
        if (isByte && instruction.reg & 4) use(0);
        break;
      case "xmm-reg":
      case "control-reg":
      case "debug-reg":
        use(4);
        break;
      case "rm":
        if (instruction.hasMemory) break;
        use(1);
        if (isByte && instruction.rm & 4) use(0);
        break;
      case "xmm-rm":
        if (!instruction.hasMemory) use(1);
        break;
      case "rm-register":
      case "xmm-rm-register":
        use(1);
        break;
      case "opcode-register":
        use(1);
        if (isByte && instruction.opcodeReg & 4) use(0);
        break;
      default:
        break;
    }
  }
  return used;
}

function printRex(rex: number): string {
  const bits = ["W", "R", "X", "B"].filter((_, n) => rex & (8 >> n)).join("");
  return bits ? `rex.${bits}` : "rex";
}

const compareStrings = new Set(["cmps", "scas"]);
const strings = new Set(["movs", "stos", "lods", "ins", "outs"]);
const branches = new Set(["jcc", "call", "jmp", "ret"]);
/** Stores that may end an elided lock without LOCK itself. */
const storesThatRelease = new Set(["88", "89", "C6 /0", "C7 /0"]);

function repeatName(instruction: Instruction, byte: number): string {
  const { row } = instruction;
  if (strings.has(row.mnemonic)) return byte === 0xf3 ? "rep" : "repnz";
  if (compareStrings.has(row.mnemonic)) return byte === 0xf3 ? "repz" : "repnz";
  if (byte === 0xf2 && branches.has(row.lift)) return "bnd";
  const exchange = row.mnemonic === "xchg" && row.hasModrm;
  if (instruction.hasMemory && row.lockable && (instruction.lock || exchange)) {
    return byte === 0xf2 ? "xacquire" : "xrelease";
  }
  if (byte === 0xf3 && instruction.hasMemory && storesThatRelease.has(row.code)) return "xrelease";
  return byte === 0xf3 ? "repz" : "repnz";
}

/** True where 66 changed what the instruction is or how wide. */
function shows66(instruction: Instruction): boolean {
  const { row } = instruction;
  if (row.prefix === 0x66) return true;
  const wide = (instruction.rex & 8) !== 0;
  switch (row.sizeRule) {
    case "v":
      if (row.mnemonic === "nop" && !row.hasModrm) return !wide;
      if (instruction.hasMemory && row.operands.some((kind) => kind === "RvMw" || kind === "Sw")) return false;
      return !wide;
    case "z":
    case "d64":
      return !wide;
    case "f64":
      return instruction.mode !== 64 && !row.operands.includes("Jb");
    case "w":
    case "b":
    case "d":
      return row.mnemonic === "nop" && !row.hasModrm && instruction.rep === 0;
    default:
      return false;
  }
}

/** True where the operands show the address size. */
function shows67(instruction: Instruction): boolean {
  if (instruction.hasMemory) return instruction.row.hasModrm;
  const { row } = instruction;
  if (row.mnemonic === "jcxz" || row.lift.startsWith("loop") || row.mnemonic === "xlat") return true;
  if (row.mnemonic.startsWith("maskmov")) return true;
  return shapes(instruction).some((shape) => shape.place.startsWith("string"));
}

/** True where the operands show a segment. */
function showsSegment(instruction: Instruction): boolean {
  const source = shapes(instruction).some((shape) => shape.place === "string-source");
  const implied = source || instruction.row.mnemonic === "xlat" || instruction.row.mnemonic.startsWith("maskmov");
  return implied || (instruction.hasMemory && instruction.segmentOverride >= 0);
}

/** Prefix names in order, each followed by a space, and the hint that belongs to a conditional branch. */
export function attPrefixes(
  instruction: Instruction,
  bytes: Uint8Array,
  offset: number,
): { text: string; hint: string } {
  const { row, mode } = instruction;
  const list: number[] = [];
  for (let at = offset; at < offset + instruction.length; at++) {
    const byte = bytes[at] as number;
    const legacy = byte in plainNames || byte === 0x66 || byte === 0x67 || byte === 0xf2 || byte === 0xf3;
    if (!legacy && !(mode === 64 && (byte & 0xf0) === 0x40)) break;
    list.push(byte);
  }
  const last = (test: (byte: number) => boolean): number => list.findLastIndex(test);
  const hidden = new Set<number>();
  let hint = "";
  if (shows66(instruction)) hidden.add(last((b) => b === 0x66));
  if (shows67(instruction)) hidden.add(last((b) => b === 0x67));
  const repeated = last((b) => b === 0xf2 || b === 0xf3);
  if (row.prefix === 0xf2 || row.prefix === 0xf3) hidden.add(repeated);
  if ((row.mnemonic === "bsf" || row.mnemonic === "bsr") && list[repeated] === 0xf3) hidden.add(repeated);
  const segment = last((b) => b in plainNames && b !== 0xf0);
  if (segment >= 0 && showsSegment(instruction)) hidden.add(segment);
  const hinted = row.lift === "jcc" || row.lift.startsWith("loop") || row.lift === "jcxz";
  if (hinted && list.includes(0x2e) !== list.includes(0x3e)) {
    hidden.add(segment);
    hint = list.includes(0x2e) ? ",pn" : ",pt";
  }
  const rexAt = list.length - 1;
  if (instruction.rex !== 0 && (usedRex(instruction) ^ instruction.rex) === 0) hidden.add(rexAt);

  let text = "";
  for (const [n, byte] of list.entries()) {
    if (hidden.has(n)) continue;
    if (mode === 64 && (byte & 0xf0) === 0x40) text += printRex(byte);
    else if (byte === 0x66) text += mode === 16 ? "data32" : "data16";
    else if (byte === 0x67) text += mode === 64 ? "addr32" : mode === 32 ? "addr16" : "addr32";
    else if (byte === 0xf2 || byte === 0xf3)
      text += n === repeated ? repeatName(instruction, byte) : byte === 0xf3 ? "repz" : "repnz";
    else if (byte === 0x3e && row.code === "FF /4") text += "notrack";
    else if (byte === 0x3e && row.code === "FF /2") text += "notrack";
    else text += plainNames[byte] ?? "";
    text += " ";
  }
  return { text, hint };
}
