/** How many instructions a slice in wall-clock time may have, by how fast they were lately. */

/** Long enough to cost nothing, short enough to answer soon. */
const usualNs = 4_000_000;
const smallest = 2_000;
const largest = 8_000_000;
/**
 * While hot code waits for more to be compiled with: soon it is known that no more comes. By time it would be too late, where code that
 * was compiled has given way to code that is interpreted.
 */
const largestGathering = 100_000;

/** How long the next slice may be, in nanoseconds, where the next alarm rings in so many. */
export const nextSliceNs = (untilAlarm: number): number => Math.min(untilAlarm, usualNs);

export class SliceSizer {
  /** Instructions a nanosecond. */
  #rate = 0.1;

  /** Of a slice that has to be over in so many nanoseconds; `gathers`: hot code waits for more. */
  instructions(ns: number, gathers: boolean): bigint {
    const most = gathers ? largestGathering : largest;
    return BigInt(Math.floor(Math.min(most, Math.max(smallest, ns * this.#rate))));
  }

  measure(instructions: number, ns: number): void {
    if (instructions < smallest || ns <= 0) return;
    this.#rate = 0.8 * this.#rate + 0.2 * (instructions / ns);
  }
}
