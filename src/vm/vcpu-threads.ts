/**
 * The vCPUs that have threads of their own, as the machine's thread sees them: started, answered, counted, ended.
 * `vcpu-thread.ts` is the other side, and `docs/smp.md` says how the two meet.
 */
import { gpa } from "#address";
import { assertNever, parseValue } from "#base";
import type { AccessSize, Platform } from "#devices";
import { Event, type Vcpu, wake } from "#vcpu";
import { answerCall, type DeviceCall, deviceCall, isPaused, pauseThreads, stopThreads } from "./device-calls.ts";
import type { MachineHost } from "./machine-host.ts";
import { publishResetApic, RemoteApic } from "./remote-apic.ts";
import type { VcpuThreadSetup, VcpuThreadState } from "./vcpu-thread.ts";

/** A thread that is to stand still is looked at each so often. */
const pauseLookNs = 1e6;

/** What a vCPU's thread may ask of the machine's besides its devices. */
export interface VcpuThreadsOwner {
  notice(line: string): void;
  tripleFault(): void;
  /** False: the page is on its way, and the others run meanwhile; not where `wait`. */
  bringIn(gfn: number, wait: boolean): boolean;
}

export class VcpuThreads {
  readonly #all: readonly Vcpu[];
  readonly #owner: VcpuThreadsOwner;
  /** What each has said of its state. */
  #texts: string[] = [];
  #pauses = 0;

  /** `all` the machine's vCPUs; the first is the machine's thread's own. */
  constructor(all: readonly Vcpu[], owner: VcpuThreadsOwner) {
    this.#all = all;
    this.#owner = owner;
  }

  /** Ways to their local APICs. */
  get apics(): readonly RemoteApic[] {
    return this.#others.map((vcpu) => new RemoteApic(vcpu, () => wake(vcpu)));
  }

  /** `states`: what they go on with, of all vCPUs; without, they are as after power-on. */
  start(
    host: MachineHost,
    setup: Omit<VcpuThreadSetup, "cpu" | "vcpus" | "state">,
    states?: readonly VcpuThreadState[],
  ): void {
    const vcpus = this.#all.map((vcpu) => vcpu.vp);
    for (const vcpu of this.#others) {
      if (states === undefined) publishResetApic(vcpu);
      host.startVcpu?.({ ...setup, cpu: vcpu.id, vcpus, ...(states && { state: states[vcpu.id] }) });
    }
  }

  /** Does what they wait for at the devices. */
  answer(platform: Platform): void {
    for (const vcpu of this.#others) answerCall(vcpu, (call) => this.#answer(platform, vcpu.id, call));
  }

  /** Makes them stand still between two instructions, until `goOn` was called as often. What each thread keeps, of vCPU 1 on. */
  pause(platform: Platform, host: MachineHost): readonly VcpuThreadState[] {
    if (this.#pauses++ === 0) this.#still(platform, host);
    return this.#others.map(({ id }) => parseValue(this.#texts[id]) as unknown as VcpuThreadState);
  }

  goOn(platform: Platform): void {
    if (--this.#pauses > 0) return;
    pauseThreads(this.#all[0], false);
    this.answer(platform);
  }

  #still(platform: Platform, host: MachineHost): void {
    this.#texts = this.#all.map(() => "");
    pauseThreads(this.#all[0], true);
    for (const vcpu of this.#others) {
      vcpu.raiseEvent(Event.host);
      wake(vcpu);
    }
    while (!this.#others.every(isPaused)) {
      this.answer(platform);
      host.wait(host.now() + pauseLookNs);
    }
  }

  sum(field: "REGIONS" | "WASM_BYTES"): number {
    return this.#others.reduce((sum, vcpu) => sum + vcpu.u32(field), 0);
  }

  end(): void {
    stopThreads(this.#all);
    for (const vcpu of this.#others) {
      vcpu.raiseEvent(Event.host);
      wake(vcpu);
    }
  }

  get #others(): readonly Vcpu[] {
    return this.#all.slice(1);
  }

  #answer(platform: Platform, cpu: number, { kind, address, size, value, text }: DeviceCall): number | undefined {
    const bytes = size as AccessSize;
    switch (kind) {
      case deviceCall.readPort:
        return platform.portBus.read(address, bytes);
      case deviceCall.writePort:
        platform.portBus.write(address, bytes, value);
        return 0;
      case deviceCall.readMmio:
        return platform.mmioBus.read(gpa(address), bytes);
      case deviceCall.writeMmio:
        platform.mmioBus.write(gpa(address), bytes, value);
        return 0;
      case deviceCall.endOfInterrupt:
        platform.ioapic.endOfInterrupt(address);
        return 0;
      case deviceCall.notice:
        this.#owner.notice(text);
        return 0;
      case deviceCall.shutdown:
        this.#owner.tripleFault();
        return 0;
      case deviceCall.state:
        this.#texts[cpu] += text;
        return 0;
      case deviceCall.paused:
        return 0;
      case deviceCall.fill:
        return this.#owner.bringIn(address, this.#pauses > 0) ? 0 : undefined;
      case deviceCall.failed:
        throw new Error(text);
      default:
        return assertNever(kind);
    }
  }
}
