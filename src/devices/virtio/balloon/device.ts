/**
 * The traditional memory balloon (virtio 1.2, "Traditional Memory Balloon Device"): the guest gives pages back, for good while
 * they are in the balloon, and at once when it reports that it does not use them.
 *
 * A page given back has no frame; the guest's next access gets a frame of zeros, so deflating needs no work here. Frames go to the
 * arena's free list.
 * Queues: inflate, deflate, statistics, reports; a driver that leaves statistics out moves reports up.
 */

import { type Gfn, gfnOf, offsetIn, pageSize } from "#address";
import { littleEndian } from "#base";
import { copyState, restoreState } from "../../state.ts";
import type { Chain, VirtioDevice, VirtioDriver, Virtqueue } from "../device.ts";
import { type BalloonState, newBalloonState } from "./persist.ts";
import { type GuestMemoryStatistics, maxStatisticsBytes, parseStatistics } from "./statistics.ts";

const VIRTIO_BALLOON_F_STATS_VQ = 1n << 1n;
const VIRTIO_BALLOON_F_DEFLATE_ON_OOM = 1n << 2n;
const VIRTIO_BALLOON_F_REPORTING = 1n << 5n;

const inflate = 0;
const deflate = 1;
const configBytes = 8;
const actualOffset = 4;
/** Page numbers of one chain that are looked at: a driver sends 256. */
const maxPages = 1024;
/** Pages of one report: Linux sends 32 pieces of up to 4 MiB. */
const maxReportedPages = 32 << 10;

export interface BalloonMemory {
  release(gfns: readonly Gfn[]): number;
}

export class Balloon implements VirtioDevice<BalloonState> {
  readonly type = 5;
  readonly classCode = 0xff_0000;
  readonly features = VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_REPORTING;
  readonly queueSizes = [128, 128, 4, 32];
  /** A report names pages, and moves none of their bytes. */
  readonly maxChainBytes = 256 << 20;
  readonly #memory: BalloonMemory;
  readonly #state = newBalloonState();
  #driver: VirtioDriver | undefined;
  #hasStatistics = false;
  /** The driver's, kept until numbers are wanted. */
  #statisticsChain: Chain | undefined;
  #statistics: GuestMemoryStatistics = {};
  #releasedPages = 0;

  constructor(memory: BalloonMemory) {
    this.#memory = memory;
  }

  /** Asks the guest to do without so many pages; it gives what it can. */
  setTarget(pages: number): void {
    if (pages === this.#state.target) return;
    this.#state.target = pages;
    this.#driver?.configChanged();
  }

  /** Pages in the balloon, as the guest says. */
  get actualPages(): number {
    return this.#state.actual;
  }

  /** Frames that came back, since the machine began. */
  get releasedPages(): number {
    return this.#releasedPages;
  }

  /** What the guest last told of its memory; asks for the next numbers. */
  statistics(): GuestMemoryStatistics {
    const queue = this.#hasStatistics ? this.#driver?.queues[2] : undefined;
    if (queue !== undefined && this.#statisticsChain !== undefined) {
      queue.push(this.#statisticsChain, 0);
      this.#statisticsChain = undefined;
      queue.flush();
    }
    return this.#statistics;
  }

  readConfig(offset: number, size: number): number {
    const config = new DataView(new ArrayBuffer(configBytes));
    config.setUint32(0, this.#state.target, true);
    config.setUint32(actualOffset, this.#state.actual, true);
    return littleEndian(new Uint8Array(config.buffer), offset, size);
  }

  writeConfig(offset: number, size: number, value: number): void {
    if (offset === actualOffset && size === 4) this.#state.actual = value;
  }

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    this.#hasStatistics = (driver.features & VIRTIO_BALLOON_F_STATS_VQ) !== 0n;
    // Linux kicks for its first numbers before it says that it is ready.
    if (this.#hasStatistics) this.kick(2);
  }

  kick(queue: number): void {
    const chains = this.#driver?.queues[queue];
    if (chains === undefined) return;
    if (queue === 2 && this.#hasStatistics) return this.#takeStatistics(chains);
    for (let chain = chains.pop(); chain !== undefined; chain = chains.pop()) {
      if (queue === inflate) this.#inflate(chain);
      else if (queue !== deflate) this.#report(chain);
      chains.push(chain, 0);
    }
    chains.flush();
  }

  stop(): void {
    this.#driver = undefined;
    this.#statisticsChain = undefined;
    this.#statistics = {};
    this.#state.actual = 0;
  }

  save(): BalloonState {
    return copyState(this.#state);
  }

  restore(saved: BalloonState): void {
    restoreState(this.#state, saved);
  }

  /** The chain is a list of page numbers. */
  #inflate(chain: Chain): void {
    const list = new Uint8Array(4 * Math.min(maxPages, chain.readableBytes >> 2));
    chain.read(0, list);
    this.#release([...new Uint32Array(list.buffer)]);
  }

  /** The chain's buffers are the pages. */
  #report(chain: Chain): void {
    const gfns: Gfn[] = [];
    for (const { gpa, length } of chain.writable) {
      if (offsetIn(gpa) !== 0) continue;
      const count = Math.min(Math.floor(length / pageSize), maxReportedPages - gfns.length);
      for (let n = 0; n < count; n++) gfns.push(gfnOf(gpa) + n);
    }
    this.#release(gfns);
  }

  #release(gfns: readonly Gfn[]): void {
    this.#releasedPages += this.#memory.release(gfns);
  }

  #takeStatistics(queue: Virtqueue): void {
    // To the end, though a driver has but one: only an empty queue asks to be kicked again.
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      const bytes = new Uint8Array(Math.min(maxStatisticsBytes, chain.readableBytes));
      chain.read(0, bytes);
      this.#statistics = parseStatistics(bytes);
      if (this.#statisticsChain !== undefined) queue.push(this.#statisticsChain, 0);
      this.#statisticsChain = chain;
    }
  }
}
