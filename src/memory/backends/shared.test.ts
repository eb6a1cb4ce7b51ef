import { expect, test } from "vitest";
import { pageKernels } from "../../../test/page-kernels.ts";
import type { PageKernels } from "../page-kernels.ts";
import { PlainPages } from "./plain.ts";
import { SharedPages, SharedStore } from "./shared.ts";

const page = (byte: number): Uint8Array => new Uint8Array(4096).fill(byte);
const firstByte = (object: SharedPages, number: number): number => {
  const target = page(0xee);
  object.read(number, target);
  return target[0];
};

function twoMachines() {
  const store = new SharedStore(new PlainPages(4), pageKernels());
  return { store, one: new SharedPages(100, store), other: new SharedPages(100, store) };
}

test("the same page is kept once, whoever has it", () => {
  const { store, one, other } = twoMachines();
  for (let n = 0; n < 50; n++) {
    one.write(n, page(n % 5));
    other.write(n + 20, page(n % 5));
  }
  expect([store.distinct, store.references, store.inner.stats().pagesHeld]).toEqual([5, 100, 5]);
});

test("who writes to one has it alone, and the others stay", () => {
  const { store, one, other } = twoMachines();
  one.write(1, page(7));
  other.write(2, page(7));
  one.write(1, page(8));
  expect([firstByte(one, 1), firstByte(other, 2), store.distinct]).toEqual([8, 7, 2]);
});

test("the last to leave takes the page with it", () => {
  const { store, one, other } = twoMachines();
  one.write(1, page(7));
  other.write(2, page(7));
  one[Symbol.dispose]();
  expect([store.distinct, firstByte(other, 2)]).toEqual([1, 7]);
  other.punch(2, 1);
  expect([store.distinct, store.inner.stats().pagesHeld]).toEqual([0, 0]);
});

test("pages with one check are not one page", () => {
  const kernels: PageKernels = { check: () => 1, compress: () => undefined, decompress: () => false };
  const store = new SharedStore(new PlainPages(4), kernels);
  const object = new SharedPages(10, store);
  for (let n = 0; n < 10; n++) object.write(n, page(n + 1));
  expect(Array.from({ length: 10 }, (_, n) => firstByte(object, n))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});
