import { expect, test } from "vitest";
import { gpa } from "#address";
import { codeBase, guest, hex } from "../../test/guest-code.ts";
import { PageAges } from "./page-ages.ts";

/** Reads a page for ever, whose address is in RBX. */
const reader = hex(`
  488b03                 ; mov (%rbx),%rax
  ebfb                   ; jmp 0`);
const page = (n: number): number => 0x200 + n;

for (const [name, hotThreshold] of [
  ["interpreted", Number.POSITIVE_INFINITY],
  ["compiled", 20],
] as const) {
  test(`pages age while nobody uses them, and are young again when code reads them, ${name}`, () => {
    const { memory, vcpu, run } = guest(reader, { hotThreshold });
    for (const n of [0, 1, 2]) memory.write(gpa(page(n) * 4096), Uint8Array.of(1));
    const ages = new PageAges(memory);
    const code = codeBase / 4096;
    let icount = 0n;
    const reads = (n: number): Uint32Array => {
      vcpu.setRegister(3, BigInt(page(n) * 4096));
      run((icount += 1000n));
      return ages.scan();
    };
    const seen = [0, 0, 1, 0].map((n) => {
      const again = reads(n);
      return [
        [page(0), page(1), page(2), code].map((gfn) => ages.ageOf(gfn)),
        [...again].flatMap((count, age) => (count > 0 ? [[age, count]] : [])),
      ];
    });
    expect(seen).toEqual([
      [[0, 1, 1, 0], [[0, 2]]],
      [[0, 2, 2, 0], [[0, 2]]],
      [
        [1, 0, 3, 0],
        [
          [0, 1],
          [2, 1],
        ],
      ],
      [
        [0, 1, 4, 0],
        [
          [0, 1],
          [1, 1],
        ],
      ],
    ]);
    expect([...ages.histogram().subarray(0, 6)]).toEqual([2, 1, 0, 0, 1, 0]);
  });
}

test("a page that was given back has no age, and is no old page when it is used again", () => {
  const { memory } = guest(reader);
  const at = gpa(page(0) * 4096);
  memory.write(at, Uint8Array.of(1));
  const ages = new PageAges(memory);
  ages.scan();
  ages.scan();
  expect(ages.ageOf(page(0))).toBe(2);
  memory.release([page(0)]);
  ages.scan();
  expect(ages.ageOf(page(0))).toBe(0);
  memory.write(at, Uint8Array.of(1));
  expect(ages.scan()[0]).toBe(1);
});
