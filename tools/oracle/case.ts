/**
 * One case of the oracle: code bytes and a start state; and what became of it: an end state.
 *
 * Everything is plain data. Memory is the same in every case: the pages of `dataPages` and `codePages`, all else
 * unmapped. A data page starts from a pattern (`pageSeed`) with the case's patches over it. Code pages hold int3
 * around the code, so a case ends by running into an int3 outside of its own bytes (`end`), by an exception, or, when
 * it runs too long, by `timeout`.
 *
 * Executors set segments as Linux user mode has them (CS 33, SS 2B, others null in 64-bit code; CS 23 and the rest 2B
 * in 32-bit code), FS and GS bases of their own after that, CPL 3, IOPL 0, IF set, and in the control registers: CR0 NE
 * and WP without AM, CR4 OSFXSR OSXMMEXCPT OSXSAVE FSGSBASE UMIP SMEP SMAP, EFER NXE. Text form: text.ts. Comparison: compare.ts.
 */

export type Mode = 64 | 32;

export interface CpuState {
  /** RAX RCX RDX RBX RSP RBP RSI RDI R8..R15. */
  gpr: BigUint64Array;
  rip: bigint;
  /** Status flags, DF and ID; other bits as they come. */
  rflags: number;
  fsBase: bigint;
  gsBase: bigint;
  /** x87, MMX, XMM and MXCSR as FXSAVE64 writes them, 512 bytes. */
  fx: Uint8Array;
}

export interface MemoryRun {
  address: number;
  bytes: Uint8Array;
}

export interface OracleCase {
  name: string;
  mode: Mode;
  code: Uint8Array;
  start: CpuState;
  pageSeed: number;
  patches: MemoryRun[];
}

export type Stop =
  /** Ran past its last byte (or jumped to int3 outside of the code); RIP is the address of that int3. */
  | { kind: "end" }
  /** An exception with its error code (0 where it has none); `cr2` counts for a page fault alone. */
  | { kind: "exception"; vector: number; error: number; cr2: bigint }
  | { kind: "timeout" };

export interface EndState {
  stop: Stop;
  state: CpuState;
  /** Maximal runs of bytes that differ from the start, ascending. */
  memory: MemoryRun[];
  /** The form at which memvisor stopped because it does not have it yet. */
  noRule?: string;
}

/** Whoever can run cases: the real CPU, or one of memvisor's ways of running code. */
export interface Executor {
  readonly name: string;
  run(cases: readonly OracleCase[]): Promise<EndState[]> | EndState[];
  close?(): void;
}

export const pageSize = 4096;

export const dataPages = [
  { address: 0x1000_0000, writable: true },
  { address: 0x1000_1000, writable: true },
  { address: 0x1000_2000, writable: false },
  { address: 0x1000_4000, writable: true },
] as const;

/**
 * Segment descriptors that user mode can see, by GDT index: 32-bit code, data, 64-bit code, as Linux has them. All
 * other entries are empty or of the kernel: loading one is #GP with the selector as error code.
 */
export const userDescriptors = [
  { index: 4, descriptor: 0x00cf_fb00_0000_ffffn },
  { index: 5, descriptor: 0x00cf_f300_0000_ffffn },
  { index: 6, descriptor: 0x00af_fb00_0000_ffffn },
  /** Its limit is the number of the CPU. */
  { index: 15, descriptor: 0x0040_f500_0000_0000n },
] as const;

/** Readable and executable, one after the other. */
export const codeBase = 0x2000_0000;
export const codeSize = 2 * pageSize;
export const codeFiller = 0xcc;

export const gprNames = [
  ...["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"],
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
] as const;

/** The state of a process that has done nothing: all zero, FCW 037F, MXCSR 1F80. */
export function emptyState(): CpuState {
  const fx = new Uint8Array(512);
  const view = new DataView(fx.buffer);
  view.setUint16(0, 0x37f, true);
  view.setUint32(24, 0x1f80, true);
  return { gpr: new BigUint64Array(16), rip: BigInt(codeBase), rflags: 0x202, fsBase: 0n, gsBase: 0n, fx };
}

export function copyState(state: CpuState): CpuState {
  return { ...state, gpr: state.gpr.slice(), fx: state.fx.slice() };
}

export function copyCase(c: OracleCase): OracleCase {
  const patches = c.patches.map((p) => ({ address: p.address, bytes: p.bytes.slice() }));
  return { ...c, code: c.code.slice(), start: copyState(c.start), patches };
}

let patternSeed = -1;
let pattern = new Uint8Array(0);

/** The bytes of all data pages, in the order of `dataPages`, before any patch. The harness has the same function. */
export function pagePattern(seed: number): Uint8Array {
  if (seed === patternSeed) return pattern;
  const words = new Uint32Array((dataPages.length * pageSize) / 4);
  let x = seed | 0 || 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  patternSeed = seed;
  pattern = new Uint8Array(words.buffer);
  return pattern;
}

/** Where an address lies in the bytes of `startData`, or -1 outside of all data pages. */
export function dataOffset(address: number): number {
  const page = dataPages.findIndex((p) => address >= p.address && address < p.address + pageSize);
  return page < 0 ? -1 : page * pageSize + address - dataPages[page].address;
}

/** All data pages as the case starts, one after the other in the order of `dataPages`. */
export function startData(c: OracleCase): Uint8Array {
  const data = pagePattern(c.pageSeed).slice();
  for (const { address, bytes } of c.patches) {
    const at = dataOffset(address);
    if (at >= 0) data.set(bytes, at);
  }
  return data;
}

/** The `memory` of an end state, from all data pages before and after. */
export function changedRuns(before: Uint8Array, after: Uint8Array): MemoryRun[] {
  const runs: MemoryRun[] = [];
  for (let i = 0; i < before.length; i++) {
    if (before[i] === after[i]) continue;
    let stop = i + 1;
    while (stop < before.length && before[stop] !== after[stop] && stop % pageSize !== 0) stop++;
    runs.push({ address: dataPages[Math.floor(i / pageSize)].address + (i % pageSize), bytes: after.slice(i, stop) });
    i = stop - 1;
  }
  return joinRuns(runs);
}

/** Runs that touch each other made one. */
export function joinRuns(runs: MemoryRun[]): MemoryRun[] {
  const joined: MemoryRun[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last && last.address + last.bytes.length === run.address) {
      const bytes = new Uint8Array(last.bytes.length + run.bytes.length);
      bytes.set(last.bytes);
      bytes.set(run.bytes, last.bytes.length);
      last.bytes = bytes;
    } else joined.push({ ...run });
  }
  return joined;
}

/**
 * The stop that an exception means: #BP just behind a filler byte is the case's end. `rip` is the saved one; gives the
 * RIP to report, too.
 */
export function stopOf(c: OracleCase, vector: number, error: number, cr2: bigint, rip: bigint): [Stop, bigint] {
  if (vector === 3) {
    const at = rip - 1n;
    if (at < c.start.rip || at >= c.start.rip + BigInt(c.code.length)) return [{ kind: "end" }, at];
  }
  return [{ kind: "exception", vector, error, cr2: vector === 14 ? cr2 : 0n }, rip];
}
