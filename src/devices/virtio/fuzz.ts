/**
 * A driver that knows where it hurts: random and adversarial registers, rings and descriptors against any virtio device.
 *
 * A case is one life of the device: reset, a negotiation (mostly a good one), chains of every kind of badness, kicks, host
 * events in between. Judged of each case: nothing throws, nothing outside guest memory is touched, and the work for one access of
 * the guest is bounded. The same seed gives the same cases.
 */
import { type Gpa, gpa } from "#address";
import type { GuestRange } from "#memory";
import type { AccessSize } from "../bus.ts";
import { ManualClock } from "../manual-clock.ts";
import type { VirtioDevice } from "./device.ts";
import { transportFeatures } from "./features.ts";
import { VirtioPci } from "./pci-transport.ts";
import { commonConfig, deviceStatus, region, regionBytes } from "./registers.ts";
import { FlatMemory } from "./test-driver.ts";

const memoryBytes = 1 << 18;
/** Accesses of memory, and bytes, that one access of the guest to a register may cause. */
const mostAccesses = 200_000;
const mostBytes = 96 << 20;
const ringSize = 8;
const queueBytes = 0x400;

export type Random = (below: number) => number;

export interface Fuzzed {
  readonly device: VirtioDevice;
  /** Something happens in the host: an answer, input, room. */
  readonly hostEvent?: (random: Random) => void;
}

/** Makes a device over some memory, with a host that is played by the maker. */
export type MakeFuzzed = (memory: FuzzMemory, random: Random) => Fuzzed;

export interface FuzzReport {
  readonly cases: number;
  /** Chains that devices gave back, and devices that asked for a reset: a fuzzer that gets nowhere finds nothing. */
  readonly chainsUsed: number;
  readonly needsReset: number;
  readonly failures: readonly { readonly case: number; readonly what: string }[];
}

/** Counts what is done to it. A word outside it throws, as a bug of ours should. */
export class FuzzMemory extends FlatMemory {
  accesses = 0;
  transferred = 0;

  constructor() {
    super(memoryBytes);
    for (const name of ["load16", "load32", "store16", "store32"] as const) {
      const plain = this[name] as (at: Gpa, value: number) => number;
      Object.assign(this, {
        [name]: (at: Gpa, value: number) => {
          this.accesses++;
          return plain(at, value);
        },
      });
    }
  }

  override read(at: Gpa, target: Uint8Array): boolean {
    this.#count(target.length);
    return super.read(at, target);
  }

  override access<T>(ranges: readonly GuestRange[], write: boolean, use: (pieces: Uint8Array[]) => T): T | undefined {
    return super.access(ranges, write, (pieces) => {
      for (const piece of pieces) this.#count(piece.length);
      return use(pieces);
    });
  }

  override write(at: Gpa, source: Uint8Array): boolean {
    this.#count(source.length);
    return super.write(at, source);
  }

  #count(bytes: number): void {
    this.accesses++;
    this.transferred += bytes;
  }
}

export function fuzzDevice(make: MakeFuzzed, cases: number, seed: number, first = 0): FuzzReport {
  const failures: { case: number; what: string }[] = [];
  let chainsUsed = 0;
  let needsReset = 0;
  for (let n = first; n < first + cases && failures.length < 20; n++) {
    const life = new Life(make, randomFrom(seed + n * 0x9e3779b1));
    const what = life.run();
    if (what !== undefined) failures.push({ case: n, what });
    chainsUsed += life.chainsUsed;
    needsReset += life.needsReset ? 1 : 0;
  }
  return { cases, chainsUsed, needsReset, failures };
}

function randomFrom(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

class Life {
  readonly #random: Random;
  readonly #memory = new FuzzMemory();
  readonly #clock = new ManualClock();
  readonly #fuzzed: Fuzzed;
  readonly #transport: VirtioPci;
  readonly #queues: number;
  needsReset = false;

  constructor(make: MakeFuzzed, random: Random) {
    this.#random = random;
    this.#fuzzed = make(this.#memory, random);
    this.#transport = new VirtioPci(this.#fuzzed.device, { memory: this.#memory, clock: this.#clock, msi: () => {} });
    this.#queues = this.#fuzzed.device.queueSizes.length;
  }

  get chainsUsed(): number {
    const states = this.#transport.parts().map(([, part]) => part.save());
    return states.reduce((sum, state) => sum + (typeof state.nextUsed === "number" ? state.nextUsed : 0), 0);
  }

  /** What went wrong. */
  run(): string | undefined {
    const random = this.#random;
    try {
      this.#start();
      const steps = 4 + random(24);
      for (let n = 0; n < steps; n++) {
        this.#step();
        const wrong = this.#judge();
        if (wrong !== undefined) return wrong;
      }
      this.needsReset = (this.#transport.readMmio(commonConfig.status, 1) & deviceStatus.needsReset) !== 0;
      return undefined;
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }

  #judge(): string | undefined {
    const { accesses, transferred } = this.#memory;
    this.#memory.accesses = 0;
    this.#memory.transferred = 0;
    if (accesses > mostAccesses) return `${accesses} accesses of memory for one of the guest`;
    return transferred > mostBytes ? `${transferred} bytes moved for one access of the guest` : undefined;
  }

  #step(): void {
    const random = this.#random;
    switch (random(12)) {
      case 0:
        return this.#register();
      case 1:
        return this.#fuzzed.hostEvent?.(random);
      case 2:
        return this.#clock.advance(random(1000));
      case 3:
        return this.#scribble();
      case 4:
        if (random(20) === 0) this.#start();
        else this.#saveAndRestore();
        return;
      default:
        return this.#request();
    }
  }

  /** Brings the device up as a good driver does, or nearly so. */
  #start(): void {
    const random = this.#random;
    const c = commonConfig;
    this.#write(c.status, 1, 0);
    this.#fuzzed.hostEvent?.(random);
    const all = this.#fuzzed.device.features | transportFeatures;
    const features = random(4) === 0 ? all & ((1n << 32n) | BigInt(random(2 ** 32))) : all;
    this.#write(c.status, 1, 3);
    for (const select of [0, 1]) {
      this.#write(c.driverFeatureSelect, 4, select);
      this.#write(c.driverFeature, 4, Number((features >> BigInt(32 * select)) & 0xffff_ffffn));
    }
    this.#write(c.status, 1, 11);
    for (let queue = 0; queue < this.#queues; queue++) {
      if (random(20) === 0) continue;
      const { table, available, used } = this.#ring(queue);
      this.#write(c.queueSelect, 2, queue);
      this.#write(c.queueSize, 2, Math.min(ringSize, this.#fuzzed.device.queueSizes[queue] ?? 0));
      for (const [k, at] of [table, available, used].entries()) {
        this.#write(c.queueAddresses + 8 * k, 4, random(200) === 0 ? this.#address() >>> 0 : at);
        this.#write(c.queueAddresses + 8 * k + 4, 4, random(200) === 0 ? random(2 ** 32) : 0);
      }
      this.#write(c.queueEnable, 2, 1);
      this.#memory.bytes.fill(0, table, table + queueBytes);
    }
    this.#write(c.status, 1, 15);
  }

  #ring(queue: number): { table: number; available: number; used: number } {
    const table = 0x1000 + queue * queueBytes;
    return { table, available: table + 0x100, used: table + 0x200 };
  }

  /** Any register, any value; configuration space too. */
  #register(): void {
    const random = this.#random;
    const size = ([1, 2, 4] as const)[random(3)] as AccessSize;
    const offset = random(6) * regionBytes + (random(4) === 0 ? random(regionBytes) : random(80));
    const place = offset - (offset % size);
    const value = this.#number();
    const pciFunction = this.#transport.function;
    switch (random(4)) {
      case 0:
        return pciFunction.write(random(256) & ~(size - 1), size, value);
      case 1:
        return void pciFunction.read(random(256) & ~(size - 1), size);
      case 2:
        return void this.#transport.readMmio(place, size);
      default:
        return this.#transport.writeMmio(place, size, value);
    }
  }

  #scribble(): void {
    const random = this.#random;
    const at = 0x1000 + random(this.#queues * queueBytes);
    for (let n = 0; n < 1 + random(8); n++) this.#memory.bytes[at + n] = random(256);
  }

  #saveAndRestore(): void {
    const saved = this.#transport.parts().map(([, part]) => part.save());
    for (const [n, [, part]] of this.#transport.parts().entries()) part.restore(saved[n] ?? {});
  }

  /** Some chains, mostly good ones, made available and kicked. */
  #request(): void {
    const random = this.#random;
    const queue = random(this.#queues);
    const { table, available } = this.#ring(queue);
    const count = 1 + random(3);
    let index = this.#memory.load16(gpa(available + 2));
    for (let n = 0; n < count; n++) {
      const head = random(200) === 0 ? random(0x10000) : random(4) === 0 ? random(ringSize) : index % ringSize;
      this.#chain(table, head % ringSize);
      this.#memory.store16(gpa(available + 4 + 2 * (index % ringSize)), head);
      index += random(300) === 0 ? random(0x10000) : 1;
    }
    this.#memory.store16(gpa(available + 2), index & 0xffff);
    this.#memory.store16(gpa(available + 4 + 2 * ringSize), random(2) === 0 ? index & 0xffff : random(0x10000));
    this.#transport.writeMmio(region.notify + 4 * queue, 2, queue);
  }

  #chain(table: number, head: number): void {
    const random = this.#random;
    const length = 1 + random(4);
    const writableFrom = random(length + 1);
    for (let n = 0; n < length; n++) {
      const slot = (head + n) % ringSize;
      const last = n === length - 1;
      let flags = (last ? 0 : 1) | (n >= writableFrom ? 2 : 0);
      if (random(150) === 0) flags ^= 1 << random(4);
      const next = random(200) === 0 ? random(0x10000) : (slot + 1) % ringSize;
      const indirect = last && random(8) === 0;
      const at = indirect ? this.#indirectTable() : this.#address();
      const size = indirect ? 16 * (1 + random(4)) : this.#length();
      this.#descriptor(table + 16 * slot, at, size, indirect ? 4 : flags, next);
      if (!indirect && at >= 0 && at + 64 <= memoryBytes) this.#content(at);
    }
  }

  /** Four descriptors somewhere; some of them no table at all. */
  #indirectTable(): number {
    const random = this.#random;
    const at = 0x8000 + 64 * random(64);
    for (let n = 0; n < 4 && random(16) > 0; n++)
      this.#descriptor(at + 16 * n, this.#address(), this.#length(), (n < 3 ? 1 : 0) | 2, n + 1);
    return at;
  }

  /** What many headers look like: small numbers in 32-bit words. */
  #content(at: number): void {
    const random = this.#random;
    for (let n = 0; n < 8; n++)
      this.#memory.store32(gpa(Math.floor(at / 4) * 4 + 4 * n), random(3) === 0 ? this.#number() : random(16));
  }

  #descriptor(at: number, address: number, length: number, flags: number, next: number): void {
    this.#memory.store32(gpa(at), address >>> 0);
    this.#memory.store32(gpa(at + 4), Math.floor(Math.max(0, address) / 2 ** 32));
    this.#memory.store32(gpa(at + 8), length);
    this.#memory.store32(gpa(at + 12), (flags & 0xffff) | (next << 16));
  }

  #address(): number {
    const random = this.#random;
    switch (random(100)) {
      case 0:
        return memoryBytes - random(64);
      case 1:
        return random(2 ** 32) * 2 ** random(30);
      case 2:
        return 0x1000 + random(0x1000);
      default:
        return 0x10000 + random(memoryBytes - 0x11000);
    }
  }

  #length(): number {
    const random = this.#random;
    switch (random(60)) {
      case 0:
        return random(2 ** 32);
      case 1:
        return memoryBytes - random(1 << 16);
      case 2:
        return 0;
      case 3:
        return 1;
      case 4:
        return 512 * (1 + random(16));
      default:
        return 1 + random(80);
    }
  }

  #number(): number {
    const random = this.#random;
    switch (random(4)) {
      case 0:
        return random(2 ** 32);
      case 1:
        return 0xffff_ffff - random(4);
      default:
        return random(256);
    }
  }

  #write(offset: number, size: AccessSize, value: number): void {
    this.#transport.writeMmio(region.common + offset, size, value);
  }
}
