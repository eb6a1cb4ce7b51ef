/**
 * memvisor as an executor: the translating engine runs each case in user mode of a little guest (guest.ts).
 *
 * Engine, guest and vCPU are made once. Between cases the record is written anew, the pages are taken back to their
 * pattern and the code pages are invalidated, so that every case is lifted again; TLBs, the jump cache and the block
 * cache go on, as they do in a real guest.
 */
import { type Gpa, gfnOf, pageSize } from "#address";
import { type EngineHost, TranslatingEngine, type VmExit } from "#engine";
import type { Passes } from "#jit";
import { AddressSpace, Arena, entryFlags } from "#memory";
import { at, Event, vcpuRecordBytes } from "#vcpu";
import { DECODED, DF, decode, exceptionAt, Instruction, STATUS_FLAGS, TF } from "#x86";
import {
  codeBase,
  codeFiller,
  codeSize,
  dataOffset,
  dataPages,
  type EndState,
  type Executor,
  type MemoryRun,
  type OracleCase,
  pagePattern,
  type Stop,
  stopOf,
} from "./case.ts";
import { codeGpa, dataGpa, furnish, guestBytes, handlerBytes, system } from "./guest.ts";

/** A case that has retired so many instructions, or given way so often, runs for ever. */
const instructionLimit = 200_000n;
const runLimit = 4096;
const xmmBytes = 16 * 16;

export interface MemvisorOptions {
  readonly name: string;
  readonly runtimeWasm: Uint8Array<ArrayBuffer>;
  /** Entries of a block before it is compiled; absent: everything is interpreted. */
  readonly hotThreshold?: number;
  readonly passes?: Passes;
  /** Of the engine. */
  readonly loadsAllNumbers?: boolean;
}

const formName = (mnemonic: string, code: string): string => `${mnemonic} (${code})`;

/** The machine around the vCPU: nothing that the cases' code reaches. */
function bareHost(missing: Set<string>): EngineHost {
  return {
    readMmio: () => 0,
    writeMmio: () => {},
    readPort: () => 0,
    writePort: () => {},
    readMsr: () => undefined,
    writeMsr: () => false,
    cpuid: () => [0, 0, 0, 0],
    readTsc: () => 0n,
    random64: () => 0n,
    writeCr8: () => {},
    tscChanged: () => {},
    interruptPending: () => false,
    initialized: () => {},
    acknowledgeInterrupt: () => -1,
    missingInstruction: (mnemonic, code) => missing.add(formName(mnemonic, code)),
    notCompiled: (why) => {
      throw new Error(why);
    },
  };
}

const hasErrorCode = (vector: number): boolean => exceptionAt(vector)?.errorCode === true;

export class Memvisor implements Executor {
  readonly name: string;
  /** Forms met that no rule lifts. */
  readonly #missing = new Set<string>();
  readonly #instruction = new Instruction();
  readonly engine: TranslatingEngine;
  readonly #arena = new Arena();
  readonly #vcpu;
  /** Arena addresses of the pages, and views of them. */
  readonly #data: readonly Uint8Array[];
  readonly #code: readonly Uint8Array[];
  readonly #codeFrames: readonly number[];
  readonly #stackEnd: number;
  /** The record that a case starts with, by code size; patched for each case. */
  readonly #record = { 64: new Uint8Array(vcpuRecordBytes), 32: new Uint8Array(vcpuRecordBytes) };
  readonly #views;
  #pattern: Uint8Array = new Uint8Array(0);
  /** All data pages as the case starts, one after the other. */
  readonly #start = new Uint8Array(dataPages.length * pageSize);

  constructor(options: MemvisorOptions) {
    this.name = options.name;
    this.engine = new TranslatingEngine({
      arena: this.#arena,
      runtimeWasm: options.runtimeWasm,
      host: bareHost(this.#missing),
      exact: true,
      catchFaults: true,
      ...(options.hotThreshold !== undefined && { hotThreshold: options.hotThreshold }),
      ...(options.passes && { passes: options.passes }),
      ...(options.loadsAllNumbers && { loadsAllNumbers: true }),
    });
    const space = new AddressSpace(this.#arena, this.engine.runtime, [{ gpa: 0 as Gpa, sizeBytes: guestBytes }]);
    furnish(space);
    this.#vcpu = this.engine.createVcpu(0, space.header);
    const frame = (gpa: number): number =>
      this.engine.runtime.frame_of(space.header, gfnOf(gpa as Gpa), entryFlags.E_ACCESSED | entryFlags.E_DIRTY) >>> 0;
    // The arena grows no more: what the guest has was all touched now, and the views stay good.
    const pages = (gpa: number, count: number): number[] =>
      Array.from({ length: count }, (_, n) => frame(gpa + n * pageSize));
    const view = (hpa: number): Uint8Array => new Uint8Array(this.#arena.memory.buffer, hpa, pageSize);
    const dataFrames = pages(dataGpa, dataPages.length);
    this.#codeFrames = pages(codeGpa, codeSize / pageSize);
    this.#stackEnd = frame(system.stackEndGpa - pageSize) + pageSize;
    this.#data = dataFrames.map(view);
    this.#code = this.#codeFrames.map(view);
    for (const code of this.#code) code.fill(codeFiller);
    for (const mode of [64, 32] as const) this.#record[mode].set(this.#makeRecord(mode));
    const viewsOf = (bytes: Uint8Array) => ({
      bytes,
      words: new Int32Array(bytes.buffer, 0, bytes.length >> 2),
      longs: new BigUint64Array(bytes.buffer, 0, bytes.length >> 3),
      halves: new Uint16Array(bytes.buffer, 0, bytes.length >> 1),
    });
    this.#views = { 64: viewsOf(this.#record[64]), 32: viewsOf(this.#record[32]) };
  }

  run(cases: readonly OracleCase[]): EndState[] {
    return cases.map((c) => this.#runCase(c));
  }

  /** The record of a vCPU in user mode with everything that no case changes. */
  #makeRecord(mode: 64 | 32): Uint8Array {
    const vcpu = this.#vcpu;
    vcpu.setU64("CR0", system.cr0);
    vcpu.setU64("CR3", system.cr3);
    vcpu.setU64("CR4", system.cr4);
    vcpu.setU64("EFER", system.efer);
    vcpu.setU64("XCR0", 3n);
    vcpu.setU32("CPL", 3);
    const code = mode === 64 ? 0xa0fb : 0xc0fb;
    const data = 0xc0f3;
    const unusable = 0x1_0000;
    for (let segment = 0; segment < 6; segment++) {
      const isNull = mode === 64 && segment !== 1 && segment !== 2;
      vcpu.setU32("SEG_SELECTOR", segment === 1 ? (mode === 64 ? 0x33 : 0x23) : isNull ? 0 : 0x2b, segment);
      vcpu.setU32("SEG_FLAGS", segment === 1 ? code : isNull ? unusable : data, segment);
      vcpu.setU32("SEG_LIMIT", isNull ? 0 : 0xffff_ffff, segment);
    }
    vcpu.setU64("GDTR_BASE", system.gdt.base);
    vcpu.setU32("GDTR_LIMIT", system.gdt.limit);
    vcpu.setU64("IDTR_BASE", system.idt.base);
    vcpu.setU32("IDTR_LIMIT", system.idt.limit);
    vcpu.setU64("TR_BASE", system.tss.base);
    vcpu.setU32("TR_LIMIT", system.tss.limit);
    vcpu.setU32("TR_SELECTOR", system.tss.selector);
    vcpu.setU32("TR_FLAGS", 0x8b);
    vcpu.setU32("LDTR_FLAGS", unusable);
    vcpu.setU64("DR", 0xffff_0ff0n, 6);
    vcpu.setU64("DR", 0x400n, 7);
    this.engine.runtime.update_mode(vcpu.vp);
    return this.#arena.u8.slice(vcpu.vp, vcpu.vp + vcpuRecordBytes);
  }

  #runCase(c: OracleCase): EndState {
    this.#writePages(c);
    this.#writeRecord(c);
    const [stop, state] = this.#execute(c);
    const noRule = stop.kind === "exception" && stop.vector === 6 ? this.#missingAt(c, state.rip) : undefined;
    const memory = this.#collect();
    this.#restorePages(c);
    return { stop, state, memory, ...(noRule !== undefined && { noRule }) };
  }

  #writePages(c: OracleCase): void {
    const pattern = pagePattern(c.pageSeed);
    if (pattern !== this.#pattern) {
      this.#pattern = pattern;
      this.#start.set(pattern);
      for (const [n, page] of this.#data.entries()) page.set(pattern.subarray(n * pageSize, (n + 1) * pageSize));
    }
    for (const { address, bytes } of c.patches) {
      const from = dataOffset(address);
      if (from < 0) continue;
      this.#start.set(bytes, from);
      this.#data[Math.floor(from / pageSize)].set(bytes, from % pageSize);
    }
    this.#eachCodePiece(c, (page, offset, from, length) => {
      page.set(c.code.subarray(from, from + length), offset);
    });
    // Also what an earlier case ran outside of its code.
    for (const frame of this.#codeFrames) this.engine.runtime.invalidate_frame(frame);
  }

  /** Undoes `writePages`. */
  #restorePages(c: OracleCase): void {
    for (const { address, bytes } of c.patches) {
      const from = dataOffset(address);
      if (from < 0) continue;
      const old = this.#pattern.subarray(from, from + bytes.length);
      this.#start.set(old, from);
      this.#data[Math.floor(from / pageSize)].set(old, from % pageSize);
    }
    this.#eachCodePiece(c, (page, offset, _, length) => {
      page.fill(codeFiller, offset, offset + length);
    });
  }

  #eachCodePiece(c: OracleCase, visit: (page: Uint8Array, offset: number, from: number, length: number) => void): void {
    const place = Number(c.start.rip) - codeBase;
    const page = Math.floor(place / pageSize);
    const offset = place % pageSize;
    const length = Math.min(c.code.length, pageSize - offset);
    visit(this.#code[page], offset, 0, length);
    if (length < c.code.length) visit(this.#code[page + 1], 0, length, c.code.length - length);
  }

  #writeRecord(c: OracleCase): void {
    const vcpu = this.#vcpu;
    const { start } = c;
    const { bytes, words, longs, halves } = this.#views[c.mode];
    longs.set(start.gpr, at.GPR >> 3);
    longs[at.RIP >> 3] = start.rip;
    longs[(at.SEG_BASE >> 3) + 4] = start.fsBase;
    longs[(at.SEG_BASE >> 3) + 5] = start.gsBase;
    words[at.CC_KIND >> 2] = 0;
    words[at.CC_A >> 2] = start.rflags & STATUS_FLAGS;
    words[at.EFLAGS >> 2] = (start.rflags & ~STATUS_FLAGS) | 0x202;
    const down = (start.rflags & DF) !== 0;
    words[at.DIRECTION >> 2] = down ? -1 : 1;
    words[(at.DIRECTION >> 2) + 1] = down ? -1 : 0;
    words[at.EVENTS >> 2] = (start.rflags & TF) !== 0 ? Event.debug : 0;
    // Generations go on: the jump cache holds what earlier cases left there.
    for (const field of ["ASID", "LAST_ASID", "GLOBAL_ASID", "WALK_GENERATION", "REGION_EPOCH", "FILL_COUNT"] as const)
      words[at[field] >> 2] = vcpu.u32(field);

    const { fx } = start;
    bytes.set(fx.subarray(160, 160 + xmmBytes), at.XMM);
    words[at.MXCSR >> 2] = fx[24] | (fx[25] << 8);
    halves[at.FCW >> 1] = fx[0] | (fx[1] << 8);
    const fsw = fx[2] | (fx[3] << 8);
    const top = (fsw >> 11) & 7;
    halves[at.FSW >> 1] = fsw & ~0x3800;
    words[at.FTOP >> 2] = top << 4;
    let tags = 0;
    for (let n = 0; n < 8; n++) {
      if ((fx[4] & (1 << n)) === 0) tags |= 3 << (2 * n);
      // The image has stack order, the record registers as they are.
      const to = at.FPR + 16 * ((top + n) & 7);
      for (let i = 0; i < 10; i++) bytes[to + i] = fx[32 + 16 * n + i];
    }
    halves[at.FTW >> 1] = tags;
    halves[at.FOP >> 1] = 0;
    this.#arena.u8.set(bytes, vcpu.vp);
  }

  #execute(c: OracleCase): [Stop, EndState["state"]] {
    const vcpu = this.#vcpu;
    let exit: VmExit | undefined;
    for (let runs = 0; runs < runLimit; runs++) {
      exit = this.engine.run(vcpu, instructionLimit);
      if (exit.reason !== "budget" || vcpu.u64("ICOUNT") >= instructionLimit) break;
    }
    const gpr = new BigUint64Array(16);
    gpr.set(this.#arena.u64.subarray((vcpu.vp + at.GPR) >> 3, ((vcpu.vp + at.GPR) >> 3) + 16));
    const state: EndState["state"] = {
      gpr,
      rip: vcpu.u64("RIP"),
      rflags: (vcpu.u32("EFLAGS") & ~STATUS_FLAGS) | this.engine.runtime.flags(vcpu.vp),
      fsBase: vcpu.u64("SEG_BASE", 4),
      gsBase: vcpu.u64("SEG_BASE", 5),
      fx: this.#readImage(),
    };
    if (exit === undefined || exit.reason === "budget") return [{ kind: "timeout" }, state];
    if (exit.reason === "shutdown") throw new Error(`case ${c.name} shuts the vCPU down`);

    const handler = state.rip - system.handlers;
    const delivered = vcpu.u32("CPL") === 0 && handler >= 0n && handler < 256n * BigInt(handlerBytes);
    let vector: number;
    let error = 0;
    let cr2 = 0n;
    if (delivered) {
      // The handler's frame, on the kernel's stack: RIP CS RFLAGS RSP SS, and the error code below them.
      vector = Math.floor(Number(handler) / handlerBytes);
      const longs = this.#arena.u64;
      const frame = this.#stackEnd >> 3;
      state.rip = longs[frame - 5];
      state.rflags = Number(longs[frame - 3]);
      state.gpr[4] = longs[frame - 2];
      if (hasErrorCode(vector)) error = Number(longs[frame - 6]);
      cr2 = vcpu.u64("CR2");
    } else if (exit.reason === "fault") {
      vector = exit.vector;
      if (hasErrorCode(vector)) error = exit.error;
      cr2 = exit.address;
    } else throw new Error(`case ${c.name} halts in user mode`);
    const [stop, rip] = stopOf(c, vector, error, cr2, state.rip);
    state.rip = rip;
    return [stop, state];
  }

  /** The form of the instruction at `rip`, where it is one that no rule lifts. */
  #missingAt(c: OracleCase, rip: bigint): string | undefined {
    if (this.#missing.size === 0) return undefined;
    const from = Number(rip - c.start.rip);
    if (from < 0 || from >= c.code.length) return undefined;
    const i = this.#instruction;
    if (decode(c.code, from, c.code.length, c.mode, i) !== DECODED) return undefined;
    const name = formName(i.row.mnemonic, i.row.code);
    return this.#missing.has(name) ? name : undefined;
  }

  /** The floating-point state as FXSAVE64 writes it. */
  #readImage(): Uint8Array {
    const fx = new Uint8Array(512);
    const u8 = this.#arena.u8;
    const { vp } = this.#vcpu;
    for (let i = 0; i < 4; i++) fx[i] = u8[vp + at.FCW + i];
    fx[24] = u8[vp + at.MXCSR];
    fx[25] = u8[vp + at.MXCSR + 1];
    const top = this.#vcpu.u32("FTOP") >> 4;
    fx[3] |= top << 3;
    const tags = u8[vp + at.FTW] | (u8[vp + at.FTW + 1] << 8);
    for (let n = 0; n < 8; n++) {
      if (((tags >> (2 * n)) & 3) !== 3) fx[4] |= 1 << n;
      const from = vp + at.FPR + 16 * ((top + n) & 7);
      for (let i = 0; i < 10; i++) fx[32 + 16 * n + i] = u8[from + i];
    }
    fx.set(u8.subarray(vp + at.XMM, vp + at.XMM + xmmBytes), 160);
    return fx;
  }

  /** Runs of bytes that differ from the start, which they get back. */
  #collect(): MemoryRun[] {
    const runs: MemoryRun[] = [];
    for (const [n, { address, writable }] of dataPages.entries()) {
      const page = this.#data[n];
      const base = n * pageSize;
      const before = this.#start.subarray(base, base + pageSize);
      if (!writable || Buffer.compare(before, page) === 0) continue;
      for (let i = 0; i < pageSize; i++) {
        if (page[i] === before[i]) continue;
        let stop = i + 1;
        while (stop < pageSize && page[stop] !== before[stop]) stop++;
        const last = runs.at(-1);
        if (last && last.address + last.bytes.length === address + i) {
          const bytes = new Uint8Array(last.bytes.length + stop - i);
          bytes.set(last.bytes);
          bytes.set(page.subarray(i, stop), last.bytes.length);
          last.bytes = bytes;
        } else runs.push({ address: address + i, bytes: new Uint8Array(page.subarray(i, stop)) });
        page.set(before.subarray(i, stop), i);
        i = stop - 1;
      }
    }
    return runs;
  }
}
