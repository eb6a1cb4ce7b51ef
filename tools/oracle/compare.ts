/**
 * What differs between two end states, and what may.
 *
 * Masks come from the instruction rows: flags that are undefined where the case stopped. Three further things may
 * differ, each by what the manuals say: approximations within their error bound, the x87 instruction and data pointers
 * in saved images, and what the host's kernel hides of faults in its half of the address space. And what processors have of
 * their own (processors.ts).
 */
import { AC, DECODED, DF, decode, ID, Instruction, NT, printFlags, STATUS_FLAGS, TF } from "#x86";
import {
  changedRuns,
  dataOffset,
  type EndState,
  joinRuns,
  type MemoryRun,
  type OracleCase,
  startData,
} from "./case.ts";
import { fields, fsw, mxcsr } from "./fields.ts";
import { undefinedAt } from "./flags.ts";
import { approximate } from "./forms.ts";
import { areOperandsOfCmps, effectiveAddress, isRefusedForLack } from "./processors.ts";
import { printStop } from "./text.ts";

export interface Masks {
  /** Flags that may have any value. */
  readonly undefinedFlags: number;
  /** Bytes of memory that may have any value. */
  readonly memory: readonly { address: number; length: number }[];
  /** Registers of approximations: equal within a bound. */
  readonly approximate: "no" | "float32" | "extended";
}

export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

const comparedFlags = STATUS_FLAGS | DF | ID | AC | NT | TF;
/** C1 says which way a result was rounded: not of an approximation. (C0, C2, C3 are left alone by what defines none.) */
const x87RoundedUp = 0x200n;

/** Where x87 pointers and reserved bytes lie in what an instruction stores: offset, length. */
function volatileBytes(i: Instruction): readonly (readonly [number, number])[] {
  const wide = i.operandSize === 2 ? 2 : 4;
  switch (i.row.mnemonic) {
    case "fxsave":
    case "xsave":
      // FOP, FIP, FDP; MXCSR_MASK; what software may use and processors leave.
      return [
        [6, 18],
        [28, 4],
        [416, 96],
      ];
    case "fnstenv":
    case "fnsave":
      // In 32-bit layouts the upper halves of the words are reserved.
      return [
        [3 * wide, 4 * wide],
        ...(wide === 4
          ? ([
              [2, 2],
              [6, 2],
              [10, 2],
            ] as const)
          : []),
      ];
    default:
      return [];
  }
}

/** What may differ in this case when it stops as `expected` says. */
export function masksOf(c: OracleCase, expected: EndState): Masks {
  const first = new Instruction();
  const known = decode(c.code, 0, c.code.length, c.mode, first) === DECODED;
  const bytes = known ? volatileBytes(first) : [];
  const at = bytes.length > 0 ? Number(effectiveAddress(c.start, first, c.mode)) : 0;
  const isApproximate = known && approximate.has(first.row.mnemonic);
  return {
    undefinedFlags: undefinedAt(c, expected.state.rip),
    memory: bytes.map(([offset, length]) => ({ address: at + offset, length })),
    approximate: !isApproximate ? "no" : first.row.mnemonic.startsWith("f") ? "extended" : "float32",
  };
}

/** RCP and RSQRT: at most 1.5 * 2^-12 off, so two of them at most twice that from each other. */
function closeFloats(a: bigint, b: bigint): boolean {
  const lanes = new DataView(new ArrayBuffer(8));
  for (let shift = 0n; shift < 128n; shift += 32n) {
    const [x, y] = [(a >> shift) & 0xffff_ffffn, (b >> shift) & 0xffff_ffffn];
    if (x === y) continue;
    lanes.setUint32(0, Number(x));
    lanes.setUint32(4, Number(y));
    const [fx, fy] = [lanes.getFloat32(0), lanes.getFloat32(4)];
    if (!(Math.abs(fx - fy) <= 3 * 2 ** -12 * Math.abs(fx))) return false;
  }
  return true;
}

/** Neighbours as 80-bit reals: the results of transcendental instructions. */
function closeExtended(a: bigint, b: bigint): boolean {
  const linear = (v: bigint): bigint => ((v >> 64n) & 0x7fffn) * (1n << 63n) + (v & ((1n << 63n) - 1n));
  if (a >> 79n !== b >> 79n) return false;
  const distance = linear(a) - linear(b);
  return distance >= -1n && distance <= 1n;
}

function sameMemory(expected: readonly MemoryRun[], actual: readonly MemoryRun[]): boolean {
  if (expected.length !== actual.length) return false;
  return expected.every(
    (run, n) => run.address === actual[n].address && Buffer.compare(run.bytes, actual[n].bytes) === 0,
  );
}

/** Contents after: the start with the runs over it, and nothing where the mask lies. */
function memoryAfter(c: OracleCase, runs: readonly MemoryRun[], masks: Masks): Uint8Array {
  const data = startData(c);
  for (const { address, bytes } of runs) {
    const at = dataOffset(address);
    if (at >= 0) for (const [i, byte] of bytes.entries()) data[dataOffset(address + i)] = byte;
  }
  for (const { address, length } of masks.memory) {
    for (let i = 0; i < length; i++) if (dataOffset(address + i) >= 0) data[dataOffset(address + i)] = 0;
  }
  return data;
}

function compareMemory(c: OracleCase, expected: EndState, actual: EndState, masks: Masks): Difference[] {
  if (sameMemory(expected.memory, actual.memory)) return [];
  const [before, after] = [memoryAfter(c, expected.memory, masks), memoryAfter(c, actual.memory, masks)];
  const hex = (data: Uint8Array, run: MemoryRun): string =>
    Buffer.from(run.bytes.map((_, i) => data[dataOffset(run.address + i)])).toString("hex");
  return joinRuns(changedRuns(before, after)).map((run) => ({
    what: `memory ${run.address.toString(16)}`,
    expected: hex(before, run),
    actual: hex(after, run),
  }));
}

/** The kernel's half begins for it with the last page of ours (TASK_SIZE_MAX). */
const kernelHalf = (1n << 47n) - 4096n;

function compareStops(expected: EndState, actual: EndState): Difference[] {
  const print = (end: EndState): string => {
    const words = [printStop(end.stop), `at ${end.state.rip.toString(16)}`];
    if (end.stop.kind === "exception") {
      const { vector, error, cr2 } = end.stop;
      // The kernel says "present" of all its half, so that nobody learns what is there.
      const hidden = vector === 14 && cr2 >= kernelHalf;
      words.push(`error ${(hidden ? error | 1 : error).toString(16)}`);
      if (vector === 14) words.push(`cr2 ${cr2.toString(16)}`);
    }
    return words.join(" ");
  };
  const [a, b] = [print(expected), print(actual)];
  return a === b ? [] : [{ what: "stop", expected: a, actual: b }];
}

/** All that differs and may not. Empty when the machines agree, or are right both. */
export function compareStates(
  c: OracleCase,
  expected: EndState,
  actual: EndState,
  masks = masksOf(c, expected),
): Difference[] {
  if (isRefusedForLack(c, actual)) return [];
  const stops = areOperandsOfCmps(c, expected, actual) ? [] : compareStops(expected, actual);
  const differences = [...stops, ...compareMemory(c, expected, actual, masks)];
  for (const [n, field] of fields.entries()) {
    let [a, b] = [field.read(expected.state), field.read(actual.state)];
    if (a === b) continue;
    if (n < 16 && c.mode === 32) {
      if (n >= 8) continue;
      [a, b] = [BigInt.asUintN(32, a), BigInt.asUintN(32, b)];
    } else if (field.name === "flags") {
      const mask = comparedFlags & ~masks.undefinedFlags;
      [a, b] = [a & BigInt(mask), b & BigInt(mask)];
    } else if (field === fsw && masks.approximate === "extended") {
      [a, b] = [a & ~x87RoundedUp, b & ~x87RoundedUp];
    } else if (field === mxcsr) [a, b] = [a & 0xffffn, b & 0xffffn];
    else if (masks.approximate === "float32" && field.name.startsWith("xmm") && closeFloats(a, b)) continue;
    else if (masks.approximate === "extended" && /^st/.test(field.name) && closeExtended(a, b)) continue;
    if (a === b) continue;
    const print = (value: bigint): string =>
      field.name === "flags" ? `${value.toString(16)} (${printFlags(Number(value))})` : value.toString(16);
    differences.push({ what: field.name, expected: print(a), actual: print(b) });
  }
  return differences;
}

/** True when nothing needs a closer look: the quick way past most cases. */
export function areEqual(expected: EndState, actual: EndState): boolean {
  const [a, b] = [expected.state, actual.state];
  if (expected.stop.kind !== actual.stop.kind || a.rip !== b.rip || a.fsBase !== b.fsBase || a.gsBase !== b.gsBase)
    return false;
  if (expected.stop.kind === "exception" && compareStops(expected, actual).length > 0) return false;
  if (((a.rflags ^ b.rflags) & comparedFlags) !== 0) return false;
  for (let i = 0; i < 16; i++) if (a.gpr[i] !== b.gpr[i]) return false;
  return compareImages(a.fx, b.fx) && sameMemory(expected.memory, actual.memory);
}

function compareImages(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 416; i++) {
    if (a[i] !== b[i] && !(i >= 5 && i < 24) && !(i >= 26 && i < 32) && !(i >= 32 && i < 160 && i % 16 >= 10))
      return false;
  }
  return true;
}
