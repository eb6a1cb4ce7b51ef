import { beforeEach, expect, test } from "vitest";
import { StateError } from "../../state.ts";
import { TestDriver } from "../test-driver.ts";
import { PluggedMemory } from "./device.ts";
import { plugBlockBytes } from "./request.ts";

const base = 0x1_0000_0000;
const blocks = 8;
const plugType = 0;
const unplugType = 1;
const unplugAllType = 2;
const stateType = 3;
const [ack, nack, busy, error] = [0, 1, 2, 3];

let device: PluggedMemory;
let t: TestDriver;
/** What is memory, a letter a block. */
let region: string[];
let isBusy: boolean;

const newDevice = (): PluggedMemory =>
  new PluggedMemory({
    base,
    sizeBytes: blocks * plugBlockBytes,
    plug: (offset, bytes) => void region.fill("P", offset / plugBlockBytes, (offset + bytes) / plugBlockBytes),
    unplug: (offset, bytes) => {
      if (!isBusy) region.fill(".", offset / plugBlockBytes, (offset + bytes) / plugBlockBytes);
      return !isBusy;
    },
  });

beforeEach(() => {
  region = Array<string>(blocks).fill(".");
  isBusy = false;
  device = newDevice();
  t = new TestDriver(device);
});

function request(type: number, at = 0, count = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint16(0, type, true);
  view.setBigUint64(8, BigInt(at), true);
  view.setUint16(16, count, true);
  return new Uint8Array(view.buffer);
}

/** Asks of `count` blocks from the block `first` on: the answer, and the state where one is told. */
function ask(type: number, first = 0, count = 0): number[] {
  t.add(0, [request(type, base + first * plugBlockBytes, count)], [10]);
  t.kick(0);
  const bytes = t.used(0)[0]?.bytes ?? [];
  return type === stateType ? [bytes[0], bytes[8]] : [bytes[0]];
}

test("the driver learns of the region, and of what it is asked to have", () => {
  device.request(3 * plugBlockBytes);
  ask(plugType, 1, 2);
  const words = [0, 16, 20, 24, 32, 40, 48].map((offset) => t.config(offset));
  const all = blocks * plugBlockBytes;
  expect(words).toEqual([plugBlockBytes, 0, 1, all, all, 2 * plugBlockBytes, 3 * plugBlockBytes]);
  expect(t.interrupts[0]).toBe(0);
});

test("blocks are plugged as far as they are requested, and unplugged", () => {
  device.request(5 * plugBlockBytes);
  expect([ask(plugType, 0, 3), ask(plugType, 4, 2), ask(plugType, 6, 1)]).toEqual([[ack], [ack], [nack]]);
  expect([region.join(""), device.pluggedBytes]).toEqual(["PPP.PP..", 5 * plugBlockBytes]);
  // A driver that is asked to have less may still give back what it likes.
  device.request(0);
  expect([ask(unplugType, 1, 2), ask(plugType, 6, 1)]).toEqual([[ack], [nack]]);
  expect(region.join("")).toBe("P...PP..");
  expect([ask(unplugAllType), region.join(""), device.pluggedBytes]).toEqual([[ack], "........", 0]);
});

test("what is plugged is not plugged again, and what is not is not unplugged", () => {
  device.request(blocks * plugBlockBytes);
  ask(plugType, 2, 2);
  expect([ask(plugType, 1, 2), ask(unplugType, 3, 2), ask(unplugType, 0, 1)]).toEqual([[error], [error], [error]]);
  expect(region.join("")).toBe("..PP....");
});

test("the state of blocks is told", () => {
  device.request(blocks * plugBlockBytes);
  ask(plugType, 2, 2);
  expect([ask(stateType, 2, 2), ask(stateType, 4, 4), ask(stateType, 0, 8)]).toEqual([
    [ack, 0],
    [ack, 1],
    [ack, 2],
  ]);
});

test("blocks outside of the region, parts of blocks and what is no request are errors", () => {
  device.request(blocks * plugBlockBytes);
  const asked = [ask(plugType, 7, 2), ask(plugType, -1, 1), ask(plugType, 0, 0), ask(plugType, 0.5, 1), ask(9, 0, 1)];
  expect(asked).toEqual(Array(5).fill([error]));
  for (const bytes of [request(plugType, 2 ** 64 - plugBlockBytes, 1), request(plugType, base, 1).subarray(0, 20)]) {
    t.add(0, [bytes], [10]);
    t.kick(0);
    expect(t.used(0)[0]?.bytes[0]).toBe(error);
  }
  expect(region.join("")).toBe("........");
});

test("blocks that a device works on stay", () => {
  device.request(blocks * plugBlockBytes);
  ask(plugType, 0, 8);
  isBusy = true;
  expect([ask(unplugType, 0, 1), ask(unplugAllType)]).toEqual([[busy], [busy]]);
  expect([device.pluggedBytes, t.config(40)]).toEqual([blocks * plugBlockBytes, blocks * plugBlockBytes]);
});

test("a restored device has plugged what was, and asks for what was asked", () => {
  device.request(4 * plugBlockBytes);
  ask(plugType, 1, 3);
  const saved = device.save();
  region.fill(".");
  const other = newDevice();
  other.restore(saved);
  expect([region.join(""), other.pluggedBytes, other.requestedBytes]).toEqual([
    ".PPP....",
    3 * plugBlockBytes,
    4 * plugBlockBytes,
  ]);
  expect(() => other.restore({ ...saved, requested: 1e12 })).toThrow(StateError);
});
