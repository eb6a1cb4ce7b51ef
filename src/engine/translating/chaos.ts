/**
 * Chaos: random moments at which the engine forgets what it may forget and ends a run early.
 *
 * Law: the guest sees nothing of it. In virtual time guest state is a function of retired instructions alone, so that
 * chaotic runs print the digests of quiet ones. All choices come from the seed.
 */

/** Instructions between two cuts, as powers of two: very short and long ones are equally likely. */
const longestCutLog2 = 21;
const hotThresholdLog2 = 14;

export class Chaos {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  flushesTlb(): boolean {
    return this.#below(2) === 0;
  }

  forgetsBlocks(): boolean {
    return this.#below(32) === 0;
  }

  /** Entries of a block before it is compiled, from now on. */
  hotThreshold(): number {
    return 1 + this.#below(2 ** this.#below(hotThresholdLog2));
  }

  /** Where a run from `from` ends that was to end at `end`: there, or before. */
  cut(from: bigint, end: bigint): bigint {
    const cut = from + 1n + BigInt(this.#below(2 ** this.#below(longestCutLog2)));
    return cut < end ? cut : end;
  }

  /** 0 to `bound` - 1 (Mulberry32). */
  #below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }
}
