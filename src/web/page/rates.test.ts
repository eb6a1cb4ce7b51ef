import { expect, test } from "vitest";
import type { VmStats } from "#control";
import { ratesBetween } from "./rates.ts";

const at = (wallMs: number, guestInstructions: number, exits: Record<string, number>): VmStats => ({
  wallMs,
  guestInstructions,
  exits,
  tiers: [],
  regions: 0,
  wasmBytes: 0,
  tlbMisses: 0,
  pageWalks: 0,
  framesTouched: 0,
});

test("rates are what was counted over the time between, busiest exits first", () => {
  const rates = ratesBetween(at(1000, 5e6, { halt: 10, fault: 1 }), at(3000, 25e6, { halt: 12, fault: 101, never: 0 }));
  expect(rates).toEqual({
    mips: 10,
    exitsPerSecond: 51,
    exits: [
      { reason: "fault", perSecond: 50, count: 101 },
      { reason: "halt", perSecond: 1, count: 12 },
    ],
  });
});

test("a counter that went back counts from nothing", () => {
  expect(ratesBetween(at(0, 5e6, {}), at(1000, 1e6, {})).mips).toBe(1);
});
