/** How many instructions a slice in wall-clock time may have, by how fast they were lately. */

/** Long enough to cost nothing, short enough to answer soon. */
export const sliceNs = 4_000_000;
const smallest = 2_000;
const largest = 8_000_000;

export class SliceSizer {
  /** Instructions a nanosecond. */
  #rate = 0.1;

  /** Of a slice that has to be over in `untilAlarm` nanoseconds. */
  instructions(untilAlarm: number): bigint {
    const slice = Math.min(untilAlarm, sliceNs) * this.#rate;
    return BigInt(Math.floor(Math.min(largest, Math.max(smallest, slice))));
  }

  measure(instructions: number, ns: number): void {
    if (instructions < smallest || ns <= 0) return;
    this.#rate = 0.8 * this.#rate + 0.2 * (instructions / ns);
  }
}
