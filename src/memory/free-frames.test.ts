import { expect, test } from "vitest";
import { gpa } from "#address";
import { guest } from "../../test/guest-code.ts";
import { FreeFrames, freeFrames } from "./free-frames.ts";

const first = 0x200;
const count = 600;

/** A guest that has touched some pages and given them back; what the host was told to take. */
function setting({ takes = true } = {}) {
  const { memory, engine, vcpu } = guest(Uint8Array.of(0xf4));
  const { arena } = vcpu;
  const told: [at: number, bytes: number][] = [];
  const free = FreeFrames.of(arena, engine.runtime, (_, at, bytes) => {
    if (!takes) return false;
    told.push([at, bytes]);
    arena.u8.fill(0, at, at + bytes);
    return true;
  });
  const gfns = Array.from({ length: count }, (_, n) => first + n);
  const touch = (): void => {
    for (const gfn of gfns) memory.write(gpa(gfn * 4096), Uint8Array.of(1, 2, 3));
  };
  touch();
  memory.release(gfns);
  return { memory, arena, free, told, touch, state: () => freeFrames(arena) };
}

test("frames that stay free go back to the host, neighbours at once; a few stay for the next", () => {
  const { free, told, state } = setting();
  free.look(0);
  expect([told, state()]).toEqual([[], { kept: count, discarded: 0 }]);
  free.look(1e6);
  expect(told).toEqual([]);
  free.look(1e9);
  expect(state()).toEqual({ kept: 128, discarded: count - 128 });
  expect(told).toEqual([[expect.any(Number), (count - 128) * 4096]]);
});

test("an idle machine waits for nothing, and a frame from the host is one of zeros", () => {
  const { memory, free, touch, state } = setting();
  free.look(0, true);
  expect(state()).toEqual({ kept: 128, discarded: count - 128 });
  touch();
  expect(state()).toEqual({ kept: 0, discarded: 0 });
  const bytes = new Uint8Array(8);
  memory.read(gpa((first + count - 1) * 4096), bytes);
  expect([...bytes]).toEqual([1, 2, 3, 0, 0, 0, 0, 0]);
});

test("where the host takes nothing the frames stay on the list", () => {
  const { memory, free, touch, state } = setting({ takes: false });
  free.look(0, true);
  free.look(1e9, true);
  expect(state()).toEqual({ kept: count, discarded: 0 });
  touch();
  expect([state(), memory.framesTouched]).toEqual([{ kept: 0, discarded: 0 }, count + 1]);
});
