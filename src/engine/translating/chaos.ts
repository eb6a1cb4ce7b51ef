/**
 * Chaos: random moments at which the engine forgets what it may forget and ends a run early.
 *
 * They come in storms: some strikes one soon after the other, then a calm in which the machine goes on as it would without. So what
 * chaos costs is in proportion to the instructions that run, not to the time that they take: a machine that it makes slow is not
 * disturbed the more for that, and a program comes to its end.
 *
 * Law: the guest sees nothing of it. In virtual time guest state is a function of retired instructions alone, so that
 * chaotic runs print the digests of quiet ones. All choices come from the seed.
 */

const mostStrikes = 32;
/** Instructions between two strikes of a storm, as powers of two: very short and long ones are equally likely. */
const longestCutLog2 = 20;
const longestCalm = 2 ** 25;
const hotThresholdLog2 = 14;

export class Chaos {
  #state: number;
  readonly #usualThreshold: number;
  /** Strikes of this storm that are to come. */
  #strikes: number;
  /** Instructions until the next one. */
  #left = 0;

  /** `usualThreshold`: entries of a block before it is compiled, where nothing disturbs. */
  constructor(seed: number, usualThreshold: number) {
    this.#state = seed | 0;
    this.#usualThreshold = usualThreshold;
    this.#strikes = this.#storm();
  }

  /**
   * Whether to strike now, `ran` instructions after the last question. None have run where the next block is longer than what was
   * left, and runs do not stop within it: that counts as one, or they would never come to the strike.
   */
  strikes(ran: number): boolean {
    this.#left -= Math.max(ran, 1);
    if (this.#left > 0) return false;
    if (this.#isCalm) this.#strikes = this.#storm();
    this.#strikes--;
    this.#left = 1 + this.#below(this.#isCalm ? longestCalm : 2 ** this.#below(longestCutLog2));
    return true;
  }

  flushesTlb(): boolean {
    return this.#below(2) === 0;
  }

  forgetsBlocks(): boolean {
    return this.#below(32) === 0;
  }

  /** Entries of a block before it is compiled, from now on. */
  hotThreshold(): number {
    return this.#isCalm ? this.#usualThreshold : 1 + this.#below(2 ** this.#below(hotThresholdLog2));
  }

  /** Whether a block loads its numbers from its code, as if they were seen to change. */
  loadsNumbers(): boolean {
    return this.#below(4) === 0;
  }

  /** Where a run from `from` ends that was to end at `end`: there, or before. */
  cut(from: bigint, end: bigint): bigint {
    const cut = from + BigInt(this.#left);
    return cut < end ? cut : end;
  }

  get #isCalm(): boolean {
    return this.#strikes === 0;
  }

  #storm(): number {
    return 1 + this.#below(mostStrikes);
  }

  /** 0 to `bound` - 1 (Mulberry32). */
  #below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }
}
