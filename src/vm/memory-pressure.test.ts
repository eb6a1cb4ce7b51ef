import { expect, test, vi } from "vitest";
import { hex } from "../../test/guest-code.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { memoryServices } from "../host/guest-memory.ts";
import { arenaLayout, processFields } from "../memory/arena-layout.ts";
import type { PageCipher } from "../memory/backends/encrypted.ts";
import type { MemoryFile } from "../memory/backends/file.ts";
import { MemoryObjectError } from "../memory/backends/memory-object.ts";
import type { Machine } from "./machine.ts";
import type { HostPressure, MemoryPressure } from "./memory-pressure.ts";

vi.setConfig({ testTimeout: 240_000 });

/** Adds a number to a word of each of 4096 pages from 32 MiB on, again and again. */
const walker = hex(`
  31 db                   ; xor %ebx,%ebx
  bf 00000002             ; mov $0x2000000,%edi
  ff c3                   ; inc %ebx
  01 1f                   ; add %ebx,(%rdi)
  81 c7 00100000          ; add $0x1000,%edi
  81 ff 00000003          ; cmp $0x3000000,%edi
  72 ee                   ; jb -18                to inc
  eb e7                   ; jmp -25               to mov
`);
const round = 5n * 4096n;

/** A disk with room for so many pages. */
function disk(pages: number) {
  const state = { room: pages };
  const kept = new Map<number, Uint8Array>();
  const file: MemoryFile = {
    name: "disk",
    sizeBytes: 0,
    read: (offset, target) => {
      target.set(kept.get(offset) ?? new Uint8Array(target.length));
      return target.length;
    },
    write: (offset, source) => {
      if (!kept.has(offset) && state.room-- <= 0) throw new Error("disk: it is full");
      kept.set(offset, source.slice());
    },
    punch: () => false,
    truncate: () => {},
    sync: () => {},
    [Symbol.dispose]: () => {},
  };
  return { state, file };
}

/** The host's time goes on by 10 ms whenever it is asked for. */
function slowClock(): () => number {
  let time = 0;
  return () => (time += 10e6);
}

/** Out of `wait`: the machine has no turn now. */
class Rests extends Error {}

const around = {
  wait: () => {
    throw new Rests();
  },
};

/** Runs some instructions, `rounds` times, as far as the machine has turns. */
function run(machine: Machine, rounds: number, instructions = 8000n): void {
  for (let n = 0; n < rounds; n++) {
    try {
      machine.runUntil(BigInt(machine.stats().guestInstructions) + instructions);
    } catch (error) {
      if (!(error instanceof Rests)) throw error;
    }
  }
}

/** What a machine that nothing presses on is at that instruction. */
function digestAt(icount: bigint) {
  const { machine } = tinyMachine(walker);
  machine.runUntil(icount);
  return machine.digest();
}

test("a machine over its limit whose pages find no place stands still, says so, and goes on when they do", () => {
  const { state, file } = disk(1000);
  const told: MemoryPressure[] = [];
  const { machine, reports } = tinyMachine(
    walker,
    { memoryBacking: { kind: "file", path: "disk" }, reclaim: { proactive: false, limitFrames: 2000 } },
    undefined,
    {
      ...around,
      now: slowClock(),
      memory: { ...memoryServices, newFile: () => file },
      memoryChanged: (pressure) => told.push(pressure),
    },
  );
  run(machine, 200);
  const why = "it has more than its limit of 8 MiB, and its pages cannot be kept elsewhere (disk: it is full)";
  expect(told.at(-1)).toEqual({ level: "critical", of: "machine", paused: why });
  expect(reports("notice")).toEqual([`memory: the machine is paused: ${why}`]);
  const icount = machine.stats().guestInstructions;
  run(machine, 50);
  expect(machine.stats().guestInstructions).toBe(icount);
  state.room = 10_000;
  run(machine, 50);
  expect(machine.stats().guestInstructions).toBeGreaterThan(icount);
  expect(reports("notice").slice(1)).toEqual(["memory: the machine goes on"]);
  const end = BigInt(machine.stats().guestInstructions) + 3n * round;
  machine.runUntil(end);
  expect(machine.digest()).toEqual(digestAt(end));
});

test("a limit that is raised lets a machine go on, and one that is set makes it do with less", () => {
  const { machine } = tinyMachine(walker, {}, undefined, { ...around, now: slowClock() });
  const { memory } = machine;
  run(machine, 100);
  expect(machine.stats().framesTouched).toBeGreaterThan(4096);
  expect(machine.stats().swap).toBeUndefined();
  memory.answer({ about: "limit", bytes: 8 << 20 });
  run(machine, 100, 1000n);
  expect(machine.stats().framesTouched).toBeLessThan(2048 + 250);
  expect(machine.stats().swap?.out).toBeGreaterThan(2000);
  memory.answer({ about: "limit" });
  const end = BigInt(machine.stats().guestInstructions) + 3n * round;
  machine.runUntil(end);
  expect(machine.stats().framesTouched).toBeGreaterThan(4096);
  expect(machine.digest()).toEqual(digestAt(end));
});

test("a machine that the host has chosen stands still, and its pages go", () => {
  const host: HostPressure = { level: "none", chosen: false };
  const told: MemoryPressure[] = [];
  const { machine } = tinyMachine(walker, {}, undefined, {
    ...around,
    now: slowClock(),
    memoryPressure: host,
    memoryChanged: (pressure) => told.push(pressure),
  });
  run(machine, 100);
  Object.assign(host, { level: "high", chosen: false });
  run(machine, 3);
  expect(told).toEqual([{ level: "high", of: "host" }]);
  Object.assign(host, { level: "critical", chosen: true });
  const icount = machine.stats().guestInstructions;
  run(machine, 100);
  expect([told.at(-1)?.paused?.slice(0, 21), machine.stats().guestInstructions]).toEqual([
    "the host is out of me",
    icount,
  ]);
  expect(machine.stats().framesTouched).toBeLessThan(10);
  Object.assign(host, { level: "none", chosen: false });
  const end = BigInt(icount) + 3n * round;
  machine.runUntil(end);
  expect(machine.digest()).toEqual(digestAt(end));
  run(machine, 100);
  expect(told.at(-1)).toEqual({ level: "none" });
});

test("of a family that has used all frames the largest stands still, till another one ends", () => {
  const newCipher = (): PageCipher => ({
    name: "none",
    tagBytes: 0,
    seal() {
      throw new MemoryObjectError("there is no more room");
    },
    open: () => false,
  });
  const memory = { ...memoryServices, newCipher };
  const first = tinyMachine(walker, { memoryBacking: { kind: "encrypted" } }, undefined, {
    ...around,
    now: slowClock(),
    memory,
  });
  run(first.machine, 1);
  const family = [first, first.fork(), first.fork()];
  const { memory: space, vcpu } = first.machine.parts;
  // The reserve, and what two of them need.
  vcpu.arena.i32[(arenaLayout.PROCESS + processFields.P_FRAME_LIMIT) >> 2] = space.framesTouched + 4096 + 9000;
  const runAll = (rounds: number): void => {
    for (let n = 0; n < rounds; n++) for (const { machine } of family) run(machine, 1);
  };
  runAll(80);
  const standing = family.filter(({ machine }) => machine.memory.isPaused);
  expect(standing).toHaveLength(1);
  expect(standing[0].reports("notice").at(-1)).toContain(
    "paused: the machines that share its memory have used all there is, and its pages cannot be kept elsewhere",
  );
  const other = family.findIndex(({ machine }) => !machine.memory.isPaused);
  family[other].machine[Symbol.dispose]();
  family.splice(other, 1);
  runAll(40);
  for (const { machine } of family) {
    expect(machine.memory.isPaused).toBe(false);
    const end = BigInt(machine.stats().guestInstructions) + round;
    machine.runUntil(end);
    expect(machine.digest()).toEqual(digestAt(end));
  }
});
