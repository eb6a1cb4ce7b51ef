/**
 * Where a machine's time goes (`--profile`): samples of the running vCPU, each with the host's time since the one before.
 *
 * A ticker of the host raises an event once a period; translated code leaves at its next boundary, and what RIP is then
 * stands for the time since. So a sample lies at the beginning of a block: after a slow instruction, not on it. Hosts
 * without a ticker sample where slices end.
 *
 * Law: all time of the machine's thread from the first sample on is in the samples, and the guest sees nothing of them.
 */
import { Event, type Vcpu } from "#vcpu";
import type { MachineHost } from "./machine-host.ts";

/** What the thread did. Compiled or interpreted is what most instructions since the sample before were. */
export const activities = ["interpreted", "compiled", "idle", "compiling", "lifting"] as const;
export type Activity = (typeof activities)[number];

export interface Sample {
  readonly activity: Activity;
  readonly ns: number;
  /** Of guest code: 0 in others. */
  readonly rip: bigint;
  /** CR3 without its flags: which address space. */
  readonly space: bigint;
  readonly user: boolean;
}

/** Counted since the engine was made. */
export interface TranslationTimes {
  readonly compileNs: number;
  readonly liftNs: number;
}

const periodMs = 1;
/** Slices end for other reasons than a tick, too: samples of those would be where the reasons are. */
const shortestNs = 750_000;
/** At one a millisecond, over an hour; later time goes to the last one. */
const mostSamples = 4_000_000;
/** Asking whether there is something to compile takes time too, at each slice. */
const worthASample = (ns: number): number => (ns >= 10_000 ? ns : 0);
const userBit = 0x80;
const addressBits = ((1n << 52n) - 1n) & ~0xfffn;

export class Profiler implements Disposable {
  readonly #now: () => number;
  readonly #vcpus: readonly Vcpu[];
  readonly #times: () => TranslationTimes;
  readonly #ticker: Disposable | undefined;
  // Columns, which grow together.
  #rip = new BigUint64Array(4096);
  #space = new BigUint64Array(4096);
  #ns = new Float64Array(4096);
  #kind = new Uint8Array(4096);
  #count = 0;
  /** What is not in a sample yet began here. */
  #since: number;
  // As they were at the last sample.
  #before = { compileNs: 0, liftNs: 0, instructions: 0n, compiled: 0n };

  constructor(host: MachineHost, vcpus: readonly Vcpu[], times: () => TranslationTimes) {
    this.#now = () => host.now();
    this.#vcpus = vcpus;
    this.#times = times;
    this.#since = host.now();
    const words = vcpus.map((vcpu) => vcpu.wordOf("EVENTS"));
    this.#ticker = host.startTicker?.(vcpus[0].arena.memory, words, Event.host, periodMs);
  }

  [Symbol.dispose](): void {
    this.#ticker?.[Symbol.dispose]();
  }

  /** A slice has ended, and not by a HLT: where those are is no matter of chance. */
  ran(vcpu: Vcpu): void {
    const now = this.#now();
    const ns = now - this.#since;
    if (ns < shortestNs) return;
    const { compileNs, liftNs } = this.#times();
    const [instructions, compiled] = [this.#sum("ICOUNT"), this.#sum("COMPILED")];
    const before = this.#before;
    // A tick while the vCPU slept is seen before its first instruction.
    if (instructions === before.instructions) return;
    const compiling = worthASample(compileNs - before.compileNs);
    const lifting = worthASample(liftNs - before.liftNs);
    if (compiling > 0) this.#add("compiling", compiling);
    if (lifting > 0) this.#add("lifting", lifting);
    const mostlyCompiled = 2n * (compiled - before.compiled) >= instructions - before.instructions;
    this.#add(mostlyCompiled ? "compiled" : "interpreted", Math.max(0, ns - compiling - lifting), vcpu);
    this.#before = { compileNs, liftNs, instructions, compiled };
    this.#since = now;
  }

  /** Until this is disposed of, the machine waits. What it did before, since the last sample, is left for the next one. */
  idle(): Disposable {
    const started = this.#now();
    return {
      [Symbol.dispose]: () => {
        const ns = this.#now() - started;
        this.#add("idle", ns);
        this.#since += ns;
      },
    };
  }

  /** In the order of time. */
  *samples(): Generator<Sample> {
    for (let n = 0; n < this.#count; n++) {
      const kind = this.#kind[n];
      yield {
        activity: activities[kind & ~userBit],
        ns: this.#ns[n],
        rip: this.#rip[n],
        space: this.#space[n],
        user: (kind & userBit) !== 0,
      };
    }
  }

  /** Over all vCPUs, which run in turn. */
  #sum(field: "ICOUNT" | "COMPILED"): bigint {
    return this.#vcpus.reduce((sum, vcpu) => sum + vcpu.u64(field), 0n);
  }

  #add(activity: Activity, ns: number, vcpu?: Vcpu): void {
    const kind = activities.indexOf(activity) | (vcpu?.u32("CPL") === 3 ? userBit : 0);
    const last = this.#count - 1;
    // What has no place is one sample for as long as it lasts.
    if (this.#count === mostSamples || (vcpu === undefined && last >= 0 && this.#kind[last] === kind)) {
      this.#ns[last] += ns;
      return;
    }
    if (this.#count === this.#ns.length) this.#grow();
    const n = this.#count++;
    this.#kind[n] = kind;
    this.#ns[n] = ns;
    this.#rip[n] = vcpu?.u64("RIP") ?? 0n;
    this.#space[n] = (vcpu?.u64("CR3") ?? 0n) & addressBits;
  }

  #grow(): void {
    const size = Math.min(mostSamples, 2 * this.#ns.length);
    const [rip, space] = [new BigUint64Array(size), new BigUint64Array(size)];
    const [ns, kind] = [new Float64Array(size), new Uint8Array(size)];
    rip.set(this.#rip);
    space.set(this.#space);
    ns.set(this.#ns);
    kind.set(this.#kind);
    [this.#rip, this.#space, this.#ns, this.#kind] = [rip, space, ns, kind];
  }
}
