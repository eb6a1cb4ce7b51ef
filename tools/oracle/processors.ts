/** Where two processors end a case in different ways and both are right: what the manuals leave to a processor, and what only some have. */
import { DECODED, decode, Instruction, RDI, RSI, ripBase } from "#x86";
import { type CpuState, dataOffset, type EndState, type Mode, type OracleCase, startData } from "./case.ts";

/** Segments by number. */
const ES = 0;
const FS = 4;
const GS = 5;

const page = 14;
const general = 13;
const stack = 12;

/** The linear address of the memory operand. */
export function effectiveAddress(state: CpuState, i: Instruction, mode: Mode): bigint {
  let address = BigInt(i.displacement);
  if (i.base === ripBase) address += state.rip + BigInt(i.length);
  else if (i.base >= 0) address += state.gpr[i.base];
  if (i.index >= 0) address += state.gpr[i.index] << BigInt(i.scale);
  return BigInt.asUintN(mode, linearAddress(state, i, i.segment, address));
}

/** Not cut off at the top. */
function linearAddress({ fsBase, gsBase }: CpuState, i: Instruction, segment: number, offset: bigint): bigint {
  const base = segment === FS ? fsBase : segment === GS ? gsBase : 0n;
  return base + BigInt.asUintN(i.addressSize * 8, offset);
}

/** The instruction of a case at RIP, if it is in its code. */
function instructionAt(c: OracleCase, rip: bigint): Instruction | undefined {
  const at = Number(rip - c.start.rip);
  const i = new Instruction();
  const isCode = at >= 0 && at < c.code.length && decode(c.code, at, c.code.length, c.mode, i) === DECODED;
  return isCode ? i : undefined;
}

/**
 * Whether both ends are the same CMPS, of which one says that its source cannot be read and the other that its destination cannot. Which one a
 * processor reports where neither can is its own: Zen 4 the destination, but for REPE CMPSB, Zen 5 the source.
 */
export function areOperandsOfCmps(c: OracleCase, expected: EndState, actual: EndState): boolean {
  const { rip, gpr } = expected.state;
  const i = instructionAt(c, rip);
  if (rip !== actual.state.rip || i?.row.mnemonic !== "cmps") return false;
  const source = linearAddress(expected.state, i, i.segment, gpr[RSI]);
  const destination = linearAddress(expected.state, i, ES, gpr[RDI]);
  const last = BigInt(i.operandSize - 1);
  const isOf = ({ stop }: EndState, first: bigint): boolean => {
    if (stop.kind !== "exception") return false;
    if (stop.vector === page) return BigInt.asUintN(c.mode, stop.cr2 - first) <= last;
    // Of 32-bit segments nobody says here what they may hold.
    const isOutside = c.mode === 32 || !(isCanonical(first) && isCanonical(first + last));
    return isOutside && (stop.vector === stack || stop.vector === general);
  };
  return (isOf(expected, source) && isOf(actual, destination)) || (isOf(expected, destination) && isOf(actual, source));
}

const isCanonical = (address: bigint): boolean => BigInt.asIntN(48, address) === BigInt.asIntN(64, address);

/** Where XRSTOR's header names the components that it loads, and where FXRSTOR and XRSTOR load MXCSR from. */
const componentsAt = 512n;
const mxcsrAt = 24n;
/** x87 and SSE. */
const ownComponents = 3n;
/** MXCSR's MM, its only bit beyond FFFF: AMD's. (AMD64 APM 1, "MXCSR Register".) */
const misalignedMask = 2n;

/**
 * Whether memvisor's end is #GP for what it does not have and some processors do: components of the extended state that XRSTOR is to load, or
 * MXCSR.MM.
 */
export function isRefusedForLack(c: OracleCase, { stop, state, memory }: EndState): boolean {
  if (stop.kind !== "exception" || stop.vector !== general) return false;
  const i = instructionAt(c, state.rip);
  if (i === undefined || !["ldmxcsr", "fxrstor", "xrstor"].includes(i.row.mnemonic)) return false;
  // Eight bytes are read of whatever is there.
  const data = Buffer.concat([startData(c), new Uint8Array(8)]);
  for (const { address, bytes } of memory) data.set(bytes, dataOffset(address));
  const operand = effectiveAddress(state, i, c.mode);
  const read = (from: bigint, bytes: number): bigint => {
    const at = dataOffset(Number(from));
    return at < 0 ? 0n : data.readBigUInt64LE(at) & ((1n << BigInt(8 * bytes)) - 1n);
  };
  if (i.row.mnemonic === "xrstor" && (read(operand + componentsAt, 8) & ~ownComponents) !== 0n) return true;
  return read(i.row.mnemonic === "ldmxcsr" ? operand : operand + mxcsrAt, 4) >> 16n === misalignedMask;
}
