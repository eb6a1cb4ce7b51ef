import { expect, test } from "vitest";
import { statsText } from "./stats-text.ts";

test("counters read as a table, the frequent exits first", () => {
  const text = statsText({
    wallMs: 3456,
    guestInstructions: 1234567,
    tiers: [
      { name: "interpreter", instructions: 234567, ms: 1000 },
      { name: "regions", instructions: 1000000, ms: 2000 },
    ],
    blocksLifted: 2000,
    blocksLearnt: 75000,
    regions: 12,
    regionsKept: 9,
    wasmBytes: 4096,
    tlbMisses: 99,
    pageWalks: 33,
    exits: { halt: 3, budget: 1200, none: 0 },
    framesTouched: 512,
    peakRssBytes: 100 * 1024 * 1024,
  });
  expect(text).toBe(`\
wall time           3.46 s
guest instructions  1 234 567
  interpreter       234 567 (19.0 %), 0.2 MIPS
  regions           1 000 000 (81.0 %), 0.5 MIPS
blocks lifted       2 000
  learnt before     75 000
regions             12
  kept before       9
Wasm                4 096 bytes
TLB misses          99
  whole walks       33
frames held         512 (2.0 MiB)
peak RSS            100.0 MiB
exits
  budget            1 200
  halt              3`);
});
