import { beforeEach, expect, test } from "vitest";
import { gpa } from "#address";
import { TestDriver } from "../test-driver.ts";
import { Balloon } from "./device.ts";

let device: Balloon;
let t: TestDriver;

beforeEach(() => {
  device = new Balloon({ release: (gfns) => t.memory.release(gfns) });
  t = new TestDriver(device);
});

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

test("pages in the balloon are given back, and nothing that is no RAM", () => {
  t.memory.bytes.fill(7, 0x50_0000, 0x50_4000);
  t.add(0, [words(0x500, 0x502, 0xffff_ffff, 0x800)]);
  t.kick(0);
  expect([t.memory.released, t.used(0).length, device.releasedPages]).toEqual([[0x500, 0x502], 1, 2]);
  expect([t.memory.bytes[0x50_0000], t.memory.bytes[0x50_1000]]).toEqual([0, 7]);
});

test("deflating needs nothing but an answer", () => {
  t.add(1, [words(0x500)]);
  t.kick(1);
  expect([t.used(1).length, t.memory.released]).toEqual([1, []]);
});

test("reported pages are given back, whole ones", () => {
  t.descriptor(3, 0, 0x50_0000, 0x3800, 3, 1);
  t.descriptor(3, 1, 0x60_0010, 0x2000, 2);
  t.makeAvailable(3, 0);
  t.kick(3);
  expect([t.memory.released, t.memory.load16(gpa(t.rings[3].used + 2))]).toEqual([[0x500, 0x501, 0x502], 1]);
});

test("a target is a change of the configuration, and the guest says how far it came", () => {
  device.setTarget(100);
  expect([t.interrupts, t.config(0)]).toEqual([[0], 100]);
  device.setTarget(100);
  t.setConfig(4, 4, 60);
  expect([t.interrupts, device.actualPages]).toEqual([[0], 60]);
});

test("statistics are kept, and the buffer goes back when new ones are wanted", () => {
  const entry = (tag: number, value: number): number[] => [
    tag,
    0,
    ...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer),
  ];
  t.add(2, [Uint8Array.from([...entry(4, 1 << 20), ...entry(5, 1 << 29), ...entry(99, 1)])]);
  t.kick(2);
  expect(t.used(2)).toEqual([]);
  expect(device.statistics()).toEqual({ freeBytes: 1 << 20, totalBytes: 1 << 29 });
  expect([t.used(2).length, t.interrupts]).toEqual([1, [3]]);
  // The queue asks to be kicked for the next buffer.
  expect(t.memory.load16(gpa(t.rings[2].used + 4 + 8 * t.rings[2].size))).toBe(1);
});
