import { expect, test } from "vitest";
import { type Gpa, gfnOf, gpa } from "#address";
import { StoreProgram } from "../../test/store-program.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";

const halt = Uint8Array.of(0xf4);
const at = gpa(0x200_0000);
const numbers = (pages: Iterable<number>): number[] => [...pages].sort((a, b) => a - b);

/** Epochs of these many instructions. */
const epochs = [1, 7, 60, 1000, 20_000, 3, 150_000, 999];

for (const [name, hotThreshold] of [
  ["interpreted", Number.POSITIVE_INFINITY],
  ["compiled", 20],
] as const) {
  test(`a harvest has the pages of known stores and no others, ${name}`, { timeout: 60_000 }, () => {
    const program = new StoreProgram(23, { hotThreshold });
    using log = program.guest.memory.dirty.open();
    let icount = 0n;
    for (let round = 0; round < 3; round++) {
      for (const epoch of epochs) {
        icount += BigInt(epoch);
        program.run(icount);
        expect(numbers(log.harvest())).toEqual(numbers(program.pages()));
      }
    }
    expect(program.stores).toBeGreaterThan(80_000);
  });
}

test("a ring lists the same pages in the order of their first stores, until there are too many", () => {
  const program = new StoreProgram(23, { hotThreshold: 20 });
  using ring = program.guest.memory.dirty.openRing(1000);
  let icount = 0n;
  const overflowed: boolean[] = [];
  for (const epoch of [100, 2000, 40_000, 2000, 1]) {
    icount += BigInt(epoch);
    program.run(icount);
    const harvest = ring.harvest();
    const pages = [...program.pages()];
    expect(harvest.gfns).toEqual(harvest.overflowed ? numbers(pages) : pages);
    overflowed.push(harvest.overflowed);
  }
  expect(overflowed).toEqual([false, false, true, false, false]);
});

test("several logs and a ring each hear of every page, whenever they ask", () => {
  const program = new StoreProgram(20);
  const { dirty } = program.guest.memory;
  using often = dirty.open();
  using seldom = dirty.open();
  using ring = dirty.openRing(64);
  const all = new Set<number>();
  for (const icount of [50n, 200n, 900n]) {
    program.run(icount);
    const pages = program.pages();
    for (const page of pages) all.add(page);
    expect(numbers(often.harvest())).toEqual(numbers(pages));
  }
  expect(numbers(seldom.harvest())).toEqual(numbers(all));
  expect(ring.harvest()).toEqual({ gfns: numbers(all), overflowed: true });
  using late = dirty.open();
  expect([...late.harvest(), ...often.harvest(), ...seldom.harvest(), ...ring.harvest().gfns]).toEqual([]);
});

test("stores of devices, pages given back, and what is written through a pin are in the log", () => {
  const { memory } = tinyMachine(halt).machine.parts;
  const page = (n: number): Gpa => (at + n * 4096) as Gpa;
  memory.write(page(5), Uint8Array.of(1));
  using log = memory.dirty.open();
  memory.write((page(1) - 1) as Gpa, Uint8Array.of(1, 2));
  memory.store16(page(2), 1);
  memory.store32(page(3), 1);
  memory.read(page(4), new Uint8Array(16));
  memory.load32(page(4));
  memory.release([gfnOf(page(5)), gfnOf(page(6))]);
  const written = memory.pin([{ gpa: page(7), length: 4097 }], true);
  const read = memory.pin([{ gpa: page(9), length: 1 }], false);
  const relative = (pages: Iterable<number>): number[] => numbers(pages).map((gfn) => gfn - gfnOf(at));
  expect(relative(log.harvest())).toEqual([0, 1, 2, 3, 5, 7, 8]);
  written?.release();
  read?.release();
  expect(relative(log.harvest())).toEqual([7, 8]);
});
