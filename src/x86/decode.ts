/**
 * The decoder: bytes to an `Instruction`.
 *
 * Law: any bytes at all give one of the four results; nothing outside [offset, end) is read and nothing is thrown.
 * `truncated` says that the bytes end within an instruction: fetching the rest may fault, which comes before #UD.
 *
 * Order (SDM 2A, "Instruction Format"): legacy prefixes in any order, REX directly before the opcode, one to three
 * opcode bytes, ModRM, SIB, displacement, immediate. VEX and EVEX are not here: in 64-bit code C4, C5 and 62 are #UD.
 *
 * Where processors differ: near branches ignore 66 in 64-bit code as Intel's do.
 */
import {
  ABSENT,
  CONTEXT_STRIDE,
  exchangeRow,
  HAS_MODRM,
  IMMEDIATE,
  IMMEDIATE_SHIFT,
  LOCKABLE,
  LOW_REG,
  LOW_RM,
  leaves,
  MOD_IGNORED,
  nopRow,
  operandSizes,
  pauseRow,
  registersOf,
  roots,
  rowBits,
  SIZE_SHIFT,
  SOME_REGISTERS,
  TAKES_66,
} from "./decode-maps.ts";
import { type Instruction, ripBase } from "./instruction.ts";

/** How a decode ends. */
export const DECODED = 0;
/** The bytes end before the instruction does. */
export const TRUNCATED = 1;
/** #UD. `row` names the form where it is known but absent, wrongly locked, or has a register that does not exist. */
export const UNDEFINED = 2;
/** Longer than 15 bytes: #GP(0). */
export const TOO_LONG = 3;
export type DecodeResult = typeof DECODED | typeof TRUNCATED | typeof UNDEFINED | typeof TOO_LONG;

export const maxInstructionLength = 15;

/** Prefix bytes: 1..6 a segment plus one, then the rest. */
const OPERAND_SIZE = 7;
const ADDRESS_SIZE = 8;
const LOCK = 9;
const REPEAT = 10;
const prefixes = new Uint8Array(256);
for (const [n, byte] of [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2].entries()) prefixes[byte] = n + 1;
prefixes[0xf3] = REPEAT;

/** Base and index of 16-bit addressing by rm (SDM 2A, table 2-1). */
const base16 = [3, 3, 5, 5, 6, 7, 5, 3];
const index16 = [6, 7, 6, 7, -1, -1, -1, -1];

const SS = 2;
const DS = 3;

/** Decodes what lies at `offset`, no byte from `end` on, as code of the given size. Overwrites all of `out`. */
export function decode(
  bytes: Uint8Array,
  offset: number,
  end: number,
  codeSize: 64 | 32 | 16,
  out: Instruction,
): DecodeResult {
  const isLimited = offset + maxInstructionLength > end;
  const limit = isLimited ? end : offset + maxInstructionLength;
  const short = isLimited ? TRUNCATED : TOO_LONG;
  let at = offset;
  let has66 = 0;
  let has67 = false;
  let repeat = 0;
  let rex = 0;
  let byte = 0;

  out.id = 0;
  out.mode = codeSize;
  out.lock = false;
  out.segment = DS;
  out.segmentOverride = -1;
  out.mod = 0;
  out.reg = 0;
  out.rm = 0;
  out.hasMemory = false;
  out.base = -1;
  out.index = -1;
  out.scale = 0;
  out.displacement = 0;
  out.displacementHigh = 0;
  out.immLow = 0;
  out.immHigh = 0;
  out.imm2 = 0;
  out.operandSize = 4;

  // Prefixes. A REX that another prefix follows is void.
  for (;;) {
    if (at >= limit) return stop(out, at - offset, short);
    byte = bytes[at++] as number;
    const prefix = prefixes[byte] as number;
    if (prefix === 0) {
      if (codeSize !== 64 || (byte & 0xf0) !== 0x40) break;
      rex = byte;
      continue;
    }
    rex = 0;
    if (prefix <= 6) {
      if (codeSize !== 64 || prefix >= 5) out.segmentOverride = prefix - 1;
    } else if (prefix === OPERAND_SIZE) has66 = 1;
    else if (prefix === ADDRESS_SIZE) has67 = true;
    else if (prefix === LOCK) out.lock = true;
    else repeat = byte;
  }
  out.rex = rex;
  out.rep = repeat;
  out.opsizePrefix = has66 !== 0;
  out.addressSize = codeSize === 64 ? (has67 ? 4 : 8) : (codeSize === 16) === has67 ? 4 : 2;
  if (out.segmentOverride >= 0) out.segment = out.segmentOverride;

  // Opcode.
  let map = 0;
  if (byte === 0x0f) {
    if (at >= limit) return stop(out, at - offset, short);
    byte = bytes[at++] as number;
    map = 1024;
    if (byte === 0x38 || byte === 0x3a) {
      map = byte === 0x38 ? 2048 : 3072;
      if (at >= limit) return stop(out, at - offset, short);
      byte = bytes[at++] as number;
    }
  }
  const wide = rex & 8;
  const context = codeSize !== 64 ? 2 * CONTEXT_STRIDE : wide ? CONTEXT_STRIDE : 0;
  const prefixSlot = repeat === 0 ? has66 << 8 : repeat === 0xf3 ? 512 : 768;
  let id = roots[context + map + prefixSlot + byte] as number;
  out.opcodeReg = (byte & 7) | ((rex & 1) << 3);

  let modrm = -1;
  if (id < 0) {
    if (at >= limit) return stop(out, at - offset, short);
    modrm = bytes[at++] as number;
    id = leaves[(~id << 8) + modrm] as number;
  } else if ((id === nopRow || id === pauseRow) && (rex & 1) !== 0) {
    id = exchangeRow;
  }
  if (id === 0) return stop(out, at - offset, UNDEFINED);
  const bits = rowBits[id] as number;
  out.id = id;

  const mode = codeSize === 64 ? 0 : codeSize === 32 ? 4 : 8;
  const says66 = (bits & TAKES_66) !== 0 ? 0 : has66;
  const operandSize = operandSizes[((bits >> SIZE_SHIFT) & 15) * 16 + mode + (wide >> 2) + says66] as number;
  out.operandSize = operandSize;

  if ((bits & HAS_MODRM) !== 0) {
    if (modrm < 0) {
      if (at >= limit) return stop(out, at - offset, short);
      modrm = bytes[at++] as number;
    }
    out.mod = modrm >> 6;
    out.reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    out.rm = (modrm & 7) | ((rex & 1) << 3);
    if (modrm < 0xc0 && (bits & MOD_IGNORED) === 0) {
      out.hasMemory = true;
      at =
        out.addressSize === 2
          ? address16(bytes, at, limit, modrm, out)
          : address32(bytes, at, limit, modrm, rex, codeSize, out);
      if (at < 0) return stop(out, limit - offset, short);
    } else if ((bits & LOW_RM) !== 0) out.rm &= 7;
    if ((bits & LOW_REG) !== 0) out.reg &= 7;
  }

  const immediate = (bits >> IMMEDIATE_SHIFT) & 15;
  if (immediate !== IMMEDIATE.none) {
    at = readImmediate(bytes, at, limit, immediate, operandSize, out);
    if (at < 0) return stop(out, limit - offset, short);
  }

  out.length = at - offset;
  if ((bits & ABSENT) !== 0) return UNDEFINED;
  if ((bits & SOME_REGISTERS) !== 0 && ((registersOf[id] as number) & (1 << out.reg)) === 0) return UNDEFINED;
  if (out.lock && ((bits & LOCKABLE) === 0 || !out.hasMemory)) return UNDEFINED;
  return DECODED;
}

function stop(out: Instruction, length: number, result: DecodeResult): DecodeResult {
  out.length = length;
  return result;
}

const read8 = (bytes: Uint8Array, at: number): number => ((bytes[at] as number) << 24) >> 24;
const read16 = (bytes: Uint8Array, at: number): number => (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
const read32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);

/** SIB and displacement of 32- and 64-bit addressing. The place after them, or -1 where the bytes end. */
function address32(
  bytes: Uint8Array,
  start: number,
  limit: number,
  modrm: number,
  rex: number,
  codeSize: number,
  out: Instruction,
): number {
  let at = start;
  const mod = modrm >> 6;
  let base = modrm & 7;
  let wideDisplacement = mod === 2;
  if (base === 4) {
    if (at >= limit) return -1;
    const sib = bytes[at++] as number;
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    out.scale = sib >> 6;
    // Index 4 is none, but r12 is an index.
    if (index !== 4) out.index = index;
    base = sib & 7;
    if (base === 5 && mod === 0) {
      wideDisplacement = true;
      base = -1;
    } else base |= (rex & 1) << 3;
  } else if (base === 5 && mod === 0) {
    wideDisplacement = true;
    base = codeSize === 64 ? ripBase : -1;
  } else base |= (rex & 1) << 3;
  out.base = base;
  if ((base === 4 || base === 5) && out.segmentOverride < 0) out.segment = SS;
  if (mod === 1) {
    if (at >= limit) return -1;
    out.displacement = read8(bytes, at);
    return at + 1;
  }
  if (!wideDisplacement) return at;
  if (at + 4 > limit) return -1;
  out.displacement = read32(bytes, at);
  return at + 4;
}

/** The same for 16-bit addressing. */
function address16(bytes: Uint8Array, at: number, limit: number, modrm: number, out: Instruction): number {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 0 && rm === 6) {
    if (at + 2 > limit) return -1;
    out.displacement = (read16(bytes, at) << 16) >> 16;
    return at + 2;
  }
  const base = rm === 6 ? 5 : (base16[rm] as number);
  out.base = rm === 4 ? 6 : rm === 5 ? 7 : base;
  out.index = index16[rm] as number;
  if (out.base === 5 && out.segmentOverride < 0) out.segment = SS;
  if (mod === 0) return at;
  if (mod === 1) {
    if (at >= limit) return -1;
    out.displacement = read8(bytes, at);
    return at + 1;
  }
  if (at + 2 > limit) return -1;
  out.displacement = (read16(bytes, at) << 16) >> 16;
  return at + 2;
}

/** Whatever follows the address. The place after it, or -1 where the bytes end. */
function readImmediate(
  bytes: Uint8Array,
  at: number,
  limit: number,
  immediate: number,
  operandSize: number,
  out: Instruction,
): number {
  switch (immediate) {
    case IMMEDIATE.byte:
      if (at >= limit) return -1;
      out.immLow = bytes[at] as number;
      return at + 1;
    case IMMEDIATE.signedByte:
      if (at >= limit) return -1;
      return setSigned(read8(bytes, at), at + 1, out);
    case IMMEDIATE.word:
      if (at + 2 > limit) return -1;
      out.immLow = read16(bytes, at);
      return at + 2;
    case IMMEDIATE.sized:
      if (operandSize === 2) {
        if (at + 2 > limit) return -1;
        return setSigned((read16(bytes, at) << 16) >> 16, at + 2, out);
      }
      if (at + 4 > limit) return -1;
      return setSigned(read32(bytes, at), at + 4, out);
    case IMMEDIATE.full:
      if (at + operandSize > limit) return -1;
      if (operandSize === 2) return setSigned((read16(bytes, at) << 16) >> 16, at + 2, out);
      setSigned(read32(bytes, at), at, out);
      if (operandSize === 8) out.immHigh = read32(bytes, at + 4);
      return at + operandSize;
    case IMMEDIATE.moffs:
      out.hasMemory = true;
      if (at + out.addressSize > limit) return -1;
      if (out.addressSize === 2) {
        out.displacement = read16(bytes, at);
        return at + 2;
      }
      out.displacement = read32(bytes, at);
      if (out.addressSize === 8) out.displacementHigh = read32(bytes, at + 4);
      return at + out.addressSize;
    case IMMEDIATE.wordByte:
      if (at + 3 > limit) return -1;
      out.immLow = read16(bytes, at);
      out.imm2 = bytes[at + 2] as number;
      return at + 3;
    default: {
      const width = operandSize === 2 ? 2 : 4;
      if (at + width + 2 > limit) return -1;
      out.immLow = width === 2 ? read16(bytes, at) : read32(bytes, at);
      out.imm2 = read16(bytes, at + width);
      return at + width + 2;
    }
  }
}

function setSigned(value: number, at: number, out: Instruction): number {
  out.immLow = value;
  out.immHigh = value >> 31;
  return at;
}

/** What follows the address of a row's instructions: nothing, a number that is extended with zeros or its sign, or something else. */
export function immediateKind(id: number): "none" | "unsigned" | "signed" | "other" {
  switch ((rowBits[id] >> IMMEDIATE_SHIFT) & 15) {
    case IMMEDIATE.none:
      return "none";
    case IMMEDIATE.byte:
    case IMMEDIATE.word:
      return "unsigned";
    case IMMEDIATE.signedByte:
    case IMMEDIATE.sized:
    case IMMEDIATE.full:
      return "signed";
    default:
      return "other";
  }
}

/** Bytes of the number that follows the address of an instruction: 0 where there is none, or something else. */
export function immediateBytes({ id, operandSize }: Instruction): number {
  switch ((rowBits[id] >> IMMEDIATE_SHIFT) & 15) {
    case IMMEDIATE.byte:
    case IMMEDIATE.signedByte:
      return 1;
    case IMMEDIATE.word:
      return 2;
    case IMMEDIATE.sized:
      return operandSize === 2 ? 2 : 4;
    case IMMEDIATE.full:
      return operandSize;
    default:
      return 0;
  }
}
