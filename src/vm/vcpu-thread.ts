/**
 * A thread that runs one vCPU of a machine whose devices are on another thread (docs/smp.md).
 *
 * Its local APIC, its MSRs and its clock are here; interrupts from elsewhere are posted in its record; ports and memory of
 * devices are calls to the machine's thread. It ends when the machine says so, or fails and says why.
 */
import { assertNever, printValue, type Value } from "#base";
import { ApicBus, type DeviceState, deliveryMode, KvmClock, Lapic, lapicPage, type Stateful } from "#devices";
import { type EngineHost, TranslatingEngine } from "#engine";
import { passesWithout } from "#jit";
import { AddressSpace, Arena, type Memslot } from "#memory";
import {
  Event,
  MsrFile,
  type MsrState,
  postInit,
  postNmi,
  postStartup,
  sleep,
  takePosted,
  type Vcpu,
  wake,
  wakeCount,
} from "#vcpu";
import { DeviceCaller, deviceCall, ThreadStopped, textBytes, threadsPause, threadsStop } from "./device-calls.ts";
import { vcpuHostOf } from "./engine-host.ts";
import { MachineClock, tscFrequencyHz } from "./machine-clock.ts";
import type { EngineOptions } from "./machine-host.ts";
import { publishApic, RemoteApic } from "./remote-apic.ts";
import { nextSliceNs, SliceSizer } from "./slice-sizer.ts";

/** What the thread keeps of its vCPU besides the vCPU's record. */
export interface VcpuThreadState {
  readonly lapic: DeviceState;
  readonly kvmClock: DeviceState;
  readonly msrs: MsrState;
}

/** All that the thread of a vCPU is given. */
export interface VcpuThreadSetup {
  readonly memory: WebAssembly.Memory;
  readonly cpu: number;
  /** Arena offsets of all vCPUs. */
  readonly vcpus: readonly number[];
  /** Of the address space's header. */
  readonly space: number;
  readonly memslots: readonly Memslot[];
  readonly engine: EngineOptions;
  readonly hotThreshold: number;
  /** The host's time at guest time 0. */
  readonly startNs: number;
  /** Of a machine that goes on from a snapshot. */
  readonly state?: VcpuThreadState;
}

export interface VcpuThreadHost {
  readonly runtimeWasm: Uint8Array<ArrayBuffer>;
  readonly interpreterWasm?: Uint8Array<ArrayBuffer> | undefined;
  /** Nanoseconds, the same on all threads. */
  now(): number;
  wallClock(): number;
  random(target: Uint8Array): void;
  /** The machine's thread looks up. */
  ring(): void;
}

/** Runs the vCPU until the machine ends. */
export function runVcpuThread(setup: VcpuThreadSetup, host: VcpuThreadHost): void {
  const thread = new VcpuThread(setup, host);
  thread.run();
}

const longestSleepMs = 1000;
const IF = 1n << 9n;

class VcpuThread {
  readonly #setup: VcpuThreadSetup;
  readonly #host: VcpuThreadHost;
  readonly #engine: TranslatingEngine;
  readonly #vcpu: Vcpu;
  readonly #clock: MachineClock;
  readonly #lapic: Lapic;
  readonly #apicBus: ApicBus;
  readonly #msrs: MsrFile;
  readonly #kvmClock: KvmClock;
  readonly #calls: DeviceCaller;
  readonly #sizer = new SliceSizer();
  readonly #reported = new Set<string>();

  constructor(setup: VcpuThreadSetup, host: VcpuThreadHost) {
    this.#setup = setup;
    this.#host = host;
    const arena = Arena.attach(setup.memory);
    const chaosSeed = setup.engine.chaosSeed;
    this.#engine = new TranslatingEngine({
      arena,
      runtimeWasm: host.runtimeWasm,
      interpreterWasm: host.interpreterWasm,
      host: this.#engineHost(),
      exact: false,
      chaosSeed: chaosSeed === undefined ? undefined : chaosSeed + setup.cpu,
      hotThreshold: setup.hotThreshold,
      passes: passesWithout(...(setup.engine.without ?? [])),
      thread: setup.cpu,
    });
    const vcpus = setup.vcpus.map((vp, cpu) => this.#engine.attachVcpu(cpu, vp));
    const vcpu = vcpus[setup.cpu];
    this.#vcpu = vcpu;
    this.#engine.runAs(vcpu);
    this.#clock = new MachineClock(
      () => host.now() - setup.startNs,
      () => vcpu.raiseEvent(Event.host),
    );
    this.#calls = new DeviceCaller(vcpu, () => {
      vcpus[0].raiseEvent(Event.host);
      host.ring();
    });
    this.#apicBus = new ApicBus((vector) => this.#call(deviceCall.endOfInterrupt, vector));
    this.#lapic = this.#newLapic();
    this.#apicBus.current = setup.cpu;
    for (const other of vcpus) {
      if (other === vcpu) this.#apicBus.attach(this.#lapic);
      else this.#apicBus.attachRemote(new RemoteApic(other, () => (other.id === 0 ? host.ring() : wake(other))));
    }
    const space = new AddressSpace(arena, this.#engine.runtime, setup.memslots, setup.space);
    this.#kvmClock = new KvmClock(space, tscFrequencyHz, () => host.wallClock() - this.#clock.now() / 1e6);
    this.#msrs = new MsrFile({
      lapic: this.#lapic,
      kvmClock: this.#kvmClock,
      unknown: (index, write) => this.#notice(`${write ? "write to" : "read of"} unknown MSR 0x${index.toString(16)}`),
    });
  }

  run(): void {
    try {
      this.#restore(this.#setup.state);
      while (!threadsStop(this.#vcpu)) {
        if (threadsPause(this.#vcpu)) this.#pause();
        this.#slice();
      }
    } catch (error) {
      if (error instanceof ThreadStopped) return;
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#calls.call(deviceCall.failed, 0, 0, 0, `vCPU ${this.#setup.cpu}: ${text}`);
    }
  }

  #restore(state: VcpuThreadState | undefined): void {
    if (state === undefined) return;
    (this.#lapic as Stateful).restore(state.lapic);
    (this.#kvmClock as Stateful).restore(state.kvmClock);
    this.#msrs.restore(state.msrs);
  }

  /** Says what this thread keeps, then stands still for as long as it is asked to. */
  #pause(): void {
    const state = { lapic: this.#lapic.save(), kvmClock: this.#kvmClock.save(), msrs: this.#msrs.save() };
    const text = printValue(state as unknown as Value);
    for (let at = 0; at < text.length; at += textBytes)
      this.#calls.call(deviceCall.state, 0, 0, 0, text.slice(at, at + textBytes));
    this.#calls.call(deviceCall.paused);
  }

  #slice(): void {
    const vcpu = this.#vcpu;
    this.#clock.ringDue();
    const untilAlarm = this.#clock.next() - this.#clock.now();
    const ns = nextSliceNs(untilAlarm);
    this.#clock.await(this.#clock.now() + ns);
    const from = vcpu.u64("ICOUNT");
    const started = this.#host.now();
    const exit = this.#engine.run(vcpu, from + this.#sizer.instructions(ns, this.#engine.regions.isGathering));
    this.#clock.await();
    this.#sizer.measure(Number(vcpu.u64("ICOUNT") - from), this.#host.now() - started);
    vcpu.setU32("REGIONS", this.#engine.regions.stats.regions);
    vcpu.setU32("WASM_BYTES", this.#engine.regions.stats.wasmBytes);
    switch (exit.reason) {
      case "budget":
        return;
      case "halt":
        return this.#sleep();
      case "shutdown":
        this.#calls.call(deviceCall.shutdown);
        throw new ThreadStopped();
      case "fault":
        throw new Error("an exception was caught that nobody asked for");
      default:
        assertNever(exit);
    }
  }

  /** HLT, or the wait for a startup IPI: until an alarm or a message. */
  #sleep(): void {
    const vcpu = this.#vcpu;
    const count = wakeCount(vcpu);
    this.#takePosted();
    const awake = vcpu.u32("SIGNALS") !== 0 || (this.#lapic.pendingVector() >= 0 && (vcpu.u64("EFLAGS") & IF) !== 0n);
    if (awake || threadsStop(vcpu)) return;
    const ms = Math.min((this.#clock.next() - this.#clock.now()) / 1e6, longestSleepMs);
    if (ms > 0) sleep(vcpu, count, ms);
  }

  #takePosted(): void {
    takePosted(this.#vcpu, (vector, level) => this.#lapic.accept(deliveryMode.fixed, vector, level));
  }

  /** A call in mid-instruction: others may be alone meanwhile. */
  #call(kind: Parameters<DeviceCaller["call"]>[0], address = 0, size = 0, value = 0, text = ""): number {
    this.#engine.park(this.#vcpu);
    const answer = this.#calls.call(kind, address, size, value, text);
    this.#engine.resume(this.#vcpu);
    return answer;
  }

  #notice(line: string): void {
    if (this.#reported.has(line)) return;
    this.#reported.add(line);
    this.#call(deviceCall.notice, 0, 0, 0, line);
  }

  #readTsc(): bigint {
    return BigInt(Math.floor(this.#clock.now()));
  }

  #newLapic(): Lapic {
    const vcpu = this.#vcpu;
    return new Lapic({
      apicId: vcpu.id,
      bootProcessor: false,
      clock: this.#clock,
      tsc: {
        read: () => this.#readTsc() + vcpu.u64("TSC_OFFSET"),
        timeOf: (tsc) => Number(BigInt.asIntN(64, tsc - vcpu.u64("TSC_OFFSET"))),
      },
      signals: {
        onPending: () => vcpu.raiseEvent(Event.interrupt),
        // What it sends to itself takes the way of what others send.
        onNmi: () => postNmi(vcpu),
        onInit: () => postInit(vcpu),
        onStartup: (vector) => postStartup(vcpu, vector),
      },
      external: { peek: () => -1, acknowledge: () => -1 },
      interconnect: this.#apicBus,
      onAddress: (address) => publishApic(vcpu, address),
    });
  }

  #engineHost(): EngineHost {
    const thread = this;
    const own = vcpuHostOf({
      cpus: this.#setup.vcpus.length,
      get vcpu() {
        return thread.#vcpu;
      },
      get lapic() {
        return thread.#lapic;
      },
      get msrs() {
        return thread.#msrs;
      },
      readTsc: () => this.#readTsc(),
      fillRandom: (target) => this.#host.random(target),
      takePosted: () => this.#takePosted(),
      notice: (line) => this.#notice(line),
    });
    const isLapic = (address: number): boolean =>
      address >= lapicPage.base && address < lapicPage.base + lapicPage.size;
    return {
      ...own,
      readMmio: (address, size) =>
        isLapic(address)
          ? this.#apicBus.readMmio(address - lapicPage.base, size)
          : this.#call(deviceCall.readMmio, address, size),
      writeMmio: (address, size, value) => {
        if (isLapic(address)) this.#apicBus.writeMmio(address - lapicPage.base, size, value);
        else this.#call(deviceCall.writeMmio, address, size, value);
      },
      fillFrame: (gfn) => void this.#call(deviceCall.fill, gfn),
      readPort: (port, size) => this.#call(deviceCall.readPort, port, size),
      writePort: (port, size, value) => void this.#call(deviceCall.writePort, port, size, value),
    };
  }
}
