/** A thread that sets bits in words of a shared memory, once a period, until its `stop` is set. */
export interface TickerStart {
  readonly buffer: SharedArrayBuffer;
  readonly words: readonly number[];
  readonly bits: number;
  readonly periodMs: number;
  /** One 32-bit word. */
  readonly stop: SharedArrayBuffer;
}

/** Requires: a thread that may sleep. */
export function runTicker({ buffer, words, bits, periodMs, stop }: TickerStart): void {
  const shared = new Int32Array(buffer);
  while (Atomics.wait(new Int32Array(stop), 0, 0, periodMs) === "timed-out") {
    for (const word of words) Atomics.or(shared, word, bits);
  }
}
