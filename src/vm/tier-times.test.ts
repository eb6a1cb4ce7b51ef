import { expect, test } from "vitest";
import { TierTimes } from "./tier-times.ts";

test("two tiers of different speed are told apart from slices that mix them", () => {
  const times = new TierTimes();
  for (let n = 1; n <= 20; n++) times.add(1000 * n, 50_000 - 2000 * n, 4 * 1000 * n + 1 * (50_000 - 2000 * n));
  const { interpretedMs, compiledMs } = times.estimate();
  expect(interpretedMs).toBeCloseTo((4 * 1000 * 210) / 1e6, 6);
  expect(compiledMs).toBeCloseTo((20 * 50_000 - 2000 * 210) / 1e6, 6);
});

test("without compiled code all time is the interpreter's", () => {
  const times = new TierTimes();
  times.add(1000, 0, 5_000_000);
  expect(times.estimate()).toEqual({ interpretedMs: 5, compiledMs: 0 });
});
