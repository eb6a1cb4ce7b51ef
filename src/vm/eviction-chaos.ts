/**
 * Evicts pages at random moments, for `--chaos`: few or many, near each other or anywhere.
 *
 * Law: the guest sees nothing of it (as of all of chaos, engine/translating/chaos.ts). All choices come from the seed.
 */
import { gfnOf, pageSize } from "#address";
import type { AddressSpace, Memslot } from "#memory";
import { SeededRandom } from "./random.ts";

/** Pages at a time, as powers of two: few and many are equally likely. */
const mostLog2 = 10;

export class EvictionChaos {
  readonly #space: AddressSpace;
  readonly #random: SeededRandom;
  readonly #bytes = new Uint8Array(8);

  constructor(seed: number, space: AddressSpace) {
    this.#space = space;
    this.#random = new SeededRandom(seed);
  }

  /** Called between two slices. */
  strike(): void {
    if (this.#below(4) !== 0) return;
    const slot = this.#space.memslots[this.#below(this.#space.memslots.length)];
    const count = 2 ** this.#below(mostLog2 + 1);
    this.#space.swap.evict(this.#below(2) === 0 ? this.#run(slot, count) : this.#scattered(slot, count));
  }

  #run(slot: Memslot, count: number): number[] {
    const first = this.#any(slot);
    return Array.from({ length: count }, (_, n) => first + n);
  }

  #scattered(slot: Memslot, count: number): number[] {
    return Array.from({ length: count }, () => this.#any(slot));
  }

  #any({ gpa, sizeBytes }: Memslot): number {
    return gfnOf(gpa) + this.#below(sizeBytes / pageSize);
  }

  /** 0 to `bound` - 1. */
  #below(bound: number): number {
    this.#random.fill(this.#bytes);
    return new DataView(this.#bytes.buffer).getUint32(0, true) % bound;
  }
}
