/**
 * PCI bus 0 behind its host bridge: both ways into configuration space (ports 0xcf8/0xcfc and ECAM), the decoding of
 * BARs, and the four interrupt lines.
 *
 * Laws: after any change of a command register or a BAR, exactly the BARs that decode and overlap nothing are claimed
 * on the buses, in the order of their functions; line n of INTx is high while a function drives it, functions being
 * swizzled by their slot.
 */
import { assert } from "#base";
import type { AccessSize, Claim, MmioBus, MmioDevice, PortBus, PortDevice } from "../bus.ts";
import { pciWindow, pciWindow64 } from "../memory-map.ts";
import { copyState, type DeviceState, restoreState, type Stateful } from "../state.ts";
import type { PciFunction } from "./function.ts";
import { pciCommand } from "./registers.ts";

const addressPort = 0xcf8;
const dataPort = 0xcfc;
/** 0xcf9, between them, is the reset register's. */
export const pciPorts = [
  [addressPort, 1],
  [dataPort, 4],
] as const;

/** `configAddress` and, for each function, its configuration space as `f<devfn in hex>`. */
export type PciState = DeviceState;

export class PciBus implements PortDevice, MmioDevice, Stateful<PciState> {
  readonly #portBus: PortBus;
  readonly #mmioBus: MmioBus;
  readonly #setIntx: (line: number, level: boolean) => void;
  readonly #state: PciState & { configAddress: number } = { configAddress: 0 };
  readonly #functions = new Map<number, PciFunction>();
  readonly #names = new Map<PciFunction, string>();
  #claims: Claim[] = [];
  #decoding = "";
  #intx = 0;

  constructor(portBus: PortBus, mmioBus: MmioBus, setIntx: (line: number, level: boolean) => void) {
    this.#portBus = portBus;
    this.#mmioBus = mmioBus;
    this.#setIntx = setIntx;
  }

  /** Plugs a function in. Slots are 0 to 31, functions 0 to 7; function 0 of a slot comes first. `name`: for people. */
  attach(slot: number, fn: number, device: PciFunction, name = "function"): void {
    const devfn = (slot << 3) | fn;
    assert(slot < 32 && fn < 8 && !this.#functions.has(devfn), "a free slot");
    this.#functions.set(devfn, device);
    this.#names.set(device, `PCI 00:${slot.toString(16).padStart(2, "0")}.${fn} ${name}`);
    this.#state[`f${devfn.toString(16).padStart(2, "0")}`] = device.config;
    device.onChange = () => this.#changed();
    if (fn > 0) {
      const first = this.#functions.get(slot << 3);
      assert(first !== undefined, "function 0 before the others");
      first.config[0x0e] |= 0x80;
    }
  }

  /** Gives every BAR an address in the windows and turns decoding on, as firmware leaves it. */
  assignBars(): void {
    const next = { io: 0x1000, memory32: pciWindow.base, memory64: pciWindow64.base };
    for (const device of this.#functions.values()) {
      for (const placed of device.bars) {
        const { kind, size } = placed.bar;
        const address = Math.ceil(next[kind] / size) * size;
        next[kind] = address + size;
        device.placeBar(placed, address);
      }
      if (device.bars.length > 0) device.write(4, 2, device.command | pciCommand.busMaster);
    }
  }

  readPort(port: number, size: AccessSize): number {
    if (port === addressPort) return size === 4 ? this.#state.configAddress : 0xffff_ffff;
    const address = this.#state.configAddress;
    if ((address & 0x8000_0000) === 0 || (address & 0xff_0000) !== 0) return 0xffff_ffff;
    return this.#read((address >> 8) & 0xff, (address & 0xfc) + (port & 3), size);
  }

  writePort(port: number, size: AccessSize, value: number): void {
    if (port === addressPort) {
      if (size === 4) this.#state.configAddress = (value & 0x80ff_fffc) >>> 0;
      return;
    }
    const address = this.#state.configAddress;
    if ((address & 0x8000_0000) === 0 || (address & 0xff_0000) !== 0) return;
    this.#write((address >> 8) & 0xff, (address & 0xfc) + (port & 3), size, value);
  }

  /** ECAM: 1 MiB a bus, 4 KiB a function. */
  readMmio(offset: number, size: AccessSize): number {
    return offset < 0x10_0000 ? this.#read(offset >> 12, offset & 0xfff, size) : 0xffff_ffff;
  }

  writeMmio(offset: number, size: AccessSize, value: number): void {
    if (offset < 0x10_0000) this.#write(offset >> 12, offset & 0xfff, size, value);
  }

  save(): PciState {
    return copyState(this.#state);
  }

  restore(saved: PciState): void {
    restoreState(this.#state, saved);
    this.#changed();
  }

  #read(devfn: number, offset: number, size: AccessSize): number {
    return this.#functions.get(devfn)?.read(offset, size) ?? 0xffff_ffff;
  }

  #write(devfn: number, offset: number, size: AccessSize, value: number): void {
    this.#functions.get(devfn)?.write(offset, size, value);
  }

  #changed(): void {
    this.#updateIntx();
    const decoding = this.#describeDecoding();
    if (decoding === this.#decoding) return;
    this.#decoding = decoding;
    for (const claim of this.#claims) claim.release();
    this.#claims = [];
    for (const device of this.#functions.values()) this.#claimBars(device);
  }

  #claimBars(device: PciFunction): void {
    for (const placed of device.bars) {
      const address = device.barAddress(placed);
      if (address === undefined) continue;
      const { bar } = placed;
      const claim =
        bar.kind === "io"
          ? this.#portBus.claim(address, bar.size, bar.device)
          : this.#mmioBus.claim(address, bar.size, bar.device, this.#names.get(device));
      if (claim !== undefined) this.#claims.push(claim);
    }
  }

  #describeDecoding(): string {
    let text = "";
    for (const device of this.#functions.values()) {
      for (const placed of device.bars) text += `${device.barAddress(placed) ?? ""};`;
    }
    return text;
  }

  #updateIntx(): void {
    let lines = 0;
    for (const [devfn, device] of this.#functions) {
      const pin = device.assertedPin;
      if (pin >= 0) lines |= 1 << ((pin + (devfn >> 3)) & 3);
    }
    const changed = lines ^ this.#intx;
    this.#intx = lines;
    for (let line = 0; line < 4; line++) {
      if ((changed & (1 << line)) !== 0) this.#setIntx(line, (lines & (1 << line)) !== 0);
    }
  }
}
