/** The retransmission timeout, by the measured round-trip time (RFC 6298). */

/** Before the first measurement, and the least there is (2.1 and 2.4). */
const leastMs = 1000;
const mostMs = 60_000;

export class RoundTrip {
  #smoothed = 0;
  #variation = 0;
  #timeout = leastMs;
  #measured = false;

  /** What the timer is set to, in ms. */
  get timeoutMs(): number {
    return this.#timeout;
  }

  /** Requires: of something sent once only (Karn's algorithm; section 3). */
  measure(ms: number): void {
    if (!this.#measured) {
      this.#measured = true;
      this.#smoothed = ms;
      this.#variation = ms / 2;
    } else {
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - ms);
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * ms;
    }
    this.#timeout = Math.min(mostMs, Math.max(leastMs, this.#smoothed + 4 * this.#variation));
  }

  /** The timer ran out (5.5). */
  backOff(): void {
    this.#timeout = Math.min(mostMs, this.#timeout * 2);
  }
}
