import { expect, test } from "vitest";
import { gpa } from "#address";
import { guest } from "../../test/guest-code.ts";
import type { AddressSpace } from "./address-space.ts";
import type { Arena } from "./arena.ts";
import { PlainPages } from "./backends/plain.ts";

const halt = Uint8Array.of(0xf4);
const at = gpa(0x40_0000);

const byteAt = (space: AddressSpace, page: number): number => {
  const bytes = new Uint8Array(1);
  space.read(gpa(at + page * 4096 + 77), bytes);
  return bytes[0];
};
const write = (space: AddressSpace, page: number, value: number): void =>
  void space.write(gpa(at + page * 4096 + 77), Uint8Array.of(value));

function newSpace(): { space: AddressSpace; arena: Arena } {
  const { memory, vcpu } = guest(halt);
  return { space: memory, arena: vcpu.arena };
}

test("a fork has what the other had, and neither sees what the other writes from then on", () => {
  const { space, arena } = newSpace();
  write(space, 0, 1);
  write(space, 1, 2);
  const before = arena.framesUsed;
  const fork = space.fork();
  expect([byteAt(fork, 0), byteAt(fork, 1), arena.framesUsed]).toEqual([1, 2, before]);
  write(fork, 0, 3);
  write(space, 1, 4);
  expect([byteAt(space, 0), byteAt(space, 1), byteAt(fork, 0), byteAt(fork, 1)]).toEqual([1, 4, 3, 2]);
  expect(arena.framesUsed).toBe(before + 2);
});

test("the last user of a frame has it to itself, without a copy", () => {
  const { space, arena } = newSpace();
  write(space, 0, 1);
  const fork = space.fork();
  space[Symbol.dispose]();
  const before = arena.framesUsed;
  write(fork, 0, 2);
  expect([byteAt(fork, 0), arena.framesUsed]).toEqual([2, before]);
});

test("who is handed a shared page to read has a frame of its own, which stays what it is", () => {
  const { space, arena } = newSpace();
  write(space, 0, 1);
  const fork = space.fork();
  const pinned = fork.pin([{ gpa: gpa(at + 77), length: 1 }], false);
  const [piece] = pinned?.pieces ?? [];
  space[Symbol.dispose]();
  expect(arena.u8[piece.hpa]).toBe(1);
  expect(() => fork.fork()).toThrow("nobody else works");
  pinned?.release();
});

test("spaces of a family, forked, written, given back and ended at random, hold what each has written and nothing else", () => {
  const { space, arena } = newSpace();
  const others = arena.framesUsed - space.framesTouched;
  const pages = 40;
  const family = [{ space, model: new Map<number, number>() }];
  let seed = 12345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let step = 0; step < 20_000; step++) {
    const one = family[random(family.length)];
    const page = random(pages);
    const what = random(100);
    if (what < 60) {
      const value = 1 + random(255);
      write(one.space, page, value);
      one.model.set(page, value);
    } else if (what < 75) expect(byteAt(one.space, page)).toBe(one.model.get(page) ?? 0);
    else if (what < 90) {
      one.space.release([at / 4096 + page]);
      one.model.delete(page);
    } else if (what < 95 && family.length < 12) family.push({ space: one.space.fork(), model: new Map(one.model) });
    else if (family.length > 1) {
      one.space[Symbol.dispose]();
      family.splice(family.indexOf(one), 1);
    }
  }
  const frames = new Set<number>();
  for (const { space, model } of family) {
    space.forEachPage((_, frame) => frames.add(frame));
    for (let page = 0; page < pages; page++) expect(byteAt(space, page)).toBe(model.get(page) ?? 0);
  }
  expect(arena.framesUsed - others).toBe(frames.size);
  for (const { space } of family) space[Symbol.dispose]();
  expect(arena.framesUsed).toBe(others);
});

test("what a sealed object has is read once for all of a family, and is each one's own once it is written", () => {
  const pages = new PlainPages((16 << 20) / 4096);
  const bytes = new Uint8Array(4096).fill(7);
  for (const page of [0, 1]) pages.write(at / 4096 + page, bytes);
  pages.seal();
  const { space, arena } = newSpace();
  space.swap.map(space.memslots[0], pages, 0);
  const forks = [space.fork(), space.fork()];
  const before = arena.framesUsed;
  for (const page of [0, 1]) forks[0].swap.bringIn(at / 4096 + page);
  expect([forks[0], space, forks[1]].map((each) => byteAt(each, 0))).toEqual([7, 7, 7]);
  write(forks[1], 1, 8);
  expect([forks[0], space, forks[1]].map((each) => byteAt(each, 1))).toEqual([7, 7, 8]);
  expect([pages.stats().reads, arena.framesUsed - before]).toEqual([2, 3]);
  for (const each of [space, ...forks]) each[Symbol.dispose]();
  expect(arena.framesUsed).toBe(0);
});

test("a table's place is used again, empty", () => {
  const { space } = newSpace();
  const first = space.fork();
  first[Symbol.dispose]();
  const second = space.fork();
  expect(second.header).toBe(first.header);
  expect(byteAt(second, 3)).toBe(0);
});
