/** The entry of a thread that sets bits in words of a shared memory, once a period, until its `stop` is set. */
import { workerData } from "node:worker_threads";

export interface TickerStart {
  readonly buffer: SharedArrayBuffer;
  readonly words: readonly number[];
  readonly bits: number;
  readonly periodMs: number;
  /** One 32-bit word. */
  readonly stop: SharedArrayBuffer;
}

const { buffer, words, bits, periodMs, stop } = workerData as TickerStart;
const shared = new Int32Array(buffer);
while (Atomics.wait(new Int32Array(stop), 0, 0, periodMs) === "timed-out") {
  for (const word of words) Atomics.or(shared, word, bits);
}
