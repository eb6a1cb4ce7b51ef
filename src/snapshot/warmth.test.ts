import { expect, test } from "vitest";
import { memorySink } from "../../test/memory-sink.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { fillingProgram } from "../../test/tiny-programs.ts";
import type { SnapshotSource } from "./format.ts";
import { readSnapshot } from "./restore.ts";
import { writeSnapshot } from "./save.ts";
import { learnWarmth, warmUp } from "./warmth.ts";

const build = new Uint8Array(32).fill(5);
const end = 30_000n;

function snapshotAt(instant: bigint): SnapshotSource {
  const { machine } = tinyMachine(fillingProgram);
  machine.runUntil(instant);
  const { sink, bytes } = memorySink();
  const { sizeBytes } = writeSnapshot(machine, {}, sink);
  const file = Buffer.from(bytes());
  return {
    name: "a.snapshot",
    sizeBytes,
    read: (offset, target) => file.copy(target, 0, offset, offset + target.length),
  };
}

function restored(source: SnapshotSource) {
  const { resume, pages } = readSnapshot(source);
  return { ...tinyMachine(fillingProgram, { engine: { hotThreshold: 50 } }, resume), of: { pages, build } };
}

/** What a machine learned that ran from the snapshot for a while. */
function learned(source: SnapshotSource): Uint8Array {
  const { machine, of } = restored(source);
  machine.runUntil(5_000n);
  return learnWarmth(machine, of, undefined) as Uint8Array;
}

test("a warm machine runs as a cold one does, and translates nothing anew", () => {
  const source = snapshotAt(137n);
  const [cold, warm] = [restored(source), restored(source)];
  expect(warmUp(warm.machine, warm.of, learned(source))).toBe(true);
  expect(warm.machine.parts.memory.framesTouched).toBeGreaterThan(2);
  for (const { machine } of [cold, warm]) machine.runUntil(end);
  expect(warm.machine.digest()).toEqual(cold.machine.digest());
  const lifted = [cold, warm].map(({ machine }) => machine.parts.engine.stats.lifted);
  expect(lifted[0]).toBeGreaterThan(3);
  expect(lifted[1]).toBe(0);
});

test("fillingProgram that the guest changes after it was learned is translated anew", () => {
  const source = snapshotAt(137n);
  const file = learned(source);
  const { machine, of } = restored(source);
  warmUp(machine, of, file);
  const { memory } = machine.parts;
  // The subroutine decrements now.
  memory.write((0x100_0000 + 33) as Parameters<typeof memory.write>[0], Uint8Array.of(0xff, 0xc8));
  const other = restored(source);
  other.machine.parts.memory.write((0x100_0000 + 33) as Parameters<typeof memory.write>[0], Uint8Array.of(0xff, 0xc8));
  for (const each of [machine, other.machine]) each.runUntil(end);
  expect(machine.digest()).toEqual(other.machine.digest());
});

test("what is damaged, of another snapshot or of another build is no warmth", () => {
  const source = snapshotAt(137n);
  const file = learned(source);
  const refuses = (file: Uint8Array, from = source, by = build): boolean => {
    const { machine, of } = restored(from);
    const took = warmUp(machine, { ...of, build: by }, file);
    return !took || machine.parts.memory.framesTouched === 0;
  };
  expect(refuses(file)).toBe(false);
  expect(refuses(file, snapshotAt(138n))).toBe(true);
  expect(refuses(file, source, new Uint8Array(32))).toBe(true);
  for (let length = 0; length < file.length; length += 137) expect(refuses(file.subarray(0, length))).toBe(true);
});

test("a wrong byte among the translations leaves all of them out", () => {
  const source = snapshotAt(137n);
  const file = learned(source);
  for (let at = 0; at < file.length; at += 41) {
    const damaged = file.slice();
    damaged[at] ^= 0x40;
    const { machine, of } = restored(source);
    warmUp(machine, of, damaged);
    machine.runUntil(5_000n);
    expect(machine.parts.engine.stats.lifted).toBeGreaterThan(3);
  }
});

test("a machine that wants no less than what is known teaches nothing", () => {
  const source = snapshotAt(137n);
  const file = learned(source);
  const { machine, of } = restored(source);
  warmUp(machine, of, file);
  machine.runUntil(5_000n);
  expect(learnWarmth(machine, of, file)).toBe(undefined);
  expect(learnWarmth(machine, of, new Uint8Array(100))).toBeDefined();
});
