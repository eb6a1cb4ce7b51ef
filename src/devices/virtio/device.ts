/**
 * What a virtio device is to its transport, and what its driver's side is to the device.
 *
 * The transport (pci-transport.ts) has the registers, the negotiation and the interrupts; the virtqueues parse what the
 * driver writes into its rings; so a device sees chains of guest memory that are known to be RAM, and nothing else of the
 * guest. All of it happens on the machine's thread.
 */
import type { GuestRange } from "#memory";
import type { DeviceState, Stateful } from "../state.ts";

/** One request: what the driver wrote for the device to read, then room for the answer. All of it is RAM. */
export interface Chain {
  readonly readable: readonly GuestRange[];
  readonly writable: readonly GuestRange[];
  readonly readableBytes: number;
  readonly writableBytes: number;
  /** Copies bytes of the readable part, from `offset` on, into `target`; how many there were. */
  read(offset: number, target: Uint8Array): number;
  /** Copies `source` into the writable part, from `offset` on; how many fitted. */
  write(offset: number, source: Uint8Array): number;
}

export interface Virtqueue {
  /**
   * The next chain the driver has made available. Undefined when there is none, when the queue is not in use, or when the
   * device has had its share of this turn: then `kick` is called again soon.
   */
  pop(): Chain | undefined;
  /** Gives a chain back, `writtenBytes` of its writable part written from its start on. Chains may come back in any order. */
  push(chain: Chain, writtenBytes: number): void;
  /** Interrupts the driver, if chains were pushed since the last time and it wants to know. */
  flush(): void;
  /** Whether `pop` would give a chain. */
  readonly hasWork: boolean;
}

/** The driver, once it is ready: from `start` to `stop`. */
export interface VirtioDriver {
  /** What was negotiated. */
  readonly features: bigint;
  readonly queues: readonly Virtqueue[];
  /** The configuration space has changed by itself: tells the driver. */
  configChanged(): void;
  /** The driver broke the device's rules beyond repair: nothing more is done for it before it resets the device. */
  needsReset(): void;
}

export interface VirtioDevice<S extends DeviceState = DeviceState> extends Stateful<S> {
  /** As numbered in the specification's "Device Types". */
  readonly type: number;
  /** PCI's, 24 bits. */
  readonly classCode: number;
  /** Its own; those of the ring and the transport are not its business. */
  readonly features: bigint;
  /** The largest size of each queue: a power of two, at most 1024. */
  readonly queueSizes: readonly number[];
  /** MSI-X messages it can send; without a word one a queue, and one for the configuration. */
  readonly vectors?: number;
  /** Chains that it is given in a turn, for the machine to look around after them; without a word a queue's size. */
  readonly turnChains?: number;
  /** Bytes of a chain, both parts together; 64 MiB without a word. A longer one breaks the rules. */
  readonly maxChainBytes?: number;
  /**
   * While true after `stop`, the driver sees the reset as not finished: what is on its way in the host may still touch guest
   * memory.
   */
  readonly draining?: boolean;
  /** Device-specific configuration; zeros beyond its end. */
  readConfig(offset: number, size: number): number;
  writeConfig(offset: number, size: number, value: number): void;
  /** The driver is ready (DRIVER_OK), or a restored one is again: then `restore` came first. */
  start(driver: VirtioDriver): void;
  /** The driver made something available in this queue. Only between `start` and `stop`. */
  kick(queue: number): void;
  /** Reset by the driver: no chain and no queue of before is good any more. */
  stop(): void;
}
