import { expect, test } from "vitest";
import { fuzzLoader } from "./fuzz-cases.ts";

test("a hundred thousand damaged kernels load or are refused by a BootError, each in bounded time", () => {
  const { booted, refused, failures } = fuzzLoader(100_000, 20261121, () => performance.now(), 5000);
  expect(failures).toEqual([]);
  // A fuzzer that stops at the first check finds nothing: damage must get deep into every part.
  expect(booted).toBeGreaterThan(1000);
  expect(refused.size).toBeGreaterThan(50);
}, 120_000);
