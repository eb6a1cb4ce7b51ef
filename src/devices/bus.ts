/**
 * The two buses a vCPU reaches devices by: port I/O and memory-mapped I/O.
 *
 * A device claims ranges; an access is passed to the device that claims its first byte. Values are unsigned
 * numbers of at most 32 bits; a 64-bit MMIO access arrives as two 32-bit ones, low half first.
 * Unclaimed: reads give all ones, writes are dropped, as on a PC.
 *
 * Laws: no two claims overlap, and none overlaps RAM (a claim that would is refused, since guests choose where BARs lie); an
 * access allocates nothing; what a bus returns and passes on is cut to the size of the access.
 */
import { assert } from "#base";
import type { MemoryRange } from "./memory-map.ts";

export type AccessSize = 1 | 2 | 4;

export interface PortDevice {
  readPort(port: number, size: AccessSize): number;
  writePort(port: number, size: AccessSize, value: number): void;
}

export interface MmioDevice {
  /** `offset` counts from the start of the claimed range. */
  readMmio(offset: number, size: AccessSize): number;
  writeMmio(offset: number, size: AccessSize, value: number): void;
}

/** An interrupt line into the interrupt controllers. Level-triggered unless the controller says otherwise. */
export interface IrqLine {
  set(level: boolean): void;
}

/**
 * Time as devices know it: nanoseconds of guest time since the machine was made, and alarms on it.
 * In deterministic mode it advances with retired instructions, else with the host's clock.
 */
export interface DeviceClock {
  /** Nanoseconds, a safe integer. */
  now(): number;
  /** Calls `ring` once at or after guest time `atNs`. A new call for the same alarm replaces the old one. */
  alarm(ring: () => void): Alarm;
}
export interface Alarm {
  /** Nanoseconds of guest time; undefined disarms. */
  set(atNs: number | undefined): void;
}

/** A range of a bus held by a device, until it is released. */
export interface Claim {
  release(): void;
}

const cut = (value: number, size: AccessSize): number =>
  size === 4 ? value >>> 0 : size === 2 ? value & 0xffff : value & 0xff;
const allOnes = (size: AccessSize): number => (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff);

const nobody: PortDevice & MmioDevice = {
  readPort: (_port, size) => allOnes(size),
  writePort: () => {},
  readMmio: (_offset, size) => allOnes(size),
  writeMmio: () => {},
};

const portCount = 0x1_0000;

/** The 64 Ki ports: one byte each says which device owns it, so a look-up is two loads. */
export class PortBus {
  readonly #owner = new Uint8Array(portCount);
  readonly #devices: PortDevice[] = [nobody];

  /** Takes `length` ports for `device`; undefined, and nothing taken, when a port has an owner or does not exist. */
  claim(base: number, length: number, device: PortDevice): Claim | undefined {
    if (length <= 0 || base < 0 || base + length > portCount) return undefined;
    for (let port = base; port < base + length; port++) if (this.#owner[port] !== 0) return undefined;
    this.#owner.fill(this.#slotOf(device), base, base + length);
    return { release: () => void this.#owner.fill(0, base, base + length) };
  }

  read(port: number, size: AccessSize): number {
    return cut(this.#devices[this.#owner[port & 0xffff]].readPort(port & 0xffff, size), size);
  }

  write(port: number, size: AccessSize, value: number): void {
    this.#devices[this.#owner[port & 0xffff]].writePort(port & 0xffff, size, cut(value, size));
  }

  #slotOf(device: PortDevice): number {
    const known = this.#devices.indexOf(device);
    if (known >= 0) return known;
    assert(this.#devices.length < 256, "a port bus holds at most 255 devices");
    return this.#devices.push(device) - 1;
  }
}

interface MmioRange {
  readonly base: number;
  readonly end: number;
  readonly device: MmioDevice;
  readonly name: string;
}
const nowhere: MmioRange = { base: 0, end: 0, device: nobody, name: "" };

/** A range of addresses that a device has claimed. */
export interface MmioSlot extends MemoryRange {
  /** For people. */
  readonly name: string;
}

/** Ranges of guest-physical addresses outside RAM, sorted; the last one hit is tried first. */
export class MmioBus {
  readonly #ranges: MmioRange[] = [];
  #last: MmioRange = nowhere;
  readonly #ram: () => readonly MemoryRange[];

  /** `ram`: where RAM lies, now or later: there it is RAM that an access finds. */
  constructor(ram: () => readonly MemoryRange[] = () => []) {
    this.#ram = ram;
  }

  /** What is claimed, in order of address. */
  get slots(): MmioSlot[] {
    return this.#ranges.map(({ base, end, name }) => ({ base, size: end - base, name }));
  }

  /** Takes `[base, base + length)` for `device`; undefined, and nothing taken, when it touches another claim or RAM. */
  claim(base: number, length: number, device: MmioDevice, name = "device"): Claim | undefined {
    const end = base + length;
    if (length <= 0 || base < 0 || !Number.isSafeInteger(end)) return undefined;
    if (this.#ranges.some((range) => base < range.end && range.base < end)) return undefined;
    if (this.#ram().some((range) => base < range.base + range.size && range.base < end)) return undefined;
    const range: MmioRange = { base, end, device, name };
    this.#ranges.push(range);
    this.#ranges.sort((a, b) => a.base - b.base);
    return { release: () => this.#release(range) };
  }

  read(gpa: number, size: AccessSize): number {
    const range = this.#find(gpa);
    return cut(range.device.readMmio(gpa - range.base, size), size);
  }

  write(gpa: number, size: AccessSize, value: number): void {
    const range = this.#find(gpa);
    range.device.writeMmio(gpa - range.base, size, cut(value, size));
  }

  /** Whether a device answers at `gpa`. */
  claims(gpa: number): boolean {
    return this.#find(gpa) !== nowhere;
  }

  #release(range: MmioRange): void {
    const at = this.#ranges.indexOf(range);
    if (at >= 0) this.#ranges.splice(at, 1);
    this.#last = nowhere;
  }

  #find(gpa: number): MmioRange {
    const last = this.#last;
    if (gpa >= last.base && gpa < last.end) return last;
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ranges[middle].end <= gpa) low = middle + 1;
      else high = middle;
    }
    const range = this.#ranges[low];
    if (range === undefined || gpa < range.base) return nowhere;
    this.#last = range;
    return range;
  }
}
