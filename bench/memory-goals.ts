/** What `bench:memory` is to reach: a line for each figure with a goal, which says whether it is reached. */
import { type Pairs, pairsText } from "./paired.ts";

/** `OPEN`: the interval has the limit in it. */
type Verdict = "PASS" | "LOSES" | "OPEN";

export class MemoryGoals {
  readonly #lines: string[] = [];

  atMost(text: string, value: number, limit: number, unit = ""): void {
    this.#add(value <= limit ? "PASS" : "LOSES", `${text}: ${shown(value, unit)}, wanted at most ${limit}${unit}`);
  }

  atLeast(text: string, value: number, limit: number, unit = ""): void {
    this.#add(value >= limit ? "PASS" : "LOSES", `${text}: ${shown(value, unit)}, wanted at least ${limit}${unit}`);
  }

  /** `limit`: in percent. */
  costsAtMost(text: string, cost: Pairs, limit: number): void {
    const most = 1 + limit / 100;
    const verdict = cost.to <= most ? "PASS" : cost.from > most ? "LOSES" : "OPEN";
    this.#add(verdict, `${text}: ${pairsText(cost)}, wanted at most ${limit} %`);
  }

  #add(verdict: Verdict, line: string): void {
    this.#lines.push(`${verdict.padEnd(5)} ${line}`);
  }

  toString(): string {
    return ["goals", ...this.#lines].join("\n");
  }
}

const shown = (value: number, unit: string): string =>
  `${Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(0)}${unit}`;
