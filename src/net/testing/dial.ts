/** A clock whose hands a test moves. */
import type { NetClock } from "../clock.ts";

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

export class Dial implements NetClock {
  #now = 0;
  #order = 0;
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const alarm = { at: this.#now + ms, order: this.#order++, callback };
    this.#alarms.add(alarm);
    return () => void this.#alarms.delete(alarm);
  }

  get pending(): number {
    return this.#alarms.size;
  }

  /** Rings what is due within `ms`, each at its time. */
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > until) break;
      this.#ring(next);
    }
    this.#now = until;
  }

  /** Goes to the next alarm; false where there is none. */
  toNext(): boolean {
    const next = this.#next();
    if (next !== undefined) this.#ring(next);
    return next !== undefined;
  }

  #ring(alarm: Alarm): void {
    this.#alarms.delete(alarm);
    this.#now = Math.max(this.#now, alarm.at);
    alarm.callback();
  }

  #next(): Alarm | undefined {
    let first: Alarm | undefined;
    for (const each of this.#alarms) {
      if (first === undefined || each.at < first.at || (each.at === first.at && each.order < first.order)) first = each;
    }
    return first;
  }
}

/** The same numbers for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
