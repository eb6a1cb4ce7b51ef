import { expect, test } from "vitest";
import { OverlayPages } from "./overlay.ts";
import { PlainPages } from "./plain.ts";

const page = (byte: number): Uint8Array => new Uint8Array(4096).fill(byte);

function overlay() {
  const lower = new PlainPages(3);
  for (let n = 0; n < 3; n++) lower.write(n, page(n + 1));
  const upper = new PlainPages(4);
  return { lower, upper, object: new OverlayPages(upper, lower) };
}

function firstBytes(object: OverlayPages): number[] {
  const target = page(0xee);
  return Array.from({ length: object.pageCount }, (_, n) => {
    object.read(n, target);
    return target[0];
  });
}

test("what was never written is the lower object's", () => {
  const { object, upper } = overlay();
  expect(firstBytes(object)).toEqual([1, 2, 3, 0]);
  expect([object.stats().pagesHeld, upper.stats().pagesHeld]).toEqual([3, 0]);
});

test("what is written is in the upper one, and the lower one stays", () => {
  const { object, lower } = overlay();
  object.write(1, page(9));
  object.write(3, page(8));
  expect(firstBytes(object)).toEqual([1, 9, 3, 8]);
  const below = page(0);
  lower.read(1, below);
  expect(below[0]).toBe(2);
  expect(() => lower.write(0, page(1))).toThrow("a sealed memory object keeps what it has");
});

test("a hole is a hole, whatever lies below", () => {
  const { object } = overlay();
  object.punch(0, 2);
  expect([firstBytes(object), object.has(0)]).toEqual([[0, 0, 3, 0], false]);
  object.resize(1);
  object.resize(3);
  expect(firstBytes(object)).toEqual([0, 0, 0]);
});
