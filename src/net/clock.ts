/** Time as the network needs it, given by its owner: wall time in use, hands on a dial in tests. */

export interface NetClock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Calls back once after `ms`, unless it is cancelled before. */
  after(ms: number, callback: () => void): () => void;
}

/**
 * A deadline that is moved often and reached seldom: moving it later costs nothing, because the pending alarm is left
 * alone and asks again when it rings.
 */
export class Deadline {
  readonly #clock: NetClock;
  readonly #reached: () => void;
  #at = Number.POSITIVE_INFINITY;
  #alarmAt = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(clock: NetClock, reached: () => void) {
    this.#clock = clock;
    this.#reached = reached;
  }

  get isSet(): boolean {
    return this.#at !== Number.POSITIVE_INFINITY;
  }

  set(ms: number): void {
    this.#at = this.#clock.now() + ms;
    if (this.#at < this.#alarmAt) this.#arm();
  }

  clear(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** For the end: nothing is pending any more. */
  cancel(): void {
    this.clear();
    this.#cancel?.();
    this.#cancel = undefined;
    this.#alarmAt = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    this.#cancel?.();
    this.#alarmAt = this.#at;
    this.#cancel = this.#clock.after(Math.max(0, this.#at - this.#clock.now()), () => this.#ring());
  }

  #ring(): void {
    this.#cancel = undefined;
    this.#alarmAt = Number.POSITIVE_INFINITY;
    if (!this.isSet) return;
    if (this.#at > this.#clock.now()) return this.#arm();
    this.#at = Number.POSITIVE_INFINITY;
    this.#reached();
  }
}
