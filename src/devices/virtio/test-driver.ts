/**
 * The driver's side for tests of devices: guest memory in an array, a device behind its transport, and rings that the test fills.
 *
 *     const t = new TestDriver(new Rng(fill));
 *     const head = t.add(0, [bytes], [64]);       // readable buffers, sizes of writable ones
 *     t.kick(0);
 *     t.used(0);                                  // [{ head, written, bytes }]
 */
import type { Gpa } from "#address";
import { gpa, hpa } from "#address";
import type { DeviceMemory, GuestRange, Pinned } from "#memory";
import { ManualClock } from "../manual-clock.ts";
import type { VirtioDevice } from "./device.ts";
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 } from "./features.ts";
import { VirtioPci } from "./pci-transport.ts";
import { commonConfig, deviceStatus, region } from "./registers.ts";

/** Guest memory that is one array from address 0 on. */
export class FlatMemory implements DeviceMemory {
  readonly bytes: Uint8Array;
  /** Pages given back. */
  readonly released: number[] = [];
  /** Pinned and not released. */
  pinned = 0;
  readonly #view: DataView;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  isRam(at: Gpa, length: number): boolean {
    return Number.isSafeInteger(at) && at >= 0 && at + length <= this.bytes.length;
  }

  read(at: Gpa, target: Uint8Array): boolean {
    if (!this.isRam(at, target.length)) return false;
    target.set(this.bytes.subarray(at, at + target.length));
    return true;
  }

  write(at: Gpa, source: Uint8Array): boolean {
    if (!this.isRam(at, source.length)) return false;
    this.bytes.set(source, at);
    return true;
  }

  load16 = (at: Gpa): number => this.#view.getUint16(at, true);
  load32 = (at: Gpa): number => this.#view.getUint32(at, true);
  pin(ranges: readonly GuestRange[], _write: boolean): Pinned | undefined {
    if (!ranges.every((range) => this.isRam(range.gpa, range.length))) return undefined;
    this.pinned++;
    return {
      pieces: ranges.map((range) => ({ hpa: hpa(range.gpa), length: range.length })),
      release: () => void this.pinned--,
    };
  }

  access<T>(ranges: readonly GuestRange[], _write: boolean, use: (pieces: Uint8Array[]) => T): T | undefined {
    if (!ranges.every((range) => this.isRam(range.gpa, range.length))) return undefined;
    return use(ranges.map((range) => this.bytes.subarray(range.gpa, range.gpa + range.length)));
  }

  release(gfns: readonly number[]): number {
    const there = gfns.filter((gfn) => this.isRam(gpa(gfn * pageBytes), pageBytes));
    for (const gfn of there) this.bytes.fill(0, gfn * pageBytes, (gfn + 1) * pageBytes);
    this.released.push(...there);
    return there.length;
  }

  store16 = (at: Gpa, value: number): void => this.#view.setUint16(at, value, true);
  store32 = (at: Gpa, value: number): void => this.#view.setUint32(at, value, true);
}

export interface UsedChain {
  readonly head: number;
  readonly written: number;
  /** The writable buffers, one after the other, as far as they were written. */
  readonly bytes: Uint8Array;
}

interface Ring {
  readonly size: number;
  readonly descriptors: Gpa;
  readonly available: Gpa;
  readonly used: Gpa;
  nextDescriptor: number;
  taken: number;
  readonly writable: Map<number, { at: Gpa; length: number }[]>;
}

const ringSize = 16;
const pageBytes = 4096;

export class TestDriver {
  readonly memory: FlatMemory;
  readonly clock = new ManualClock();
  readonly transport: VirtioPci;
  /** MSI messages' data: the vector, as the driver set it up: 0 for the configuration, then the queues. */
  readonly interrupts: number[] = [];
  readonly notices: string[] = [];
  readonly rings: Ring[];
  #free = 0x10_0000;

  /** `features`: besides VERSION_1, as far as the device offers them. `start`: set up as a good driver does. */
  constructor(
    device: VirtioDevice,
    {
      features = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | device.features,
      start = true,
      memoryBytes = 8 << 20,
    } = {},
  ) {
    this.memory = new FlatMemory(memoryBytes);
    this.transport = new VirtioPci(device, {
      memory: this.memory,
      clock: this.clock,
      msi: (_, data) => void this.interrupts.push(data),
      notice: (line) => void this.notices.push(line),
    });
    this.rings = device.queueSizes.map((size, n) => ({
      size: Math.min(size, ringSize),
      descriptors: gpa(0x1000 + n * 3 * pageBytes),
      available: gpa(0x2000 + n * 3 * pageBytes),
      used: gpa(0x3000 + n * 3 * pageBytes),
      nextDescriptor: 0,
      taken: 0,
      writable: new Map(),
    }));
    if (start) this.start(features | VIRTIO_F_VERSION_1);
  }

  /** The register accesses by which a driver brings the device up. */
  start(features: bigint): void {
    const c = commonConfig;
    this.#enableMsix();
    this.write(c.status, 1, 3);
    for (const select of [0, 1]) {
      this.write(c.driverFeatureSelect, 4, select);
      this.write(c.driverFeature, 4, Number((features >> BigInt(32 * select)) & 0xffff_ffffn));
    }
    this.write(c.status, 1, 3 | deviceStatus.featuresOk);
    this.write(c.configVector, 2, 0);
    for (const [n, ring] of this.rings.entries()) {
      this.write(c.queueSelect, 2, n);
      this.write(c.queueSize, 2, ring.size);
      this.write(c.queueVector, 2, n + 1);
      for (const [k, at] of [ring.descriptors, ring.available, ring.used].entries()) {
        this.write(c.queueAddresses + 8 * k, 4, at);
        this.write(c.queueAddresses + 8 * k + 4, 4, 0);
      }
      this.write(c.queueEnable, 2, 1);
    }
    this.write(c.status, 1, 3 | deviceStatus.featuresOk | deviceStatus.driverOk);
  }

  /** Writes a register of the common configuration. */
  write(offset: number, size: 1 | 2 | 4, value: number): void {
    this.transport.writeMmio(region.common + offset, size, value);
  }

  read(offset: number, size: 1 | 2 | 4): number {
    const value = this.transport.readMmio(region.common + offset, size);
    return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
  }

  get status(): number {
    return this.read(commonConfig.status, 1);
  }

  config(offset: number, size: 1 | 2 | 4 = 4): number {
    return this.transport.readMmio(region.device + offset, size) >>> 0;
  }

  setConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    this.transport.writeMmio(region.device + offset, size, value);
  }

  reset(): void {
    this.write(commonConfig.status, 1, 0);
  }

  /** Memory for a buffer. */
  allot(length: number): Gpa {
    const at = gpa(this.#free);
    this.#free += Math.ceil(length / 16) * 16;
    return at;
  }

  /** Makes a chain available: buffers for the device to read, then room of these sizes. Gives its head. */
  add(queue: number, readable: readonly Uint8Array[], writable: readonly number[] = []): number {
    const buffers = [
      ...readable.map((bytes) => {
        const at = this.allot(bytes.length);
        this.memory.write(at, bytes);
        return { at, length: bytes.length, write: false };
      }),
      ...writable.map((length) => ({ at: this.allot(length), length, write: true })),
    ];
    const ring = this.rings[queue] as Ring;
    const slots = buffers.map(() => ring.nextDescriptor++ % ring.size);
    for (const [n, { at, length, write }] of buffers.entries()) {
      const next = slots[n + 1];
      this.descriptor(queue, slots[n] as number, at, length, (next === undefined ? 0 : 1) | (write ? 2 : 0), next ?? 0);
    }
    const head = slots[0] as number;
    ring.writable.set(
      head,
      buffers.filter((each) => each.write),
    );
    this.makeAvailable(queue, head);
    return head;
  }

  /** Writes one descriptor, good or bad. */
  descriptor(queue: number, slot: number, at: number, length: number, flags: number, next = 0): void {
    const entry = (this.rings[queue] as Ring).descriptors + 16 * slot;
    this.memory.store32(gpa(entry), at >>> 0);
    this.memory.store32(gpa(entry + 4), Math.floor(at / 2 ** 32));
    this.memory.store32(gpa(entry + 8), length);
    this.memory.store32(gpa(entry + 12), flags | (next << 16));
  }

  makeAvailable(queue: number, head: number): void {
    const { available, size } = this.rings[queue] as Ring;
    const index = this.memory.load16(gpa(available + 2));
    this.memory.store16(gpa(available + 4 + 2 * (index % size)), head);
    this.memory.store16(gpa(available + 2), (index + 1) & 0xffff);
  }

  kick(queue: number): void {
    this.transport.writeMmio(region.notify + 4 * queue, 2, queue);
  }

  /** What the device has given back since the last call. */
  used(queue: number): UsedChain[] {
    const ring = this.rings[queue] as Ring;
    const chains: UsedChain[] = [];
    for (; ring.taken !== this.memory.load16(gpa(ring.used + 2)); ring.taken = (ring.taken + 1) & 0xffff) {
      const entry = ring.used + 4 + 8 * (ring.taken % ring.size);
      const [head, written] = [this.memory.load32(gpa(entry)), this.memory.load32(gpa(entry + 4))];
      const all = (ring.writable.get(head) ?? []).flatMap(({ at, length }) => [
        ...this.memory.bytes.subarray(at, at + length),
      ]);
      chains.push({ head, written, bytes: Uint8Array.from(all.slice(0, written)) });
    }
    // As the driver that wants an interrupt for each next one.
    this.memory.store16(gpa(ring.available + 4 + 2 * ring.size), ring.taken);
    return chains;
  }

  #enableMsix(): void {
    const { config } = this.transport.function;
    let at = config[0x34] as number;
    while (at !== 0 && config[at] !== 0x11) at = config[at + 1] as number;
    this.transport.function.write(at + 2, 2, 0x8000);
    for (let vector = 0; vector <= this.rings.length; vector++) {
      [0xfee0_0000, 0, vector, 0].forEach((word, n) =>
        this.transport.writeMmio(region.msixTable + 16 * vector + 4 * n, 4, word),
      );
    }
  }
}
