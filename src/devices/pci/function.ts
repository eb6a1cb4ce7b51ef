/**
 * One PCI function: 256 bytes of configuration space, the bits of it that the guest may write, and up to six BARs.
 *
 * Law: `config` is the whole state. A write changes only writable bits; BARs behave as PCI says for sizing (all ones
 * written, the size read back) because their writable bits are exactly the address bits above the size.
 */
import { assert, littleEndian } from "#base";
import type { AccessSize, MmioDevice, PortDevice } from "../bus.ts";
import { barCount, configBytes, pci, pciCommand, pciStatus } from "./registers.ts";

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  /** Base class, subclass, programming interface: 24 bits. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** INTA is 1; 0 or none: no INTx. */
  readonly interruptPin?: number;
}

export type PciBar =
  | { readonly kind: "io"; readonly size: number; readonly device: PortDevice }
  | {
      readonly kind: "memory32" | "memory64";
      readonly size: number;
      readonly prefetchable?: boolean;
      readonly device: MmioDevice;
    };

/** Told to a device about its own configuration space. */
export interface PciConfigHooks {
  /** Before a read: bytes of `config` may be brought up to date. */
  beforeRead?(offset: number, size: AccessSize): void;
  /** After a write has changed `config`. */
  afterWrite?(offset: number, size: AccessSize): void;
}

interface PlacedBar {
  readonly index: number;
  readonly bar: PciBar;
}

export class PciFunction {
  readonly config = new Uint8Array(configBytes);
  readonly #writable = new Uint8Array(configBytes);
  readonly #view = new DataView(this.config.buffer);
  readonly #hooks: PciConfigHooks;
  readonly #bars: PlacedBar[] = [];
  #nextCapability: number = pci.firstCapability;
  #lastCapability: number = pci.capabilities;
  /** Set by the bus: decoding or the interrupt may have changed. */
  onChange: () => void = () => {};

  constructor(identity: PciIdentity, hooks: PciConfigHooks = {}) {
    this.#hooks = hooks;
    const view = this.#view;
    view.setUint16(pci.vendor, identity.vendor, true);
    view.setUint16(pci.device, identity.device, true);
    view.setUint32(pci.revision, ((identity.classCode << 8) | (identity.revision ?? 0)) >>> 0, true);
    view.setUint16(pci.subsystemVendor, identity.subsystemVendor ?? 0, true);
    view.setUint16(pci.subsystem, identity.subsystem ?? 0, true);
    this.config[pci.interruptPin] = identity.interruptPin ?? 0;
    this.#writable[pci.command] = pciCommand.busMaster;
    this.#writable[pci.command + 1] = pciCommand.intxDisable >> 8;
    this.#writable[pci.interruptLine] = 0xff;
  }

  /** Requires: a power of two, at least 4 for I/O and 16 for memory; a 64-bit BAR takes two indexes. */
  addBar(index: number, bar: PciBar): void {
    assert((bar.size & (bar.size - 1)) === 0 && bar.size >= (bar.kind === "io" ? 4 : 16), "a BAR's size");
    assert(index + (bar.kind === "memory64" ? 1 : 0) < barCount, "six BARs");
    const at = pci.bar0 + 4 * index;
    const flags = bar.kind === "io" ? 1 : (bar.kind === "memory64" ? 4 : 0) | (bar.prefetchable === true ? 8 : 0);
    this.#view.setUint32(at, flags, true);
    const writable = new DataView(this.#writable.buffer);
    writable.setUint32(at, ~(bar.size - 1) >>> 0, true);
    if (bar.kind === "memory64") writable.setUint32(at + 4, 0xffff_ffff, true);
    this.#writable[pci.command] |= bar.kind === "io" ? pciCommand.io : pciCommand.memory;
    this.#bars.push({ index, bar });
  }

  /** Appends a capability; `body` follows its two header bytes. Gives the offset of the header. */
  addCapability(id: number, body: Uint8Array, writable?: Uint8Array): number {
    const at = this.#nextCapability;
    assert(at + 2 + body.length <= configBytes, "room for capabilities");
    this.config[at] = id;
    this.config.set(body, at + 2);
    if (writable !== undefined) this.#writable.set(writable, at + 2);
    this.config[this.#lastCapability === pci.capabilities ? pci.capabilities : this.#lastCapability + 1] = at;
    this.#lastCapability = at;
    this.#nextCapability = (at + 2 + body.length + 3) & ~3;
    this.config[pci.status] |= pciStatus.capabilities;
    return at;
  }

  read(offset: number, size: AccessSize): number {
    if (offset + size > configBytes) return 0xffff_ffff;
    this.#hooks.beforeRead?.(offset, size);
    return littleEndian(this.config, offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset + size > configBytes) return;
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[offset + i];
      this.config[offset + i] = (this.config[offset + i] & ~mask) | ((value >>> (8 * i)) & mask);
    }
    this.#hooks.afterWrite?.(offset, size);
    if (offset < pci.bar0 + 4 * barCount) this.onChange();
  }

  get command(): number {
    return this.#view.getUint16(pci.command, true);
  }

  get bars(): readonly PlacedBar[] {
    return this.#bars;
  }

  /** Where a BAR lies; undefined while it is not decoded or lies nowhere sensible. */
  barAddress({ index, bar }: PlacedBar): number | undefined {
    if ((this.command & (bar.kind === "io" ? pciCommand.io : pciCommand.memory)) === 0) return undefined;
    const at = pci.bar0 + 4 * index;
    const low = (this.#view.getUint32(at, true) & (bar.kind === "io" ? ~3 : ~15)) >>> 0;
    const high = bar.kind === "memory64" ? this.#view.getUint32(at + 4, true) : 0;
    const address = high * 2 ** 32 + low;
    return address === 0 || high >= 2 ** 20 ? undefined : address;
  }

  /** What firmware does: gives a BAR its address and turns decoding on. */
  placeBar({ index, bar }: PlacedBar, address: number): void {
    this.write(pci.bar0 + 4 * index, 4, address % 2 ** 32);
    if (bar.kind === "memory64") this.write(pci.bar0 + 4 * index + 4, 4, Math.floor(address / 2 ** 32));
    this.write(pci.command, 2, this.command | (bar.kind === "io" ? pciCommand.io : pciCommand.memory));
  }

  /** The function's INTx request. */
  setInterrupt(asserted: boolean): void {
    const before = this.config[pci.status];
    this.config[pci.status] = asserted ? before | pciStatus.interrupt : before & ~pciStatus.interrupt;
    if (this.config[pci.status] !== before) this.onChange();
  }

  /** Whether its INTx line is driven; -1 no, else the pin from 0 (INTA). */
  get assertedPin(): number {
    const on = (this.config[pci.status] & pciStatus.interrupt) !== 0 && (this.command & pciCommand.intxDisable) === 0;
    return on ? this.config[pci.interruptPin] - 1 : -1;
  }
}
