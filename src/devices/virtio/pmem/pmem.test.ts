import { expect, test } from "vitest";
import { TestDriver } from "../test-driver.ts";
import { Pmem } from "./device.ts";

function driverOf(flush: () => boolean): TestDriver {
  return new TestDriver(new Pmem({ base: 0x2_0000_0000, sizeBytes: 64 << 20, flush }));
}

const request = (type: number): Uint8Array => Uint8Array.of(type, 0, 0, 0);
const answers = (t: TestDriver): number[][] => t.used(0).map(({ bytes }) => [...bytes]);

test("the driver learns where the region lies", () => {
  const t = driverOf(() => true);
  expect([t.config(0), t.config(4), t.config(8), t.config(12), t.config(16)]).toEqual([0, 2, 64 << 20, 0, 0]);
});

test("a flush is answered when what was stored is safe, and with an error when it cannot be", () => {
  let good = true;
  const t = driverOf(() => good);
  t.add(0, [request(0)], [4]);
  t.kick(0);
  expect([answers(t), t.interrupts]).toEqual([[[0, 0, 0, 0]], [1]]);
  good = false;
  t.add(0, [request(0)], [4]);
  t.kick(0);
  expect(answers(t)).toEqual([[1, 0, 0, 0]]);
});

test("one flush serves all that wait for one", () => {
  let flushes = 0;
  const t = driverOf(() => ++flushes > 0);
  for (let n = 0; n < 5; n++) t.add(0, [request(0)], [4]);
  t.kick(0);
  expect([flushes, answers(t)]).toEqual([1, Array(5).fill([0, 0, 0, 0])]);
});

test("what is no request, or has no room for an answer, is given back", () => {
  let flushes = 0;
  const t = driverOf(() => ++flushes > 0);
  t.add(0, [request(7)], [4]);
  t.add(0, [Uint8Array.of(0, 0)], [4]);
  t.add(0, [], [4]);
  t.kick(0);
  expect([flushes, answers(t)]).toEqual([0, Array(3).fill([1, 0, 0, 0])]);
  t.add(0, [request(0)], []);
  t.add(0, [request(0)], [2]);
  t.kick(0);
  expect([flushes, answers(t)]).toEqual([1, [[], [0, 0]]]);
});
