/**
 * A little world for privileged code: page tables, GDT, IDT and TSS, and handlers that halt, so that a test reads off
 * where delivery went and what it pushed.
 *
 *   0x01000 page tables     0x10000 + 16 n: handler of vector n, HLT        0x80000 user code, up to 0x90000 its stack
 *   0x05000 GDT             0x14000 target of the call gate, HLT            0xa0000 user data
 *   0x06000 IDT             0x20000 ring 0 stack, down from here            0x1fd000 not present
 *   0x07000 TSS             0x28000 interrupt stack 1                       0x1fe000 user, read-only
 *   0x30000 system code     0x2c000 interrupt stack 2                       0x1ff000 user, not executable
 */
import { gpa } from "#address";
import { type EngineHost, TranslatingEngine, type VmExit } from "#engine";
import { AddressSpace, Arena } from "#memory";
import { Event, enterLongMode, type Vcpu } from "#vcpu";
import { runtimeWasm } from "../guest-code.ts";

export const kernelCode = 0x30000;
export const userCode = 0x80000;
export const userStack = 0x90000;
export const userData = 0xa0000;
export const ring0Stack = 0x20000;
export const stack1 = 0x28000;
export const notPresent = 0x1fd000;
export const readOnly = 0x1fe000;
export const noExecute = 0x1ff000;
export const selector = {
  code: 0x08,
  data: 0x10,
  user32: 0x1b,
  userData: 0x23,
  user64: 0x2b,
  tss: 0x30,
  gate: 0x43,
  absent: 0x53,
  data2: 0x58,
};

const tables = 0x1000;
const gdt = 0x5000;
const idt = 0x6000;
const tss = 0x7000;
export const ioBitmap = tss + 0x68;
const handlers = 0x10000;

const hexBytes = (text: string): Uint8Array =>
  Uint8Array.from(text.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));

export interface Outcome {
  readonly exit: VmExit["reason"];
  /** Where a handler halted: its vector; -1 elsewhere. */
  readonly vector: number;
  readonly rip: number;
  readonly cpl: number;
  /** 64-bit words at rSP, from the top. */
  readonly stack: readonly number[];
}

export class World {
  readonly vcpu: Vcpu;
  readonly ports: string[] = [];
  readonly msrs = new Map<number, bigint>();
  pending = -1;
  readonly #engine: TranslatingEngine;
  readonly #space: AddressSpace;

  /** `around`: what the world's host does otherwise. */
  constructor(around: Partial<EngineHost> = {}) {
    const arena = new Arena();
    this.#engine = new TranslatingEngine({
      arena,
      runtimeWasm: runtimeWasm(),
      host: { ...this.#host(), ...around },
      exact: true,
    });
    this.#space = new AddressSpace(arena, this.#engine.runtime, [{ gpa: gpa(0), sizeBytes: 4 << 20 }]);
    this.vcpu = this.#engine.createVcpu(0, this.#space.header);
    this.#buildTables();
    enterLongMode(this.vcpu, {
      entry: kernelCode,
      rsi: 0,
      rsp: ring0Stack,
      rflags: 2,
      cr0: 0x80050033,
      cr3: tables,
      cr4: 0x100620,
      efer: 0xd01,
      gdtBase: gdt,
      gdtLimit: 0x5f,
      cs: selector.code,
      ds: selector.data,
    });
    this.vcpu.setU64("IDTR_BASE", BigInt(idt));
    this.vcpu.setU32("IDTR_LIMIT", 0xfff);
    this.vcpu.setU64("TR_BASE", BigInt(tss));
    this.vcpu.setU32("TR_LIMIT", 0x2067);
    this.vcpu.setU32("TR_SELECTOR", selector.tss);
    this.#engine.runtime.update_mode(this.vcpu.vp);
  }

  get memory(): AddressSpace {
    return this.#space;
  }
  write(at: number, bytes: Uint8Array): void {
    this.#space.write(gpa(at), bytes);
  }
  writeWords(at: number, ...words: (number | bigint)[]): void {
    this.write(at, new Uint8Array(new BigUint64Array(words.map((word) => BigInt.asUintN(64, BigInt(word)))).buffer));
  }
  word(at: number): bigint {
    const bytes = new Uint8Array(8);
    this.#space.read(gpa(at), bytes);
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }
  /** Makes the page-table entry of a page of the lower 2 MiB; the TLB does not hear of it. */
  map(page: number, entry: number | bigint): void {
    this.writeWords(tables + 0x3000 + (page >> 12) * 8, entry);
  }
  /** An interrupt gate, or a trap gate (type 15). */
  gate(
    vector: number,
    { dpl = 0, ist = 0, type = 14, code = selector.code, present = true, offset = handlers + vector * 16 } = {},
  ): void {
    const low =
      BigInt(offset & 0xffff) |
      (BigInt(code) << 16n) |
      (BigInt(ist) << 32n) |
      (BigInt(type | (dpl << 5) | (present ? 0x80 : 0)) << 40n) |
      (BigInt(offset >>> 16) << 48n);
    this.writeWords(idt + vector * 16, low, 0);
  }

  /** Runs code (bytes in hex) at its level until something halts. */
  system(code: string, instructions = 10_000): Outcome {
    this.#enter(kernelCode, ring0Stack, 0, selector.code, 0xa09b, selector.data, 0xc093);
    this.write(kernelCode, hexBytes(code));
    return this.go(instructions);
  }
  user(code: string, instructions = 10_000): Outcome {
    this.#enter(userCode, userStack, 3, selector.user64, 0xa0fb, selector.userData, 0xc0f3);
    this.write(userCode, hexBytes(code));
    return this.go(instructions);
  }
  user32(code: string, instructions = 10_000): Outcome {
    this.#enter(userCode, userStack, 3, selector.user32, 0xc0fb, selector.userData, 0xc0f3);
    this.write(userCode, hexBytes(code));
    return this.go(instructions);
  }

  go(instructions = 10_000): Outcome {
    const vcpu = this.vcpu;
    this.#engine.runtime.update_mode(vcpu.vp);
    const end = vcpu.u64("ICOUNT") + BigInt(instructions);
    let exit = this.#engine.run(vcpu, end);
    while (exit.reason === "budget" && vcpu.u64("ICOUNT") < end) exit = this.#engine.run(vcpu, end);
    const rip = Number(vcpu.u64("RIP"));
    const inHandler = exit.reason === "halt" && rip > handlers && rip < handlers + 0x1000 && (rip & 15) === 1;
    const rsp = Number(vcpu.register(4));
    const stack = exit.reason === "halt" ? Array.from({ length: 6 }, (_, n) => Number(this.word(rsp + n * 8))) : [];
    return { exit: exit.reason, vector: inHandler ? (rip - handlers) >> 4 : -1, rip, cpl: vcpu.u32("CPL"), stack };
  }

  interrupt(vector: number): void {
    this.pending = vector;
    this.vcpu.raiseEvent(Event.interrupt);
  }

  #enter(rip: number, rsp: number, cpl: number, cs: number, csFlags: number, data: number, dataFlags: number): void {
    const vcpu = this.vcpu;
    vcpu.setU32("HALTED", 0);
    vcpu.setU64("RIP", BigInt(rip));
    vcpu.setRegister(4, BigInt(rsp));
    vcpu.setU32("CPL", cpl);
    for (const segment of [0, 1, 2, 3]) {
      vcpu.setU32("SEG_SELECTOR", segment === 1 ? cs : data, segment);
      vcpu.setU32("SEG_FLAGS", segment === 1 ? csFlags : dataFlags, segment);
    }
  }

  #buildTables(): void {
    this.writeWords(tables, (tables + 0x1000) | 7);
    this.writeWords(tables + 0x1000, (tables + 0x2000) | 7);
    this.writeWords(tables + 0x2000, (tables + 0x3000) | 7);
    for (let page = 0; page < 512; page++) this.map(page << 12, (page << 12) | (page << 12 >= userCode ? 7 : 3));
    this.map(notPresent, 0);
    this.map(readOnly, readOnly | 5);
    this.map(noExecute, BigInt(noExecute | 7) | (1n << 63n));
    this.writeWords(
      gdt,
      0,
      0x00af9b000000ffffn,
      0x00cf93000000ffffn,
      0x00cffb000000ffffn,
      0x00cff3000000ffffn,
      0x00affb000000ffffn,
    );
    this.writeWords(gdt + selector.tss, 0x0000_8b00_7000_2067n, 0n);
    // A call gate of level 3 to 0x14000, a data segment that is not there, one of ring 0 that was never accessed.
    this.writeWords(gdt + 0x40, 0x0001_ec00_0008_4000n, 0n, 0x00cf_7300_0000_ffffn, 0x00cf_9200_0000_ffffn);
    for (let vector = 0; vector < 256; vector++) {
      this.gate(vector);
      this.write(handlers + vector * 16, Uint8Array.of(0xf4));
    }
    this.write(0x14000, Uint8Array.of(0xf4));
    // The words of the TSS lie four bytes off.
    const record = new DataView(new ArrayBuffer(0x68));
    record.setBigUint64(4, BigInt(ring0Stack), true);
    record.setBigUint64(0x24, BigInt(stack1), true);
    record.setBigUint64(0x2c, 0x2c000n, true);
    record.setUint16(0x66, 0x68, true);
    this.write(tss, new Uint8Array(record.buffer));
    this.write(ioBitmap, new Uint8Array(0x2000).fill(0xff));
  }

  #host(): EngineHost {
    return {
      readMmio: () => 0,
      writeMmio: () => {},
      readPort: (port, size) => {
        this.ports.push(`in ${port.toString(16)} ${size}`);
        return 0x12345678;
      },
      writePort: (port, size, value) => {
        this.ports.push(`out ${port.toString(16)} ${size} ${value.toString(16)}`);
      },
      readMsr: (index) => this.msrs.get(index),
      writeMsr: (index, value) => this.msrs.has(index) && this.msrs.set(index, value) !== undefined,
      cpuid: (leaf) => [leaf, 2, 3, 4],
      readTsc: () => 0x1_0000_0002n,
      random64: () => 0x1122334455667788n,
      writeCr8: () => {},
      tscChanged: () => {},
      interruptPending: () => this.pending >= 0,
      initialized: () => {},
      acknowledgeInterrupt: () => {
        const vector = this.pending;
        this.pending = -1;
        return vector;
      },
      missingInstruction: () => {},
      notCompiled: (why) => {
        throw new Error(why);
      },
    };
  }
}
