import { expect, test } from "vitest";
import { CanaryFamily, recyclings } from "./canaries.ts";

test("no machine sees what another one had in its memory, however frames go from one to the next", {
  timeout: 240_000,
}, () => {
  let random = 1;
  const family = new CanaryFamily(() => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return random / 2 ** 32;
  });
  for (let n = 0; n < 60; n++) family.step();
  expect(family.foreign).toEqual([]);
  expect(recyclings.filter((kind) => family.counts[kind] === 0)).toEqual([]);
  expect(family.looked).toBeGreaterThan(100_000n);
});
