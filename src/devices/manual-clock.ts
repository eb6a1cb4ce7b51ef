/**
 * A device clock that moves only when told: by a test, or by a machine that counts instructions.
 *
 * Law: alarms ring in the order of their times, and while one rings `now()` is that time or later. Ringing happens
 * only inside `advanceTo`; an alarm set for the past or the present rings at the next advance.
 */
import type { Alarm, DeviceClock } from "./bus.ts";

interface Entry {
  atNs: number | undefined;
  readonly ring: () => void;
}

export class ManualClock implements DeviceClock {
  #now: number;
  readonly #entries: Entry[] = [];

  constructor(startNs = 0) {
    this.#now = startNs;
  }

  now(): number {
    return this.#now;
  }

  alarm(ring: () => void): Alarm {
    const entry: Entry = { atNs: undefined, ring };
    this.#entries.push(entry);
    return {
      set: (atNs) => {
        entry.atNs = atNs;
      },
    };
  }

  /** When the next alarm is due; undefined when none is set. */
  nextAlarmNs(): number | undefined {
    return this.#next()?.atNs;
  }

  advance(ns: number): void {
    this.advanceTo(this.#now + ns);
  }

  /** Moves time to `ns`, ringing what falls due. An alarm set again for a time already past rings at the next call. */
  advanceTo(ns: number): void {
    let before = -1;
    for (let entry = this.#next(); entry?.atNs !== undefined && entry.atNs <= ns; entry = this.#next()) {
      if (entry.atNs <= before) break;
      this.#now = Math.max(this.#now, entry.atNs);
      // Alarms due at one moment all ring before time is seen to move on.
      const due = this.#entries.filter((other) => other.atNs !== undefined && other.atNs <= this.#now);
      for (const other of due) {
        other.atNs = undefined;
        other.ring();
      }
      before = this.#now;
    }
    this.#now = Math.max(this.#now, ns);
  }

  #next(): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.atNs !== undefined && (first?.atNs === undefined || entry.atNs < first.atNs)) first = entry;
    }
    return first;
  }
}
