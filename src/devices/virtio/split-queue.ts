/**
 * A split virtqueue (virtio 1.2, "Split Virtqueues"): descriptor table, available ring of the driver, used ring of the device.
 *
 *   available: u16 flags, u16 index, u16 heads[size], u16 used_event      used: u16 flags, u16 index, (u32 head, u32 written)[size],
 *                                                                               u16 avail_event
 *
 * Laws: a head is in flight at most once, so that no more chains are out than the queue has descriptors. In a turn, from one
 * `beginTurn` to the next, at most `size` chains are given, or as many as the device wants. A driver that breaks a rule breaks the queue: it gives nothing
 * more, and `broken` is told why. Chains of before a reset are ignored.
 * A restored queue gives the chains that were in flight once more, before all others.
 */
import { type Gpa, gpa } from "#address";
import type { DeviceMemory } from "#memory";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { type DescriptorTable, GuestChain } from "./chain.ts";
import type { Chain, VirtioDevice, Virtqueue } from "./device.ts";
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC } from "./features.ts";
import { newQueueState, type QueueState } from "./persist.ts";

const availNoInterrupt = 1;

/** A queue's way to its transport. */
export interface QueueHost {
  interrupt(): void;
  broken(why: string): void;
  /** The turn's share is used up, and more waits. */
  again(): void;
}

/** The device's own. */
type QueueLimits = Pick<VirtioDevice, "turnChains" | "maxChainBytes">;

export class SplitQueue implements Virtqueue, Stateful<QueueState> {
  readonly state: QueueState;
  readonly maxSize: number;
  readonly #memory: DeviceMemory;
  readonly #host: QueueHost;
  readonly #limits: QueueLimits;
  #live = false;
  #era = 0;
  #left = 0;
  #eventIndex = false;
  #indirect = false;
  #table: DescriptorTable = { at: gpa(0), size: 0 };
  #avail = 0;
  #used = 0;
  /** Heads to be given once more. */
  #replay: number[] = [];

  constructor(memory: DeviceMemory, maxSize: number, host: QueueHost, limits: QueueLimits = {}) {
    this.#limits = limits;
    this.#memory = memory;
    this.#host = host;
    this.maxSize = maxSize;
    this.state = newQueueState(maxSize);
  }

  /**
   * Takes the driver's rings into use; false when they do not lie in RAM, aligned. A queue that the driver did not enable
   * stays empty.
   */
  open(features: bigint): boolean {
    const { state } = this;
    if (state.enabled === 0) return true;
    this.#eventIndex = (features & VIRTIO_F_EVENT_IDX) !== 0n;
    this.#indirect = (features & VIRTIO_F_INDIRECT_DESC) !== 0n;
    const { size } = state;
    const table = gpa(state.descriptorsHigh * 2 ** 32 + state.descriptorsLow);
    const avail = gpa(state.availableHigh * 2 ** 32 + state.availableLow);
    const used = gpa(state.usedHigh * 2 ** 32 + state.usedLow);
    const event = this.#eventIndex ? 2 : 0;
    const good =
      this.#isRing(table, 16, 16 * size) &&
      this.#isRing(avail, 2, 4 + 2 * size + event) &&
      this.#isRing(used, 4, 4 + 8 * size + event);
    if (!good) return false;
    this.#table = { at: table, size };
    this.#avail = avail;
    this.#used = used;
    this.#live = true;
    this.#replay = this.#headsInFlight();
    this.beginTurn();
    return true;
  }

  /** Gives nothing more, and takes nothing back. */
  close(): void {
    this.#live = false;
    this.#era++;
  }

  /** As after the device's reset. */
  reset(): void {
    this.close();
    this.#replay = [];
    restoreState(this.state, newQueueState(this.maxSize));
  }

  beginTurn(): void {
    this.#left = Math.min(this.state.size, this.#limits.turnChains ?? Number.POSITIVE_INFINITY);
  }

  get hasWork(): boolean {
    return this.#live && (this.#replay.length > 0 || this.#waiting() > 0);
  }

  pop(): Chain | undefined {
    if (!this.#live) return undefined;
    const replayed = this.#replay.pop();
    if (replayed !== undefined) return this.#chain(replayed);
    const waiting = this.#waiting() || this.#waitingAfterAsking();
    if (waiting === 0) return undefined;
    const { state } = this;
    if (waiting > state.size) return this.#break("the available ring is ahead by more than its size");
    if (this.#left === 0) {
      this.#host.again();
      return undefined;
    }
    this.#left--;
    const head = this.#memory.load16(gpa(this.#avail + 4 + 2 * (state.nextAvailable & (state.size - 1))));
    state.nextAvailable = (state.nextAvailable + 1) & 0xffff;
    if (head >= state.size) return this.#break("an available descriptor lies outside the table");
    const bit = 1 << (head & 7);
    if ((state.inFlight[head >> 3] & bit) !== 0) return this.#break("a descriptor is made available twice");
    state.inFlight[head >> 3] |= bit;
    return this.#chain(head);
  }

  push(chain: Chain, writtenBytes: number): void {
    if (!this.#live || !(chain instanceof GuestChain) || chain.era !== this.#era) return;
    const { state } = this;
    const bit = 1 << (chain.head & 7);
    if ((state.inFlight[chain.head >> 3] & bit) === 0) return;
    state.inFlight[chain.head >> 3] &= ~bit;
    const at = this.#used + 4 + 8 * (state.nextUsed & (state.size - 1));
    this.#memory.store32(gpa(at), chain.head);
    this.#memory.store32(gpa(at + 4), writtenBytes);
    state.nextUsed = (state.nextUsed + 1) & 0xffff;
    this.#memory.store16(gpa(this.#used + 2), state.nextUsed);
  }

  flush(): void {
    const { state } = this;
    if (!this.#live || state.nextUsed === state.signalledUsed) return;
    const since = (state.nextUsed - state.signalledUsed) & 0xffff;
    state.signalledUsed = state.nextUsed;
    if (this.#wantsInterrupt(since)) this.#host.interrupt();
  }

  save(): QueueState {
    return copyState(this.state);
  }

  restore(saved: QueueState): void {
    this.close();
    restoreState(this.state, saved);
  }

  #isRing(at: Gpa, alignment: number, bytes: number): boolean {
    return at % alignment === 0 && this.#memory.isRam(at, bytes);
  }

  /** Chains made available and not taken. */
  #waiting(): number {
    return (this.#memory.load16(gpa(this.#avail + 2)) - this.state.nextAvailable) & 0xffff;
  }

  /** Asks to be kicked for the next chain, and looks whether it came before the driver could know. */
  #waitingAfterAsking(): number {
    if (!this.#eventIndex) return 0;
    const { size, nextAvailable } = this.state;
    this.#memory.store16(gpa(this.#used + 4 + 8 * size), nextAvailable);
    return this.#waiting();
  }

  /** Whether one of the last `since` used entries is one that the driver waits for. */
  #wantsInterrupt(since: number): boolean {
    if (!this.#eventIndex) return (this.#memory.load16(gpa(this.#avail)) & availNoInterrupt) === 0;
    const event = this.#memory.load16(gpa(this.#avail + 4 + 2 * this.state.size));
    return ((this.state.nextUsed - event - 1) & 0xffff) < since;
  }

  #chain(head: number): Chain | undefined {
    const chain = new GuestChain(this.#memory, head, this.#era, this.#limits.maxChainBytes);
    const wrong = chain.collect(this.#table, this.#indirect);
    return wrong === undefined ? chain : this.#break(wrong);
  }

  #break(why: string): undefined {
    this.close();
    this.#host.broken(why);
    return undefined;
  }

  #headsInFlight(): number[] {
    const heads: number[] = [];
    // The last is given first.
    for (let head = this.state.size - 1; head >= 0; head--) {
      if ((this.state.inFlight[head >> 3] & (1 << (head & 7))) !== 0) heads.push(head);
    }
    return heads;
  }
}
