import { expect, test } from "vitest";
import { TestDriver } from "../test-driver.ts";
import { Rng } from "./device.ts";

const driverOf = (): TestDriver => {
  let next = 0;
  return new TestDriver(new Rng((target) => target.forEach((_, n) => (target[n] = ++next))));
};

test("a request is filled with random bytes, across its buffers", () => {
  const t = driverOf();
  t.add(0, [], [3, 2]);
  t.kick(0);
  expect(t.used(0)).toEqual([{ head: 0, written: 5, bytes: Uint8Array.of(1, 2, 3, 4, 5) }]);
  expect(t.interrupts).toEqual([1]);
});

test("a huge request gets a page", () => {
  const t = driverOf();
  t.add(0, [], [1 << 20]);
  t.kick(0);
  expect(t.used(0).map(({ written }) => written)).toEqual([4096]);
});

test("a request without room is given back empty", () => {
  const t = driverOf();
  t.add(0, [Uint8Array.of(1)]);
  t.kick(0);
  expect(t.used(0).map(({ written }) => written)).toEqual([0]);
});
