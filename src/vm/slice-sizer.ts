/** How many instructions a slice in wall-clock time may have, by how fast they were lately. */

/** Long enough to cost nothing, short enough to answer soon. */
const usualNs = 4_000_000;
/** While compiled code is on its way: it is looked for between slices. */
const awaitingNs = 1_000_000;
const smallest = 2_000;
const largest = 8_000_000;

/** How long the next slice may be, in nanoseconds, where the next alarm rings in so many. */
export const nextSliceNs = (untilAlarm: number, awaitsCode: boolean): number =>
  Math.min(untilAlarm, awaitsCode ? awaitingNs : usualNs);

export class SliceSizer {
  /** Instructions a nanosecond. */
  #rate = 0.1;

  /** Of a slice that has to be over in so many nanoseconds. */
  instructions(ns: number): bigint {
    return BigInt(Math.floor(Math.min(largest, Math.max(smallest, ns * this.#rate))));
  }

  measure(instructions: number, ns: number): void {
    if (instructions < smallest || ns <= 0) return;
    this.#rate = 0.8 * this.#rate + 0.2 * (instructions / ns);
  }
}
