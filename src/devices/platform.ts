/**
 * The platform: every device that a PC has before anything is plugged in, wired together.
 *
 *     PIT ─ IRQ 0 ─┐            ┌─ 8259 pair ── INTR ──▶ LINT0 of every local APIC
 *     UARTs, RTC ──┼─ ISA IRQs ─┤
 *     SCI ─ IRQ 9 ─┘            └─ IOAPIC (IRQ 0 at pin 2, the others at their own) ── ApicBus ──▶ local APICs
 *     PCI INTx ─────────────────── IOAPIC pins 16 to 19          MSIs ──────────────────┘
 *
 * Laws: all guest-visible state is in the records that `save` gives; `restore` of them, on an equally built platform
 * whose clock and TSCs show the same time, goes on exactly as the saved one would have. Not thread-safe: the caller
 * holds the device lock, and has said by `selectCpu` whose accesses follow.
 */
import { assert } from "#base";
import { type DeviceClock, type IrqLine, MmioBus, type MmioDevice, PortBus, type PortDevice } from "./bus.ts";
import { DebugPort, debugPorts } from "./debug/index.ts";
import { Ioapic } from "./ioapic/index.ts";
import {
  type ApicAddress,
  ApicBus,
  type ApicTarget,
  Lapic,
  type TscSource,
  tscOf,
  type VcpuSignals,
} from "./lapic/index.ts";
import { comPorts, ecam, ioapicPage, lapicPage, type MemoryRange, pciGsiBase, sciIrq } from "./memory-map.ts";
import { newHostBridge, PciBus, pciPorts } from "./pci/index.ts";
import { Pic, picPorts } from "./pic/index.ts";
import { Pit, pitPorts } from "./pit/index.ts";
import { Power, type PowerHost, powerPorts } from "./power/index.ts";
import { Rtc, rtcPorts } from "./rtc/index.ts";
import { Serial, type SerialHost } from "./serial/index.ts";
import { type DeviceState, encodeState, StateError, type Stateful } from "./state.ts";

export interface PlatformOptions {
  readonly clock: DeviceClock;
  /** Processors whose local APICs are devices of this platform. */
  readonly cpus: number;
  /** Local APICs of the others, with the numbers that follow. */
  readonly remoteApics?: readonly ApicTarget[];
  /** Told of what the first local APIC is addressed by, for who sends to it without the platform. */
  readonly onApicAddress?: (address: ApicAddress) => void;
  /** The local APICs' way to their vCPUs. May be called during the constructor's later use only, never within it. */
  readonly signals: (cpu: number) => VcpuSignals;
  readonly tscFrequencyHz: number;
  /** Each vCPU's own counter, where it can be written or offset; else all run from guest time 0. */
  readonly tsc?: (cpu: number) => TscSource;
  /** Milliseconds since 1970 UTC, as the real-time clock is to show them. */
  readonly wallClock: () => number;
  /** Who is at the other end of COM1 to COM4; a UART without a host sends into the void. */
  readonly serial: readonly (SerialHost | undefined)[];
  readonly power: PowerHost;
  readonly onDebugByte?: (byte: number) => void;
  /** Where RAM lies: no device is found there. */
  readonly ram?: () => readonly MemoryRange[];
}

/** A record for each device by name. */
export type PlatformState = { [device: string]: DeviceState };

const noHost: SerialHost = { onTransmit: () => {} };

export class Platform {
  readonly portBus = new PortBus();
  readonly mmioBus: MmioBus;
  readonly apicBus: ApicBus;
  readonly lapics: readonly Lapic[];
  readonly ioapic: Ioapic;
  readonly pic: Pic;
  readonly pit: Pit;
  readonly rtc: Rtc;
  readonly power: Power;
  readonly serial: readonly Serial[];
  readonly pci: PciBus;
  readonly #stateful = new Map<string, Stateful>();
  #resetState: PlatformState | undefined;

  constructor(options: PlatformOptions) {
    const { clock } = options;
    this.mmioBus = new MmioBus(options.ram);
    this.apicBus = new ApicBus((vector) => this.ioapic.endOfInterrupt(vector));
    this.ioapic = new Ioapic((destination, logical, mode, vector, level) =>
      this.apicBus.deliver(destination, logical, mode, vector, level),
    );
    this.pic = new Pic((level) => {
      for (const lapic of this.lapics) lapic.setLint0(level);
    });
    this.lapics = Array.from({ length: options.cpus }, (_, cpu) => this.#newLapic(options, cpu));
    for (const remote of options.remoteApics ?? []) this.apicBus.attachRemote(remote);
    this.pit = new Pit(clock, this.isaIrq(0));
    this.rtc = new Rtc(clock, options.wallClock, this.isaIrq(8));
    this.power = new Power(clock, this.isaIrq(sciIrq), options.power);
    this.serial = comPorts.map(({ irq }, n) => new Serial(clock, this.isaIrq(irq), options.serial[n] ?? noHost));
    this.pci = new PciBus(this.portBus, this.mmioBus, (line, level) => this.setGsi(pciGsiBase + line, level));
    this.pci.attach(0, 0, newHostBridge());
    this.#claimAll(options);
    this.#nameAll();
  }

  /** To be called once when everything is plugged in: does the firmware's work, and notes the state a reset gives. */
  powerOn(): void {
    this.pci.assignBars();
    this.#resetState = this.save();
  }

  /** Every device as `powerOn` left it. */
  reset(): void {
    assert(this.#resetState !== undefined, "powerOn comes before reset");
    this.restore(this.#resetState);
  }

  /** Whose local APIC lies at 0xfee00000 for the accesses that follow. */
  selectCpu(cpu: number): void {
    this.apicBus.current = cpu;
  }

  /** Drives an interrupt input by its number in ACPI: the IOAPIC's pin, below 16 the 8259's input too. */
  setGsi(gsi: number, level: boolean): void {
    if (gsi < 16) this.pic.setIrq(gsi, level);
    this.ioapic.setLine(gsi, level);
  }

  /** An ISA interrupt as a line; IRQ 0 has the IOAPIC's pin 2 (the MADT says so). */
  isaIrq(irq: number): IrqLine {
    const pin = irq === 0 ? 2 : irq;
    return {
      set: (level) => {
        this.pic.setIrq(irq, level);
        this.ioapic.setLine(pin, level);
      },
    };
  }

  /** An input of the IOAPIC as a line. */
  gsi(gsi: number): IrqLine {
    return { set: (level) => this.setGsi(gsi, level) };
  }

  /** A message-signalled interrupt, as a device writes it. */
  msi(address: number, data: number): void {
    this.apicBus.msi(address, data);
  }

  /** Adds a device that is no part of the platform to its saved state. */
  register(name: string, device: Stateful): void {
    assert(!this.#stateful.has(name), `one device called ${name}`);
    this.#stateful.set(name, device);
  }

  /** Sends out what the UARTs hold back to make bursts. */
  flush(): void {
    for (const serial of this.serial) serial.flush();
  }

  save(): PlatformState {
    const state: PlatformState = {};
    for (const device of this.#stateful.values()) device.settle?.();
    for (const [name, device] of this.#stateful) state[name] = device.save();
    return state;
  }

  /** Throws `StateError` when the records are not those of such a platform. */
  restore(state: PlatformState): void {
    for (const name of this.#stateful.keys()) {
      if (state[name] === undefined) throw new StateError(`no record of device "${name}"`);
    }
    for (const [name, device] of this.#stateful) device.restore(state[name]);
  }

  /** The state as bytes for a digest: equal for equal states, devices in the order of their names. */
  digestInput(): Uint8Array {
    const parts = [...this.#stateful.keys()].sort().map((name) => encodeState(this.#stateful.get(name)?.save() ?? {}));
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  #newLapic(options: PlatformOptions, cpu: number): Lapic {
    const lapic = new Lapic({
      apicId: cpu,
      bootProcessor: cpu === 0,
      clock: options.clock,
      tsc: options.tsc?.(cpu) ?? tscOf(options.clock, options.tscFrequencyHz),
      signals: options.signals(cpu),
      external: this.pic,
      interconnect: this.apicBus,
      ...(cpu === 0 && options.onApicAddress && { onAddress: options.onApicAddress }),
    });
    this.apicBus.attach(lapic);
    return lapic;
  }

  #claimAll(options: PlatformOptions): void {
    this.#claimPorts(picPorts, this.pic);
    this.#claimPorts(pitPorts, this.pit);
    this.#claimPorts(rtcPorts, this.rtc);
    this.#claimPorts(powerPorts, this.power);
    this.#claimPorts(pciPorts, this.pci);
    for (const [n, { port }] of comPorts.entries()) this.#claimPorts([[port, 8]], this.serial[n]);
    if (options.onDebugByte !== undefined) this.#claimPorts(debugPorts, new DebugPort(options.onDebugByte));
    this.#claimPage(ioapicPage, this.ioapic, "IOAPIC");
    this.#claimPage(lapicPage, this.apicBus, "local APIC");
    this.#claimPage(ecam, this.pci, "PCI configuration space");
  }

  #claimPorts(ranges: readonly (readonly [number, number])[], device: PortDevice): void {
    for (const [base, length] of ranges) {
      assert(this.portBus.claim(base, length, device) !== undefined, `ports from ${base} are free`);
    }
  }

  #claimPage({ base, size }: MemoryRange, device: MmioDevice, name: string): void {
    assert(this.mmioBus.claim(base, size, device, name) !== undefined, `memory from ${base} is free`);
  }

  /** The order is that of a restore: interrupt controllers first, then what drives them. */
  #nameAll(): void {
    for (const [n, lapic] of this.lapics.entries()) this.register(`lapic${n}`, lapic as Stateful);
    this.register("ioapic", this.ioapic as Stateful);
    this.register("pic", this.pic as Stateful);
    this.register("pit", this.pit as Stateful);
    this.register("rtc", this.rtc as Stateful);
    this.register("power", this.power as Stateful);
    for (const [n, serial] of this.serial.entries()) this.register(`com${n + 1}`, serial as Stateful);
    this.register("pci", this.pci);
  }
}
