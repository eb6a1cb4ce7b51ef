import { expect, test } from "vitest";
import { pageKernels } from "../../../test/page-kernels.ts";
import { memoryServices } from "../../host/guest-memory.ts";
import { CompressedPages } from "./compressed.ts";
import { MemoryObjectError } from "./memory-object.ts";
import { PlainPages } from "./plain.ts";

const kernels = pageKernels();
const codec = memoryServices.codec as NonNullable<typeof memoryServices.codec>;

/** As large as a page gets when it is text. */
const text = (seed: number): Uint8Array =>
  Uint8Array.from({ length: 4096 }, (_, n) => 97 + ((Math.imul((n >> 3) + seed, 0x85ebca6b) >>> 20) % 7));
const noise = (): Uint8Array => crypto.getRandomValues(new Uint8Array(4096));

function readBack(object: CompressedPages, page: number): Uint8Array {
  const target = new Uint8Array(4096);
  object.read(page, target);
  return target;
}

test("pages take what their blocks take, and noise a page", () => {
  const object = new CompressedPages(4096, { kernels });
  const before = object.stats().hostBytes;
  for (let page = 0; page < 2000; page++) object.write(page, text(page));
  const { own, hostBytes } = object.stats();
  expect(own.incompressible).toBe(0);
  expect(own.warmBytes).toBeLessThan(2000 * 2048);
  expect(hostBytes - before).toBeLessThan(own.warmBytes * 1.3);
  object.write(0, noise());
  expect(object.stats().own.incompressible).toBe(1);
});

test("what was here for long is smaller still, and comes back", () => {
  const object = new CompressedPages(256, { kernels, codec, coldAfter: 40 });
  for (let page = 0; page < 200; page++) object.write(page, text(page));
  const { coldPages, coldBytes, warmPages, warmBytes } = object.stats().own;
  expect([coldPages + warmPages, coldPages >= 128]).toEqual([200, true]);
  expect(coldBytes / coldPages).toBeLessThan(warmBytes / warmPages);
  for (let page = 0; page < 200; page++) expect(readBack(object, page)).toEqual(text(page));
});

test("a batch of which most is gone is given up, and the rest of it is warm", () => {
  const object = new CompressedPages(256, { kernels, codec, coldAfter: 16 });
  for (let page = 0; page < 32; page++) object.write(page, text(page));
  expect(object.stats().own.coldPages).toBe(16);
  object.punch(0, 13);
  expect(object.stats().own).toMatchObject({ coldPages: 0, coldBatches: 0, warmPages: 19 });
  expect(readBack(object, 15)).toEqual(text(15));
});

test("a batch whose bytes have changed is no page of anybody", () => {
  const inner = new PlainPages(256);
  const object = new CompressedPages(256, { kernels, codec, inner, coldAfter: 16 });
  for (let page = 0; page < 32; page++) object.write(page, text(page));
  expect(inner.stats().pagesHeld).toBeGreaterThan(0);
  inner.write(0, noise());
  expect(() => readBack(object, 0)).toThrow(MemoryObjectError);
  expect(readBack(object, 20)).toEqual(text(20));
});
