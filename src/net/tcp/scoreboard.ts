/**
 * What the peer says it holds beyond the acknowledged part (RFC 2018): runs of the stream, disjoint and in order.
 *
 * Law: at most `maxRuns`; a report that would make more is forgotten, which costs a retransmission and no more.
 */

const maxRuns = 64;

export class Scoreboard {
  #runs: (readonly [from: number, to: number])[] = [];

  /** Behind the last byte that the peer has reported; 0 without a report. */
  get highest(): number {
    return this.#runs.at(-1)?.[1] ?? 0;
  }

  report(from: number, to: number): void {
    if (to <= from) return;
    let [low, high] = [from, to];
    const apart = this.#runs.filter((run) => {
      if (run[1] < from || run[0] > to) return true;
      low = Math.min(low, run[0]);
      high = Math.max(high, run[1]);
      return false;
    });
    if (apart.length >= maxRuns) return;
    const at = apart.findIndex((run) => run[0] > low);
    apart.splice(at < 0 ? apart.length : at, 0, [low, high]);
    this.#runs = apart;
  }

  /** Forgets what is acknowledged. */
  acknowledge(position: number): void {
    if (this.#runs.length > 0) this.#runs = this.#runs.filter(([, to]) => to > position);
  }

  clear(): void {
    this.#runs = [];
  }

  /** The first run at or after `position` that the peer lacks: where it begins, and where the next that it holds does. */
  gapAt(position: number): readonly [from: number, to: number] {
    let at = position;
    for (const [from, to] of this.#runs) {
      if (from > at) return [at, from];
      at = Math.max(at, to);
    }
    return [at, Number.POSITIVE_INFINITY];
  }
}
