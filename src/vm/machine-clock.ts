/**
 * Guest time: what devices call now, and their alarms.
 *
 * Driven by the host's clock, or by retired instructions: then one instruction is one nanosecond, HLT skips to the next
 * alarm, and the same run twice is the same run. The TSC counts guest nanoseconds (tscFrequencyHz).
 * Law: time never goes back; alarms ring in the order of their times, and only inside `ringDue`.
 */
import type { Alarm, DeviceClock } from "#devices";

export const tscFrequencyHz = 1_000_000_000;

interface Entry {
  at: number;
  readonly ring: () => void;
}

const never = Number.POSITIVE_INFINITY;

export class MachineClock implements DeviceClock {
  readonly #source: () => number;
  readonly #entries: Entry[] = [];
  /** Guest time that was skipped, in nanoseconds. */
  #skipped = 0;
  readonly #onEarlier: () => void;
  #awaited = -never;

  /** `source`: nanoseconds that never go back. `onEarlier`: an alarm was set for a time before the awaited one. */
  constructor(source: () => number, onEarlier: () => void = () => {}) {
    this.#source = source;
    this.#onEarlier = onEarlier;
  }

  /** When somebody looks again; without one, somebody is looking now. */
  await(ns = -never): void {
    this.#awaited = ns;
  }

  now(): number {
    return this.#source() + this.#skipped;
  }

  alarm(ring: () => void): Alarm {
    const entry: Entry = { at: never, ring };
    this.#entries.push(entry);
    return {
      set: (atNs) => {
        entry.at = atNs ?? never;
        if (entry.at < this.#awaited) this.#onEarlier();
      },
    };
  }

  /** Guest time of the next alarm; Infinity when none is set. */
  next(): number {
    let first = never;
    for (const entry of this.#entries) if (entry.at < first) first = entry.at;
    return first;
  }

  /** Moves guest time on to `ns` where it is not there yet. */
  skipTo(ns: number): void {
    this.#skipped += Math.max(0, ns - this.now());
  }

  /** Rings what is due. An alarm that sets itself again for the past rings at the next call. */
  ringDue(): void {
    const now = this.now();
    if (this.next() > now) return;
    const due = this.#entries.filter((entry) => entry.at <= now).sort((a, b) => a.at - b.at);
    for (const entry of due) {
      if (entry.at > now) continue;
      entry.at = never;
      entry.ring();
    }
  }
}
