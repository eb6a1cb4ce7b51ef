/**
 * How short of memory somebody is, a guest or the host, in four words:
 *
 *   none      there is enough
 *   some      pages are taken that are not cold
 *   high      pages are taken that are in use: the guest waits for them again and again
 *   critical  nothing can be taken, or not enough
 */
export const pressures = ["none", "some", "high", "critical"] as const;
export type Pressure = (typeof pressures)[number];

export const atLeast = (pressure: Pressure, least: Pressure): boolean =>
  pressures.indexOf(pressure) >= pressures.indexOf(least);

export const worse = (a: Pressure, b: Pressure): Pressure => (atLeast(a, b) ? a : b);

const settleNs = 2e9;

/** Pressure as it is told: it rises at once, and falls when it has been lower for two seconds. */
export class PressureGauge {
  #level: Pressure = "none";
  /** The worst since `#fellNs`, while it is lower than what is told. */
  #below: Pressure = "none";
  #fellNs = Number.POSITIVE_INFINITY;

  get level(): Pressure {
    return this.#level;
  }

  read(now: Pressure, nowNs: number): void {
    if (atLeast(now, this.#level)) this.#settle(now);
    else if (this.#fellNs === Number.POSITIVE_INFINITY) {
      this.#fellNs = nowNs;
      this.#below = now;
    } else {
      this.#below = worse(this.#below, now);
      if (nowNs - this.#fellNs >= settleNs) this.#settle(this.#below);
    }
  }

  #settle(level: Pressure): void {
    this.#level = level;
    this.#fellNs = Number.POSITIVE_INFINITY;
  }
}
