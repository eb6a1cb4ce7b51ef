/**
 * From a row to bytes with random operands: the decoder's table read the other way.
 *
 * Prefixes are drawn from those legal for the form; what they mean (sizes, segments, repetition) is for the CPU to say.
 */
import { type InstructionRow, OPERANDS, type OperandShape } from "#x86";
import { encodeAddress, littleEndian } from "./addressing.ts";
import type { CaseBuilder, Fixup, Item } from "./builder.ts";
import { type Choice, memorySize, prepare, prepareBitOffset, prepareContents, prepareRegister } from "./prepare.ts";
import { integerValue } from "./values.ts";

const shapeOf = (kind: InstructionRow["operands"][number]): OperandShape => OPERANDS[kind];
const shapesOf = (row: InstructionRow): OperandShape[] => row.operands.map(shapeOf);

const regPlaces = /^(reg|xmm-reg|mmx-reg|segment-reg|control-reg|debug-reg)$/;
const rmPlaces = /^(rm|memory|xmm-rm|mmx-rm|sti)$|-register$/;
const segmentPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Second operands that are written as well. */
const exchanges = new Set(["xchg", "xadd"]);

function operandSizeOf(row: InstructionRow, mode: number, has66: boolean, wide: boolean): number {
  const usual = wide ? 8 : has66 ? 2 : 4;
  switch (row.sizeRule) {
    case "b":
      return 1;
    case "w":
      return 2;
    case "d":
      return 4;
    case "q":
      return 8;
    case "v":
      return usual;
    case "y":
      return usual === 8 ? 8 : 4;
    case "z":
      return Math.min(usual, 4);
    case "d64":
      return mode === 64 && usual === 4 ? 8 : usual;
    case "f64":
      return mode === 64 ? 8 : usual;
    case "a":
      return mode === 64 ? 8 : 4;
  }
}

function sizeOf(shape: OperandShape, operandSize: number, mode: number): number {
  switch (shape.size) {
    case "v":
      return operandSize;
    case "z":
      return Math.min(operandSize, 4);
    case "y":
      return operandSize === 8 ? 8 : 4;
    case "a":
      return mode === 64 ? 8 : 4;
    default:
      return shape.size;
  }
}

/** True where 66 changes the operand size and nothing else. BSWAP of 16 bits is undefined. */
function takes66(row: InstructionRow): boolean {
  if (row.prefix === 0 || row.prefix === 0x66 || row.mnemonic === "bswap") return false;
  return row.sizeRule === "v" || row.sizeRule === "z" || row.sizeRule === "d64";
}

/** True where REX.W may be drawn. Far pointers with 64-bit offsets are Intel's alone. */
const takesWide = (row: InstructionRow): boolean =>
  (row.sizeRule === "v" || row.sizeRule === "y") && !row.operands.includes("Mp");

/** The general register a byte or wider operand lies in. */
const registerOf = (n: number, isByte: boolean, rex: number): number =>
  isByte && rex === 0 && n >= 4 && n < 8 ? n - 4 : n;

function pickRegister(b: CaseBuilder, shape: OperandShape, row: InstructionRow, rex: number): number {
  const { random } = b;
  if (shape.place.startsWith("xmm")) return random.below(b.mode === 64 && random.chance(40) ? 16 : 4);
  if (shape.place.startsWith("mmx") || shape.place === "sti") return random.below(8);
  if (shape.place === "segment-reg") {
    const usual = row.operands[0] === "Sw" ? [0, 2, 3, 4, 5] : [0, 1, 2, 3, 4, 5];
    return random.chance(97) ? random.pick(usual) : random.below(8);
  }
  if (shape.place === "control-reg") return random.pick([0, 2, 3, 4]);
  if (shape.place === "debug-reg") return random.below(8);
  return shape.size === 1 && rex === 0 && random.chance(30) ? 4 + random.below(4) : b.dataRegister();
}

function immediate(b: CaseBuilder, choice: Choice, size: number): bigint {
  const { random } = b;
  const { row } = choice;
  if (row.flagsDepend === "double-shift" && choice.operandSize === 2) return BigInt(random.below(17));
  if (row.mnemonic === "enter") return BigInt(random.below(size === 2 ? 64 : random.chance(80) ? 4 : 256));
  if (row.mnemonic === "ret" || row.mnemonic === "retf") return BigInt(random.below(64));
  return integerValue(random, size * 8);
}

/** An instruction of this form, its registers and memory prepared in `b`; undefined where what it needs is taken. */
export function encode(b: CaseBuilder, row: InstructionRow): Item | undefined {
  const { random, mode } = b;
  const shapes = shapesOf(row);
  const places = shapes.map((shape) => shape.place);
  const prefixes: number[] = [];
  const fixups: Fixup[] = [];
  let rex = 0;

  const has66 = takes66(row) && random.chance(25);
  if (has66) prefixes.push(0x66);
  if (mode === 64) {
    const wide = row.rexW >= 0 ? row.rexW === 1 : takesWide(row) ? random.chance(has66 ? 5 : 45) : false;
    if (wide) rex = 0x48;
    else if (random.chance(5)) rex = 0x40;
  }
  const operandSize = operandSizeOf(row, mode, has66, (rex & 8) !== 0);

  const isString = places.includes("string-source") || places.includes("string-destination");
  const isRegister = row.hasModrm && (row.form === "register" || (row.form === "any" && random.chance(50)));
  const hasModrmMemory =
    row.hasModrm && !isRegister && !places.includes("control-reg") && !places.includes("debug-reg");
  const hasMemory = isString || places.includes("moffs") || hasModrmMemory || /^(maskmov|xlat)/.test(row.mnemonic);
  let addressSize: number = mode === 64 ? 8 : 4;
  const countsRcx = row.mnemonic.startsWith("loop") || row.mnemonic === "jcxz";
  if ((hasMemory || countsRcx) && random.chance(mode === 64 ? 6 : 1)) {
    prefixes.push(0x67);
    addressSize /= 2;
  }
  let segmentBase = 0n;
  if (hasMemory && random.chance(10)) {
    const n = random.chance(60) ? 4 + random.below(2) : random.below(4);
    prefixes.push(segmentPrefixes[n]);
    if (n === 4) segmentBase = b.state.fsBase;
    if (n === 5) segmentBase = b.state.gsBase;
  }
  const repeat = isString && random.chance(60) ? random.pick([0xf3, 0xf3, 0xf2]) : 0;
  if (repeat) prefixes.push(repeat);
  // LOCK with VERR and VERW: AMD's processors look at the operand first. LOCK MOV CR0 is their CR8.
  const canLock = row.mnemonic !== "verr" && row.mnemonic !== "verw" && !row.lift.includes("-cr");
  if (row.lockable && hasModrmMemory ? random.chance(25) : canLock && random.chance(0.3)) prefixes.push(0xf0);
  if (row.prefix > 0) prefixes.push(row.prefix);

  const choice: Choice = { row, operandSize, addressSize, repeat, segmentBase };
  if (!prepare(b, choice, fixups)) return undefined;

  let opcode = row.opcode;
  let modrm = -1;
  let addressBytes: number[] = [];
  let ripTarget: bigint | undefined;
  const written: number[] = [];
  const noteWritten = (shape: OperandShape, n: number): void => {
    const general = shape.place === "rm" || shape.place === "rm-register" || shape.place === "reg";
    if (!general && shape.place !== "opcode-register") return;
    if (shape === shapes[0] || exchanges.has(row.mnemonic)) written.push(registerOf(n, shape.size === 1, rex));
  };

  if (row.registerInOpcode) {
    const n = pickRegister(b, shapes[0], row, rex);
    if (n >= 8) rex |= 0x41;
    opcode |= n & 7;
    noteWritten(shapes[0], n);
  }
  if (row.hasModrm) {
    const regShape = shapes.find((shape) => regPlaces.test(shape.place));
    const rmShape = shapes.find((shape) => rmPlaces.test(shape.place));
    const reg = row.digit >= 0 ? row.digit : regShape ? pickRegister(b, regShape, row, rex) : random.below(8);
    if (reg >= 8) rex |= 0x44;
    modrm = (reg & 7) << 3;
    if (regShape) noteWritten(regShape, reg);
    if (hasModrmMemory) {
      if (regShape?.place === "reg") prepareBitOffset(b, choice, reg);
      const size =
        memorySize(row, operandSize) ?? (rmShape ? (rmShape.memorySize ?? sizeOf(rmShape, operandSize, mode)) : 0);
      const address = b.dataAddress(size, row.alignment, shapes[0] === rmShape);
      // How far FXRSTOR and its like come before the end of a segment is not for us to say.
      if (size > 16 && segmentBase > address && segmentBase < address + BigInt(size)) return undefined;
      const floating = row.map === 0 ? row.opcode >= 0xd8 : shapes.some((shape) => shape.place.startsWith("xmm"));
      b.patchValue(address, size, floating);
      prepareContents(b, choice, address, fixups);
      const addressing = encodeAddress(b, choice, address - segmentBase);
      modrm |= addressing.modrm;
      rex |= addressing.rex;
      addressBytes = addressing.bytes;
      ripTarget = addressing.rip;
    } else {
      const rm = row.fixedRm >= 0 ? row.fixedRm : rmShape ? pickRegister(b, rmShape, row, rex) : random.below(8);
      if (rm >= 8) rex |= 0x41;
      modrm |= 0xc0 | (rm & 7);
      if (rmShape && /^rm/.test(rmShape.place)) {
        prepareRegister(b, choice, rm, fixups);
        // One descriptor's limit is the number of the CPU: no selector by chance.
        if (row.mnemonic === "lsl" && b.known(rm) === undefined) return undefined;
        noteWritten(rmShape, rm);
      }
    }
  }
  if (mode !== 64) rex = 0;

  const tail: number[] = [];
  const opcodes = [...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][row.map], opcode];
  const head = [...prefixes, ...(rex ? [rex] : []), ...opcodes, ...(modrm >= 0 ? [modrm] : []), ...addressBytes];
  if (ripTarget !== undefined) fixups.push({ kind: "rip", offset: head.length - 4, address: ripTarget });
  for (const [n, shape] of shapes.entries()) {
    const size = sizeOf(shape, operandSize, mode);
    const offset = head.length + tail.length;
    if (shape.place === "immediate") tail.push(...littleEndian(immediate(b, choice, size), size));
    else if (shape.place === "relative") {
      const width = row.operands[n] === "Jb" ? 1 : operandSize === 2 ? 2 : 4;
      fixups.push({ kind: "relative", offset, size: width, target: b.forwardTarget() });
      tail.push(...littleEndian(0n, width));
    } else if (shape.place === "moffs") {
      const address = b.dataAddress(size, 1, n === 0);
      b.patchValue(address, size, false);
      tail.push(...littleEndian(address - segmentBase, addressSize));
    } else if (shape.place === "far-pointer") {
      const width = operandSize === 2 ? 2 : 4;
      fixups.push({ kind: "absolute", offset, size: width, target: b.forwardTarget() });
      tail.push(...littleEndian(0n, width), ...littleEndian(0x23n, 2));
    } else if (shape.place === "fixed" && (n === 0 || exchanges.has(row.mnemonic))) written.push(shape.register ?? 0);
  }
  for (const register of written) b.written(register);
  return { row, bytes: [...head, ...tail], fixups };
}
