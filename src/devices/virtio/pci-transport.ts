/**
 * A virtio device on PCI (virtio 1.2, "Virtio Over PCI Bus"): modern registers only, MSI-X, and INTx where the driver takes none.
 *
 *   BAR 0   0x0000 common configuration   0x1000 ISR status   0x2000 the device's configuration
 *           0x3000 notifications, 4 bytes a queue   0x4000 MSI-X table   0x5000 MSI-X pending bits
 *
 * Laws: the device is started exactly between DRIVER_OK, with features it has and rings in RAM, and the driver's reset. What
 * the driver writes against the rules has no effect, or sets DEVICE_NEEDS_RESET; it never raises an exception.
 */
import { littleEndian } from "#base";
import type { DeviceMemory } from "#memory";
import type { AccessSize, Alarm, DeviceClock, MmioDevice } from "../bus.ts";
import { Msix, PciFunction } from "../pci/index.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import type { VirtioDevice } from "./device.ts";
import { transportFeatures, VIRTIO_F_VERSION_1 } from "./features.ts";
import { newTransportState, type QueueState, type TransportState, VIRTIO_MSI_NO_VECTOR } from "./persist.ts";
import { capability, commonConfig, deviceStatus, isrStatus, region, regionBytes, vendorId } from "./registers.ts";
import { SplitQueue } from "./split-queue.ts";

export interface TransportOptions {
  readonly memory: DeviceMemory;
  readonly clock: DeviceClock;
  /** Writes a message-signalled interrupt. */
  readonly msi: (address: number, data: number) => void;
  /** For the person who runs the machine: what a driver did that no driver may. */
  readonly notice?: (line: string) => void;
}

export class VirtioPci implements MmioDevice, Stateful<TransportState> {
  readonly function: PciFunction;
  readonly device: VirtioDevice;
  readonly #options: TransportOptions;
  readonly #state: TransportState = newTransportState();
  readonly #queues: readonly SplitQueue[];
  readonly #msix: Msix;
  /** Offset of the capability that is a window on the BAR. */
  readonly #window: number;
  readonly #again: Alarm;
  /** Bits of the queues whose turn goes on at the alarm. */
  readonly #waiting = new Set<number>();
  #started = false;

  constructor(device: VirtioDevice, options: TransportOptions) {
    this.device = device;
    this.#options = options;
    this.#queues = device.queueSizes.map((size, n) => this.#newQueue(size, n));
    this.function = new PciFunction(
      {
        vendor: vendorId,
        device: 0x1040 + device.type,
        classCode: device.classCode,
        revision: 1,
        subsystemVendor: vendorId,
        subsystem: 0x40 + device.type,
        interruptPin: 1,
      },
      {
        beforeRead: (offset, size) => this.#readWindow(offset, size),
        afterWrite: (offset, size) => this.#configWritten(offset, size),
      },
    );
    this.function.addBar(0, { kind: "memory64", size: regionBytes * 8, device: this });
    this.#window = this.#addCapabilities();
    this.#msix = new Msix(
      this.function,
      {
        vectors: device.vectors ?? device.queueSizes.length + 1,
        bar: 0,
        tableOffset: region.msixTable,
        pendingOffset: region.msixPending,
      },
      options.msi,
    );
    this.#again = options.clock.alarm(() => this.#nextTurn());
  }

  /** All state there is, in the order of a restore. */
  parts(): readonly (readonly [name: string, part: Stateful])[] {
    return [
      ["device", this.device],
      ["msix", this.#msix as Stateful],
      ...this.#queues.map((queue, n) => [`queue${n}`, queue as Stateful] as const),
      ["transport", this as Stateful],
    ];
  }

  readMmio(offset: number, size: AccessSize): number {
    const at = offset % regionBytes;
    switch (offset - at) {
      case region.common:
        return (this.#readCommon(at & ~3) >>> (8 * (at & 3))) >>> 0;
      case region.isr:
        return at === 0 ? this.#takeIsr() : 0;
      case region.device:
        return this.device.readConfig(at, size);
      case region.msixTable:
        return this.#msix.readTable(at) >>> (8 * (at & 3));
      case region.msixPending:
        return this.#msix.readPending(at) >>> (8 * (at & 3));
      default:
        return 0;
    }
  }

  writeMmio(offset: number, size: AccessSize, value: number): void {
    const at = offset % regionBytes;
    switch (offset - at) {
      case region.common:
        return this.#writeCommon(at, size, value);
      case region.device:
        return this.device.writeConfig(at, size, value);
      case region.notify:
        return this.#kick(at >> 2);
      case region.msixTable:
        if (size === 4) this.#msix.writeTable(at, value);
    }
  }

  save(): TransportState {
    return copyState(this.#state);
  }

  restore(saved: TransportState): void {
    restoreState(this.#state, saved);
    this.#waiting.clear();
    this.#started = false;
    this.#updateIntx();
    if ((this.#state.status & deviceStatus.driverOk) === 0) return this.device.stop();
    this.#start();
    // What was in flight, and what came before anybody looked.
    for (const n of this.#queues.keys()) this.#kickAgain(n);
  }

  #newQueue(size: number, n: number): SplitQueue {
    return new SplitQueue(
      this.#options.memory,
      size,
      {
        interrupt: () => this.#interrupt(this.#queues[n].state.vector, isrStatus.queue),
        broken: (why) => this.#needsReset(`queue ${n}: ${why}`),
        again: () => this.#kickAgain(n),
      },
      this.device,
    );
  }

  // Configuration space.

  #addCapabilities(): number {
    const add = (type: number, offset: number, length: number, extra = 0): number => {
      const body = new DataView(new ArrayBuffer(14 + extra));
      body.setUint8(0, 16 + extra);
      body.setUint8(1, type);
      body.setUint32(6, offset, true);
      body.setUint32(10, length, true);
      if (type === capability.notify) body.setUint32(14, 4, true);
      // BAR, offset, length and data of the window are the driver's.
      const writable = new Uint8Array(14 + extra);
      if (type === capability.window) writable.fill(0xff, 2, 3).fill(0xff, 6);
      return this.function.addCapability(9, new Uint8Array(body.buffer), writable);
    };
    add(capability.common, region.common, commonConfig.bytes);
    add(capability.notify, region.notify, 4 * Math.max(1, this.#queues.length), 4);
    add(capability.isr, region.isr, 1);
    add(capability.device, region.device, regionBytes);
    return add(capability.window, 0, 0, 4);
  }

  /** What the window shows, where it is set up for an access that the BAR knows. */
  #windowAccess(offset: number, size: AccessSize): { at: number; size: AccessSize } | undefined {
    const dataAt = this.#window + 16;
    if (offset !== dataAt) return undefined;
    const view = new DataView(this.function.config.buffer);
    const [at, length] = [view.getUint32(this.#window + 8, true), view.getUint32(this.#window + 12, true)];
    const good =
      view.getUint8(this.#window + 4) === 0 && length === size && at % size === 0 && at + size <= 8 * regionBytes;
    return good ? { at, size } : undefined;
  }

  #readWindow(offset: number, size: AccessSize): void {
    const access = this.#windowAccess(offset, size);
    if (access === undefined) return;
    const value = this.readMmio(access.at, size);
    for (let i = 0; i < size; i++) this.function.config[offset + i] = value >>> (8 * i);
  }

  #configWritten(offset: number, size: AccessSize): void {
    const access = this.#windowAccess(offset, size);
    if (access === undefined) return this.#msix.configWritten();
    this.writeMmio(access.at, size, littleEndian(this.function.config, offset, size));
  }

  // The common configuration.

  /** The word at a multiple of 4. */
  #readCommon(at: number): number {
    const s = this.#state;
    const queue = this.#queues[s.queueSelect]?.state;
    const c = commonConfig;
    switch (at) {
      case c.deviceFeatureSelect:
        return s.deviceFeatureSelect;
      case c.deviceFeature:
        return featureWord(this.#offered, s.deviceFeatureSelect);
      case c.driverFeatureSelect:
        return s.driverFeatureSelect;
      case c.driverFeature:
        return featureWord(s.driverFeatures, s.driverFeatureSelect);
      case c.configVector:
        return s.configVector | (this.#queues.length << 16);
      case c.status:
        return this.#visibleStatus | (s.configGeneration << 8) | (s.queueSelect << 16);
      case c.queueSize:
        return queue === undefined ? 0 : queue.size | (queue.vector << 16);
      case c.queueEnable:
        return queue === undefined ? 0 : queue.enabled | (s.queueSelect << 16);
      default: {
        const field = queueAddress(at);
        return field === undefined ? 0 : (queue?.[field] ?? 0);
      }
    }
  }

  /** Each field is written as a whole; its 64-bit ones by halves. */
  #writeCommon(at: number, size: AccessSize, value: number): void {
    const s = this.#state;
    const c = commonConfig;
    if (size === 1 && at === c.status) return this.#writeStatus(value);
    if (size === 2) return this.#writeCommon16(at, value);
    if (size !== 4) return;
    if (at === c.deviceFeatureSelect) s.deviceFeatureSelect = value;
    else if (at === c.driverFeatureSelect) s.driverFeatureSelect = value;
    else if (at === c.driverFeature) this.#writeDriverFeature(value);
    else {
      const field = queueAddress(at);
      const queue = this.#configurableQueue;
      if (field !== undefined && queue !== undefined) queue[field] = value;
    }
  }

  #writeCommon16(at: number, value: number): void {
    const s = this.#state;
    const c = commonConfig;
    const vector = value < this.#msix.vectors ? value : VIRTIO_MSI_NO_VECTOR;
    if (at === c.configVector) s.configVector = vector;
    else if (at === c.queueSelect) s.queueSelect = value;
    else if (at === c.queueVector) {
      const queue = this.#queues[s.queueSelect];
      if (queue !== undefined) queue.state.vector = vector;
    } else if (at === c.queueSize) {
      const queue = this.#configurableQueue;
      const maxSize = this.#queues[s.queueSelect]?.maxSize ?? 0;
      if (queue !== undefined && value > 0 && value <= maxSize && (value & (value - 1)) === 0) queue.size = value;
    } else if (at === c.queueEnable) {
      const queue = this.#configurableQueue;
      if (queue !== undefined && value === 1) queue.enabled = 1;
    }
  }

  /** The selected queue, while its driver may still set it up. */
  get #configurableQueue(): QueueState | undefined {
    const queue = this.#queues[this.#state.queueSelect]?.state;
    return queue?.enabled === 0 && (this.#state.status & deviceStatus.driverOk) === 0 ? queue : undefined;
  }

  get #offered(): bigint {
    return this.device.features | transportFeatures;
  }

  #writeDriverFeature(value: number): void {
    const s = this.#state;
    if ((s.status & deviceStatus.featuresOk) !== 0 || s.driverFeatureSelect > 1) return;
    const shift = BigInt(32 * s.driverFeatureSelect);
    s.driverFeatures = (s.driverFeatures & ~(0xffff_ffffn << shift)) | (BigInt(value) << shift);
  }

  // Status and life.

  /** A reset is over when nothing in the host can touch the driver's memory any more. */
  get #visibleStatus(): number {
    return this.#state.status === 0 && this.device.draining === true ? deviceStatus.needsReset : this.#state.status;
  }

  #writeStatus(value: number): void {
    if (value === 0) return this.#reset();
    const s = this.#state;
    const driverBits = value & ~deviceStatus.needsReset;
    s.status |= driverBits & ~(deviceStatus.featuresOk | deviceStatus.driverOk);
    if ((driverBits & deviceStatus.featuresOk) !== 0 && this.#featuresAreGood()) s.status |= deviceStatus.featuresOk;
    const ready = (driverBits & deviceStatus.driverOk) !== 0 && (s.status & deviceStatus.featuresOk) !== 0;
    if (!ready || (s.status & deviceStatus.driverOk) !== 0 || this.device.draining === true) return;
    s.status |= deviceStatus.driverOk;
    this.#start();
  }

  #featuresAreGood(): boolean {
    const features = this.#state.driverFeatures;
    return (features & ~this.#offered) === 0n && (features & VIRTIO_F_VERSION_1) !== 0n;
  }

  #start(): void {
    const features = this.#state.driverFeatures;
    const bad = this.#queues.findIndex((queue) => !queue.open(features));
    if (bad >= 0) return this.#needsReset(`queue ${bad}: its rings do not lie in RAM`);
    this.#started = true;
    this.device.start({
      features,
      queues: this.#queues,
      configChanged: () => this.#configChanged(),
      needsReset: () => this.#needsReset("a request that breaks the device's rules"),
    });
  }

  #reset(): void {
    const wasStarted = this.#started;
    this.#started = false;
    this.#waiting.clear();
    restoreState(this.#state, newTransportState());
    for (const queue of this.#queues) queue.reset();
    this.#updateIntx();
    if (wasStarted) this.device.stop();
  }

  #needsReset(why: string): void {
    this.#options.notice?.(`virtio device ${this.device.type}: ${why}: it waits for a reset`);
    for (const queue of this.#queues) queue.close();
    this.#state.status |= deviceStatus.needsReset;
    this.#configChanged();
  }

  #configChanged(): void {
    this.#state.configGeneration = (this.#state.configGeneration + 1) & 0xff;
    if ((this.#state.status & deviceStatus.driverOk) !== 0) this.#interrupt(this.#state.configVector, isrStatus.config);
  }

  // Notifications, both ways.

  #kick(n: number): void {
    const queue = this.#queues[n];
    if (queue === undefined || !this.#started) return;
    queue.beginTurn();
    this.device.kick(n);
  }

  #kickAgain(n: number): void {
    this.#waiting.add(n);
    this.#again.set(this.#options.clock.now());
  }

  #nextTurn(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const n of waiting) this.#kick(n);
  }

  #interrupt(vector: number, isr: number): void {
    if (this.#msix.enabled) return this.#msix.signal(vector);
    this.#state.isr |= isr;
    this.#updateIntx();
  }

  #takeIsr(): number {
    const isr = this.#state.isr;
    this.#state.isr = 0;
    this.#updateIntx();
    return isr;
  }

  #updateIntx(): void {
    this.function.setInterrupt(this.#state.isr !== 0);
  }
}

const featureWord = (features: bigint, select: number): number =>
  select > 1 ? 0 : Number((features >> BigInt(32 * select)) & 0xffff_ffffn);

type QueueAddress = "descriptorsLow" | "descriptorsHigh" | "availableLow" | "availableHigh" | "usedLow" | "usedHigh";
const queueAddresses: readonly QueueAddress[] = [
  "descriptorsLow",
  "descriptorsHigh",
  "availableLow",
  "availableHigh",
  "usedLow",
  "usedHigh",
];

const queueAddress = (at: number): QueueAddress | undefined => queueAddresses[(at - commonConfig.queueAddresses) / 4];
