import { expect, test } from "vitest";
import { gpa } from "#address";
import { hex } from "../../test/guest-code.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import type { MachineHost } from "./machine-host.ts";
import type { HeatMap, MemoryStats } from "./machine-memory.ts";

/** Adds to a word at 32 MiB for ever. */
const adder = hex(`
  83042500000002 01      ; addl $0x1,0x2000000
  ebf6                   ; jmp 0`);
const mib = 2 ** 20;
const second = 1e9;

function setting(around: Partial<MachineHost> = {}) {
  const { machine } = tinyMachine(adder, {}, undefined, around);
  const { memory } = machine.parts;
  let icount = 0n;
  const run = (): void => void machine.runUntil((icount += 5000n));
  run();
  return { machine, memory, run, stats: () => machine.memory.answer({ about: "stats" }) as MemoryStats };
}

test("every page of the slots is counted once, by where its bytes are", () => {
  const { memory, stats } = setting();
  memory.write(gpa(40 * mib), Uint8Array.of(0));
  const { slots, pages } = stats();
  expect(slots[0]).toEqual({ gpa: 0, bytes: 64 * mib, kind: "ram", name: "RAM" });
  expect(pages.own + pages.shared + pages.stored + pages.untouched).toBe(16384);
  expect([pages.own, pages.shared, pages.stored, pages.ballooned]).toEqual([memory.framesTouched, 0, 0, 0]);
  expect(pages.zero).toBeGreaterThanOrEqual(1);
});

test("pages that the guest goes on using are the working set and hot, the others grow old and cold", () => {
  const { machine, run, stats } = setting();
  const first = stats();
  expect([first.ages.watchedMs, first.workingSet]).toEqual([0, 0]);
  const begun = second;
  for (let n = 1; n <= 5; n++) {
    run();
    machine.memory.look(begun + n * second, false);
  }
  const { ages, workingSet } = stats();
  expect(workingSet).toBe(ages.pages[0]);
  expect(ages.watchedMs).toBe(6000);
  // The code, the word, and tables of pages where a walk has passed.
  expect(ages.pages[0]).toBeGreaterThanOrEqual(2);
  expect(ages.pages[0]).toBeLessThan(8);
  expect(ages.pages.slice(1).reduce((sum, count) => sum + count)).toBe(first.pages.own - (ages.pages[0] as number));
  const { pagesPerCell, present, heat } = machine.memory.answer({ about: "heat", cells: 64 }) as HeatMap;
  expect([pagesPerCell, present[32], heat[32], present[50]]).toEqual([256, 1, 255, 0]);
  expect(heat[0]).toBeLessThan(255);
});

test("the owner is told of stores since it last asked", () => {
  const { machine, memory, run } = setting();
  const dirty = () => machine.memory.answer({ about: "dirty" });
  expect(dirty()).toEqual([]);
  memory.write(gpa(40 * mib + 4095), Uint8Array.of(1, 2));
  run();
  expect(dirty()).toEqual([
    { gpa: 32 * mib, bytes: 4096 },
    { gpa: 40 * mib, bytes: 8192 },
  ]);
  expect(dirty()).toEqual([]);
});

test("when nobody has asked for a minute nothing is watched any more", () => {
  const { machine, stats } = setting();
  stats();
  machine.memory.look(1e12, false);
  expect(stats().ages.watchedMs).toBe(0);
});

test("what is cold goes while that is wanted, and stays while it is not", () => {
  let now = second;
  const { machine, memory, run } = setting({ now: () => now });
  const wait = (seconds: number): number => {
    const before = memory.framesTouched;
    for (const until = now + seconds * second; now < until; now += second) {
      run();
      machine.memory.look(now, false);
    }
    return before - memory.framesTouched;
  };
  const fill = (): void => void memory.write(gpa(40 * mib), new Uint8Array(mib).fill(3));
  const reclaim = (on: boolean): void => void machine.memory.answer({ about: "reclaim", on });
  fill();
  expect(wait(100)).toBe(0);
  reclaim(true);
  expect(wait(100)).toBeGreaterThanOrEqual(256);
  fill();
  reclaim(false);
  expect(wait(200)).toBe(0);
  reclaim(true);
  // Those that came back have shown that they are wanted at that age: it takes long until that is forgotten.
  expect(wait(1000)).toBeGreaterThanOrEqual(256);
});
