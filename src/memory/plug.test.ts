import { expect, test } from "vitest";
import { gpa } from "#address";
import { type TinyMachine, tinyMachine } from "../../test/tiny-machine.ts";
import { plugBytes } from "./address-space.ts";

const halt = Uint8Array.of(0xf4);
const mib = 1 << 20;
const base = 0x1_0000_0000;
const blocks = 32;
const block = (n: number): ReturnType<typeof gpa> => gpa(base + n * plugBytes);

const machine = (engine = {}): TinyMachine =>
  tinyMachine(halt, { memoryBytes: 64 * mib, memoryMaxBytes: 192 * mib, engine });

test("what is not plugged in is no memory, for nobody", () => {
  const { memory } = machine().machine.parts;
  const before = memory.framesTouched;
  const byte = Uint8Array.of(1);
  const inside = { gpa: block(3), length: 16 };
  expect([memory.write(block(3), byte), memory.read(block(3), byte), memory.isRam(block(3), 1)]).toEqual([
    false,
    false,
    false,
  ]);
  expect([memory.pin([inside], true), memory.access([inside], false, () => 1)]).toEqual([undefined, undefined]);
  memory.store32(block(3), 7);
  expect([memory.load32(block(3)), memory.framesTouched, memory.ram]).toEqual([
    0,
    before,
    [{ gpa: 0, sizeBytes: 64 * mib }],
  ]);
});

test("a range is memory where all blocks that it touches are", () => {
  const { memory } = machine().machine.parts;
  memory.plug(block(1), 2 * plugBytes);
  const at = (first: number, length: number): boolean => memory.isRam(gpa(block(1) + first), length);
  expect([at(0, 2 * plugBytes), at(-1, 2), at(-1, 1), at(2 * plugBytes - 1, 2), at(plugBytes - 1, 2)]).toEqual([
    true,
    false,
    false,
    false,
    true,
  ]);
});

test("a block that is unplugged gives its frames back, and is zeros when it is plugged again", () => {
  const { memory } = machine().machine.parts;
  const before = memory.framesTouched;
  memory.plug(block(2), plugBytes);
  memory.write(gpa(block(2) + 4000), new Uint8Array(10_000).fill(9));
  expect(memory.framesTouched).toBe(before + 4);
  const pinned = memory.pin([{ gpa: block(2), length: 4096 }], false);
  expect([memory.unplug(block(2), plugBytes), memory.isRam(block(2), 1)]).toEqual([false, true]);
  pinned?.release();
  expect([memory.unplug(block(2), plugBytes), memory.framesTouched]).toEqual([true, before]);
  memory.plug(block(2), plugBytes);
  const bytes = new Uint8Array(plugBytes).fill(1);
  memory.read(block(2), bytes);
  expect(bytes.some((byte) => byte !== 0)).toBe(false);
});

test("the dirty log has the pages that went with their block", () => {
  const { memory } = machine().machine.parts;
  memory.plug(block(0), plugBytes);
  memory.write(gpa(block(0) + 8192), Uint8Array.of(1));
  const log = memory.dirty.open();
  log.harvest();
  memory.unplug(block(0), plugBytes);
  expect([...log.harvest()]).toEqual([(base + 8192) / 4096]);
});

/** A multiplicative generator: the same numbers each time. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

test("plugged, unplugged, written, evicted and forked at random, it is as a plain map says", () => {
  for (const seed of [1, 2, 3]) {
    const pick = random(seed);
    // With a seed for evictions there is somewhere for pages to go.
    const family = [
      { tiny: machine({ evictionSeed: 1 }), plugged: new Set<number>(), bytes: new Map<number, number>() },
    ];
    for (let step = 0; step < 600; step++) {
      const one = family[pick(family.length)] as (typeof family)[number];
      const { memory } = one.tiny.machine.parts;
      const n = pick(blocks);
      const at = block(n) + 4096 * pick(4);
      const act = pick(step > 550 && family.length < 3 ? 6 : 5);
      if (act === 0) {
        memory.plug(block(n), plugBytes);
        one.plugged.add(n);
      } else if (act === 1) {
        expect(memory.unplug(block(n), plugBytes)).toBe(true);
        one.plugged.delete(n);
        for (const key of one.bytes.keys()) if (key >= block(n) && key < block(n + 1)) one.bytes.delete(key);
      } else if (act === 2) {
        expect(memory.write(gpa(at), Uint8Array.of(step & 0xff))).toBe(one.plugged.has(n));
        if (one.plugged.has(n)) one.bytes.set(at, step & 0xff);
      } else if (act === 3) memory.swap.evict([at / 4096]);
      else if (act === 4) {
        const byte = Uint8Array.of(77);
        expect(memory.read(gpa(at), byte)).toBe(one.plugged.has(n));
        expect(byte[0]).toBe(one.plugged.has(n) ? (one.bytes.get(at) ?? 0) : 77);
      } else family.push({ tiny: one.tiny.fork(), plugged: new Set(one.plugged), bytes: new Map(one.bytes) });
    }
    for (const { tiny, plugged, bytes } of family) {
      const { memory } = tiny.machine.parts;
      const ram = memory.ram.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      expect(ram).toBe(64 * mib + plugged.size * plugBytes);
      for (const [at, byte] of bytes) {
        const seen = new Uint8Array(1);
        memory.read(gpa(at), seen);
        expect(seen[0]).toBe(byte);
      }
    }
  }
});
