import { describe, expect, test } from "vitest";
import { checkLaws } from "./laws.ts";
import type { MemoryObject } from "./memory-object.ts";
import { OverlayPages } from "./overlay.ts";
import { PlainPages } from "./plain.ts";
import { SameFilledPages } from "./same-filled.ts";

type Make = (pageCount: number) => MemoryObject;

const kinds: Readonly<Record<string, Make>> = {
  plain: (pageCount) => new PlainPages(pageCount),
};
const stacks: Readonly<Record<string, (inner: MemoryObject) => MemoryObject>> = {
  zero: (inner) => new SameFilledPages(inner),
  overlay: (inner) => new OverlayPages(inner, new PlainPages(20)),
};
const bottom = Object.entries(kinds);
const two = Object.entries(stacks).flatMap(([outer, stack]) =>
  [
    ...bottom,
    ...Object.entries(stacks).map(([name, inner]) => [name, (n: number) => inner(new PlainPages(n))] as const),
  ].map(([inner, make]): [string, Make] => [`${outer} over ${inner}`, (pageCount) => stack(make(pageCount))]),
);

describe("a memory object keeps its laws", () => {
  test.each([...bottom, ...two])("%s", (_, make) => {
    for (let seed = 1; seed <= 3; seed++) expect(checkLaws(make, { seed, steps: 250 })).toBeUndefined();
  });
});

test("the laws find an object that forgets a byte", () => {
  class Forgetful extends PlainPages {
    protected override store(page: number, source: Uint8Array): void {
      const other = source.slice();
      if (page === 7) other[100] = 0;
      super.store(page, other);
    }
  }
  expect(checkLaws((pageCount) => new Forgetful(pageCount), { seed: 1, steps: 400 })).toContain(
    "page 7 is not what was written",
  );
});
