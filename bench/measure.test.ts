import { expect, test } from "vitest";
import { goals } from "./goals.ts";
import { disturbances, doubts, type Measured, timeRatios } from "./measure.ts";
import { plot } from "./plot.ts";
import type { Outcome } from "./session.ts";

/** Rows as "name group: contender=seconds,seconds contender=…"; a word instead of seconds is a failure. */
function measured(...lines: string[]): Measured {
  const timings = new Map<string, Map<string, { outcomes: Outcome[] }>>();
  const rows = lines.map((line) => {
    const [head, cells] = line.split(": ");
    const [name, group] = head.split(" ");
    for (const cell of cells.split(" ")) {
      const [contender, list] = cell.split("=");
      const outcomes = list.split(",").map(outcome);
      timings.set(contender, (timings.get(contender) ?? new Map()).set(name, { outcomes }));
    }
    return { name, group, count: 1, unit: "" };
  });
  return { clock: "wall", rows, timings, boots: [] };
}

function outcome(text: string): Outcome {
  const seconds = Number(text);
  return Number.isNaN(seconds)
    ? { kind: "failed", why: text }
    : { kind: "done", seconds, hostSeconds: seconds, cpuSeconds: seconds, otherSeconds: 0, count: 1, sum: "1" };
}

const shown = (figures: Measured, word: string) => goals(figures).find(({ text }) => text.includes(word));

test("a ratio is one of medians, and a round that failed is not among them", () => {
  const figures = measured("sieve integer: tcg=2,2,9 memvisor=1,crash,1");
  expect([...timeRatios(figures, ["integer"], "tcg", "memvisor")]).toEqual([["sieve", 2]]);
  expect(doubts(figures, "sieve")).toEqual(["memvisor failed: crash"]);
});

test("checksums that differ put a row in doubt", () => {
  const figures = measured("sieve integer: tcg=2 memvisor=1");
  const outcomes = figures.timings.get("tcg")?.get("sieve")?.outcomes as Outcome[];
  outcomes[0] = { ...outcomes[0], sum: "2" } as Outcome;
  expect(doubts(figures, "sieve")).toEqual(["checksums differ: tcg has 2, memvisor has 1"]);
});

test("a guest's clock that runs slow puts a row in doubt", () => {
  const figures = measured("sieve integer: memvisor=1");
  const outcomes = figures.timings.get("memvisor")?.get("sieve")?.outcomes as Outcome[];
  outcomes[0] = { ...outcomes[0], hostSeconds: 1.2 } as Outcome;
  expect(doubts(figures, "sieve")).toEqual(["memvisor's clock says 1.00 s, the host's 1.20 s"]);
});

test("a row beside which other programs ran is told, unless processor times are compared", () => {
  const figures = measured("sieve integer: tcg=1 memvisor=2");
  const outcomes = figures.timings.get("memvisor")?.get("sieve")?.outcomes as Outcome[];
  outcomes[0] = { ...outcomes[0], otherSeconds: 1.8 } as Outcome;
  expect(disturbances(figures, "sieve")).toEqual(["memvisor 0.9"]);
  expect(disturbances({ ...figures, clock: "cpu" }, "sieve")).toEqual([]);
});

test("the mean of speeds is geometric, over all CPU groups and not the x87", () => {
  const figures = measured("a integer: tcg=4 memvisor=1", "b fp: tcg=9 memvisor=1", "c x87: tcg=1 memvisor=5");
  expect(shown(figures, "CPU kernels: speed")).toMatchObject({ value: 6, passes: true });
  expect(shown(figures, "x87: speed")).toMatchObject({ value: 0.2, passes: false });
});

test("the slowest row is named, and widening divides have a limit of their own", () => {
  const figures = measured("a integer: tcg=3 memvisor=1", "widening integer: tcg=0.8 memvisor=1");
  expect(shown(figures, "CPU kernels: the least")?.shown).toContain("3.00 (a)");
  expect(shown(figures, "widening")).toMatchObject({ value: 0.8, passes: true });
});

test("a goal that nothing was measured for does not pass", () => {
  const figures = measured("a integer: tcg=3 memvisor=1");
  expect(goals(figures).filter(({ value, passes }) => Number.isNaN(value) && passes)).toEqual([]);
});

test("two threads are compared by what two of them gain natively", () => {
  const figures = measured("one-thread threads: native=1 memvisor=2", "two-threads threads: native=1 memvisor=2.5");
  expect(shown(figures, "two threads")).toMatchObject({ value: 0.8, passes: false });
});

test("the plot has two dots for each row that all three have done", () => {
  const figures = measured("a integer: native=1 tcg=8 memvisor=3", "b os: native=1 tcg=4 memvisor=hang");
  // Two more are the legend's.
  expect(plot(figures, "").match(/<circle/g)?.length).toBe(4);
});
