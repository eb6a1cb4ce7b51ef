/**
 * Events of a running vCPU as lines of text (`--trace`). Each begins with the number of instructions retired:
 *
 *     1042  0010:ffffffff81000040  mov %rsp,%rbp               rbp=ffffffff82a03f50
 *     1043  block ffffffff81000060 kernel
 *     1043  exception #PF error 0x2 at ffffffff81000060, address 0xffff888003800000
 *     1050  interrupt 0xec at ffffffff81000071
 *     1061  out 0x3f8 size 1: 0x41
 *     1070  wrmsr LSTAR (0xc0000082): 0xffffffff82000080
 *
 * Instructions and blocks are shown by running one instruction after the other; that changes nothing for the guest but,
 * with a clock on the wall, how long things take. Where no trace is asked for there is no tracer, and nothing is paid.
 */
import type { EngineHost, EngineObserver } from "#engine";
import { Mode, type Vcpu } from "#vcpu";
import {
  DECODED,
  decode,
  disassemble,
  exceptionAt,
  GPR64,
  Instruction,
  maxInstructionLength,
  printFlags,
  printMsr,
  TRUNCATED,
} from "#x86";
import type { TraceEvent, TraceOptions } from "./machine-host.ts";

/** What the tracer asks of the runtime. */
export interface TraceSource {
  flags(vp: number): number;
  linear_rip(vp: number): bigint;
  fetch(vp: number, va: bigint): number;
}

/** No block of translated code has as many instructions: so far ahead, one runs after the other. */
const stepsAhead = 512;
const ecx = 1;

export class Tracer implements EngineObserver {
  readonly #shown: ReadonlySet<TraceEvent>;
  readonly #from: number;
  readonly #to: number;
  readonly #report: (line: string) => void;
  readonly #instruction = new Instruction();
  readonly #before = new BigUint64Array(17);
  #source: TraceSource | undefined;
  /** The instruction that runs, as text. */
  #text = "";
  /** Where RIP stands if nothing jumps. */
  #next = -1n;

  constructor(options: TraceOptions, report: (line: string) => void) {
    this.#shown = new Set(options.events);
    this.#from = options.from ?? 0;
    this.#to = options.to ?? Number.POSITIVE_INFINITY;
    this.#report = report;
  }

  /** Requires: called before anything runs. */
  attach(source: TraceSource): void {
    this.#source = source;
  }

  /** Whether instructions run alone from here on. */
  steps(icount: bigint): boolean {
    const n = Number(icount);
    return this.#alone && n >= this.#from - stepsAhead && n < this.#to;
  }

  /** Where a slice from `icount` to `end` must end at the latest, so that no instruction is missed. */
  sliceEnd(icount: bigint, end: bigint): bigint {
    if (!this.#alone || Number(icount) >= this.#from - stepsAhead) return end;
    const stop = BigInt(this.#from - stepsAhead);
    return stop < end ? stop : end;
  }

  instruction(vcpu: Vcpu): void {
    if (!this.#alone || !this.#inWindow(vcpu)) return;
    const rip = vcpu.u64("RIP");
    if (rip !== this.#next)
      this.#tell(vcpu, "blocks", () => `block ${address(rip)} ${vcpu.u32("CPL") === 3 ? "user" : "kernel"}`);
    const text = this.#disassemble(vcpu);
    this.#next = BigInt.asUintN(64, rip + BigInt(this.#instruction.length));
    if (!this.#shown.has("instructions")) return;
    const selector = vcpu.u32("SEG_SELECTOR", 1).toString(16).padStart(4, "0");
    this.#text = `${count(vcpu)}  ${selector}:${address(rip)}  ${text}`;
    for (let n = 0; n < 16; n++) this.#before[n] = vcpu.register(n);
    this.#before[16] = BigInt(this.#flags(vcpu));
  }

  instructionDone(vcpu: Vcpu): void {
    if (this.#text === "") return;
    const changes: string[] = [];
    for (let n = 0; n < 16; n++) {
      if (vcpu.register(n) !== this.#before[n]) changes.push(`${GPR64[n]}=${vcpu.register(n).toString(16)}`);
    }
    const flags = this.#flags(vcpu);
    if (BigInt(flags) !== this.#before[16]) changes.push(`flags=${printFlags(flags)}`);
    this.#report(changes.length === 0 ? this.#text : `${this.#text.padEnd(72)}  ${changes.join(" ")}`);
    this.#text = "";
  }

  exception(vcpu: Vcpu, vector: number, error: number): void {
    this.#tell(vcpu, "exceptions", () => {
      const facts = exceptionAt(vector);
      const what = `exception ${facts === undefined ? vector : facts.name}`;
      const code = facts?.errorCode ? ` error 0x${error.toString(16)}` : "";
      const where = vector === 14 ? `, address 0x${vcpu.u64("FAULT_ADDRESS").toString(16)}` : "";
      return `${what}${code} at ${address(vcpu.u64("RIP"))}${where}`;
    });
  }

  interrupt(vcpu: Vcpu, vector: number): void {
    this.#tell(vcpu, "interrupts", () => `interrupt 0x${vector.toString(16)} at ${address(vcpu.u64("RIP"))}`);
  }

  msr(vcpu: Vcpu, write: boolean, failed: boolean): void {
    this.#tell(vcpu, "msr", () => {
      const value = (BigInt.asUintN(32, vcpu.register(2)) << 32n) | BigInt.asUintN(32, vcpu.register(0));
      const name = printMsr(Number(BigInt.asUintN(32, vcpu.register(ecx))));
      if (failed) return `${write ? "wrmsr" : "rdmsr"} ${name}: refused`;
      return `${write ? "wrmsr" : "rdmsr"} ${name}: 0x${value.toString(16)}`;
    });
  }

  /** The same host, its ports and device memory watched. */
  watch(host: EngineHost, vcpu: () => Vcpu): EngineHost {
    if (!this.#shown.has("io")) return host;
    const tell = (what: string, at: number, size: number, value: number): void =>
      this.#tell(vcpu(), "io", () => `${what} 0x${at.toString(16)} size ${size}: 0x${(value >>> 0).toString(16)}`);
    return {
      ...host,
      readPort: (port, size) => {
        const value = host.readPort(port, size);
        tell("in", port, size, value);
        return value;
      },
      writePort: (port, size, value) => {
        tell("out", port, size, value);
        host.writePort(port, size, value);
      },
      readMmio: (gpa, size) => {
        const value = host.readMmio(gpa, size);
        tell("mmio read", gpa, size, value);
        return value;
      },
      writeMmio: (gpa, size, value) => {
        tell("mmio write", gpa, size, value);
        host.writeMmio(gpa, size, value);
      },
    };
  }

  get #alone(): boolean {
    return this.#shown.has("instructions") || this.#shown.has("blocks");
  }

  #inWindow(vcpu: Vcpu): boolean {
    const icount = Number(vcpu.u64("ICOUNT"));
    return icount >= this.#from && icount < this.#to;
  }

  #tell(vcpu: Vcpu, event: TraceEvent, line: () => string): void {
    if (this.#shown.has(event) && this.#inWindow(vcpu)) this.#report(`${count(vcpu)}  ${line()}`);
  }

  #flags(vcpu: Vcpu): number {
    return (this.#source?.flags(vcpu.vp) ?? 0) | Number(vcpu.u64("EFLAGS"));
  }

  /** The instruction at RIP. Fetching it is what running it does next: nothing happens that would not happen anyway. */
  #disassemble(vcpu: Vcpu): string {
    const source = this.#source;
    if (source === undefined) return "";
    const va = BigInt.asUintN(64, source.linear_rip(vcpu.vp));
    const bytes = new Uint8Array(maxInstructionLength);
    const have = copy(source.fetch(vcpu.vp, BigInt.asIntN(64, va)) >>> 0, vcpu, bytes, 0);
    this.#instruction.length = 0;
    if (have === 0) return "(not mapped)";
    const bits = codeBits(vcpu);
    let result = decode(bytes, 0, have, bits, this.#instruction);
    if (result === TRUNCATED && have < maxInstructionLength) {
      const more = copy(source.fetch(vcpu.vp, BigInt.asIntN(64, va + BigInt(have))) >>> 0, vcpu, bytes, have);
      result = decode(bytes, 0, have + more, bits, this.#instruction);
    }
    return result === DECODED ? disassemble(this.#instruction, vcpu.u64("RIP"), bytes) : "(bad)";
  }
}

/** Copies code from an HPA to the page's end; how many bytes. */
function copy(hpa: number, vcpu: Vcpu, target: Uint8Array, done: number): number {
  if (hpa === 0) return 0;
  const length = Math.min(target.length - done, 4096 - (hpa & 0xfff));
  target.set(vcpu.arena.u8.subarray(hpa, hpa + length), done);
  return length;
}

const count = (vcpu: Vcpu): string => vcpu.u64("ICOUNT").toString().padStart(10);
const address = (value: bigint): string => value.toString(16).padStart(16, "0");
const codeBits = (vcpu: Vcpu): 64 | 32 | 16 => {
  const mode = vcpu.u32("MODE");
  return (mode & Mode.code32) !== 0 ? 32 : (mode & Mode.code16) !== 0 ? 16 : 64;
};
