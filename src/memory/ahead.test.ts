import { afterEach, expect, test, vi } from "vitest";
import { Ahead, aheadBytes, Toucher } from "./ahead.ts";
import { Arena } from "./arena.ts";
import { arenaLayout, processFields, translationsOf } from "./arena-layout.ts";

const mib = 1 << 20;
const frames = arenaLayout.FRAMES;
afterEach(() => vi.restoreAllMocks());

/** An arena, who says how far to touch it, and the first and last byte that are touched when that is done. */
function begin(expectedBytes = 0, threads = 1, thread = 0) {
  const arena = new Arena({ threads });
  const wanted = new SharedArrayBuffer(aheadBytes);
  const ahead = new Ahead(arena, wanted, translationsOf(thread), expectedBytes);
  const toucher = new Toucher(arena.memory, wanted);
  const touched = (): [number, number] | undefined => {
    const added = vi.spyOn(Atomics, "add").mockClear();
    while (toucher.touch()) {}
    const at = added.mock.calls.map(([, word]) => 4 * word);
    expect(added.mock.calls.every(([, , value]) => Number(value) === 0)).toBe(true);
    return at.length === 0 ? undefined : [at[0], at[at.length - 1] + 4096];
  };
  return { arena, ahead, touched };
}

test("where nothing is taken nothing is touched", () => {
  const { ahead, touched } = begin();
  expect(ahead.look()).toBe(false);
  expect(touched()).toBeUndefined();
});

test("what is expected is touched at once, and the arena has grown to it", () => {
  const { arena, touched } = begin(40 * mib);
  expect(arena.memory.buffer.byteLength).toBeGreaterThanOrEqual(frames + 40 * mib);
  expect(touched()).toEqual([frames, frames + 40 * mib]);
});

test("as much is touched ahead as was taken, and 8 MiB at most", () => {
  const { arena, ahead, touched } = begin();
  arena.lend(3 * mib);
  expect(ahead.look()).toBe(true);
  expect(touched()).toEqual([frames + 3 * mib, frames + 6 * mib]);
  arena.lend(60 * mib);
  expect(ahead.look()).toBe(true);
  expect(touched()).toEqual([frames + 63 * mib, frames + 71 * mib]);
  expect(ahead.look()).toBe(false);
});

test("nobody is woken for less than is worth it", () => {
  const { arena, ahead } = begin();
  arena.lend(20 * mib);
  expect(ahead.look()).toBe(true);
  arena.lend(mib);
  expect(ahead.look()).toBe(false);
  arena.lend(mib);
  expect(ahead.look()).toBe(true);
});

test("translated code is touched ahead, too, and not past where it ends", () => {
  const { arena, ahead, touched } = begin();
  const next = (arenaLayout.PROCESS + processFields.P_BLOCK_NEXT) >> 2;
  arena.i32[next] += 4 * mib;
  expect(ahead.look()).toBe(true);
  expect(touched()).toEqual([arenaLayout.BLOCKS + 4 * mib, arenaLayout.BLOCKS + 8 * mib]);
  arena.i32[next] = arenaLayout.BLOCKS_END - mib;
  ahead.look();
  expect(touched()).toEqual([arenaLayout.BLOCKS_END - mib, arenaLayout.BLOCKS_END]);
});

test("each thread has its own translated code touched", () => {
  const { arena, ahead, touched } = begin(0, 3, 2);
  const first = translationsOf(0);
  const own = translationsOf(2);
  arena.i32[first.nextAt >> 2] += 4 * mib;
  expect(ahead.look()).toBe(false);
  arena.i32[own.nextAt >> 2] += 4 * mib;
  expect(ahead.look()).toBe(true);
  expect(touched()).toEqual([own.blocks + 4 * mib, own.blocks + 8 * mib]);
});

test("an arena whose frames several threads allot is not made to grow, and touched to its end", () => {
  const { arena, ahead, touched } = begin(0, 2);
  const end = arena.memory.buffer.byteLength;
  const from = arena.i32[(arenaLayout.PROCESS + processFields.P_FRAME_NEXT) >> 2] >>> 0;
  arena.lend(end - from - mib);
  ahead.look();
  expect(touched()).toEqual([end - mib, end - 4096]);
  expect(arena.memory.buffer.byteLength).toBe(end);
});
