import { expect, test } from "vitest";
import { tinyMachine } from "../../../test/tiny-machine.ts";
import { fillingProgram } from "../../../test/tiny-programs.ts";
import { isLearntBy, type LearntSource, learntHeadBytes } from "./learnt-blocks.ts";

const build = new Uint8Array(32).fill(5);
const end = 30_000n;
const engine = { hotThreshold: 50 };

const fileOf = (bytes: Uint8Array): LearntSource => ({
  sizeBytes: bytes.length,
  read: (offset, target) => {
    const piece = bytes.subarray(offset, offset + target.length);
    target.set(piece);
    return piece.length;
  },
});

/** A machine that knows what is in `file`, and whether it does. */
function machineWith(file?: Uint8Array, changes: object = { engine }, by = build) {
  const { machine } = tinyMachine(fillingProgram, changes);
  const knows = file !== undefined && machine.parts.engine.giveLearnt(fileOf(file), by);
  return { machine, knows, engine: machine.parts.engine };
}

/** What a machine had learnt at its end, and its digest then. */
function first() {
  const { machine, engine } = machineWith();
  machine.runUntil(end);
  return { file: engine.packLearnt(build) as Uint8Array, digest: machine.digest(), lifted: engine.stats.lifted };
}

for (const [name, changes] of [
  ["interpreted", { engine: { interpreterOnly: true } }],
  ["compiled", { engine }],
  ["disturbed", { engine: { ...engine, chaosSeed: 5 } }],
] as const) {
  test(`${name}: a machine that takes what another has lifted does the same, and lifts next to nothing`, () => {
    const { file, digest, lifted } = first();
    const { machine, knows, engine } = machineWith(file, changes);
    machine.runUntil(end);
    expect(knows).toBe(true);
    expect(machine.digest()).toEqual(digest);
    expect(engine.runtime.learnt_taken()).toBeGreaterThan(lifted / 2);
    // Where runs are cut blocks begin that the first machine had not.
    expect(engine.stats.lifted).toBeLessThan(name === "disturbed" ? lifted : lifted / 2);
  });
}

test("code that is not what was learnt is lifted", () => {
  const { file } = first();
  const other = fillingProgram.slice();
  // dec eax in the subroutine, in place of inc.
  other.set([0xff, 0xc8], 33);
  expect(fillingProgram.subarray(33, 35)).toEqual(Uint8Array.of(0xff, 0xc0));
  const fresh = tinyMachine(other, { engine }).machine;
  const { machine } = tinyMachine(other, { engine });
  machine.parts.engine.giveLearnt(fileOf(file), build);
  for (const each of [fresh, machine]) each.runUntil(end);
  expect(machine.digest()).toEqual(fresh.digest());
  expect(machine.parts.engine.stats.lifted).toBeGreaterThan(0);
});

test("what was hot is compiled long before it would be", () => {
  const { file } = first();
  const regionsAfter = (known?: Uint8Array): number => {
    const { machine, engine } = machineWith(known, { engine: { hotThreshold: 5_000 } });
    // In turns: regions are compiled between them.
    for (let icount = 1_000n; icount <= 10_000n; icount += 1_000n) machine.runUntil(icount);
    return engine.regions.stats.regions;
  };
  expect(regionsAfter()).toBe(0);
  expect(regionsAfter(file)).toBeGreaterThan(0);
});

test("what was compiled is not emitted again", () => {
  const run = (known?: Uint8Array) => {
    const { machine, engine } = machineWith(known);
    engine.learn();
    // In turns: regions are compiled between them.
    for (let icount = 1_000n; icount <= end; icount += 1_000n) machine.runUntil(icount);
    return { file: engine.packLearnt(build), digest: machine.digest(), ...engine.regions.stats };
  };
  const before = run();
  const after = run(before.file);
  expect([before.regions > 0, before.kept]).toEqual([true, 0]);
  expect(after.kept).toBe(after.regions);
  expect(after.digest).toEqual(before.digest);
  expect(after.file).toBe(undefined);
});

test("what is damaged, cut off or of another build is nothing", () => {
  const { file } = first();
  expect(machineWith(file).knows).toBe(true);
  const { engine } = machineWith();
  expect(engine.giveLearnt(fileOf(file), new Uint8Array(32))).toBe(false);
  for (let length = 0; length < file.length; length++)
    expect(engine.giveLearnt(fileOf(file.slice(0, length)), build)).toBe(false);
  for (let at = 0; at < file.length; at++) {
    const damaged = file.slice();
    damaged[at] ^= 0x40;
    expect(engine.giveLearnt(fileOf(damaged), build)).toBe(false);
  }
});

test("a file's head says which build has written it", () => {
  const head = first().file.slice(0, learntHeadBytes);
  expect([isLearntBy(build, head), isLearntBy(new Uint8Array(32), head)]).toEqual([true, false]);
  head[0] ^= 1;
  expect(isLearntBy(build, head)).toBe(false);
});

test("with a pass left out a machine neither takes nor gives what was learnt", () => {
  const { file } = first();
  for (const pass of ["learnt", "dead-flags"] as const) {
    const { machine, knows, engine: own } = machineWith(file, { engine: { ...engine, without: [pass] } });
    machine.runUntil(end);
    expect(knows).toBe(false);
    expect(own.packLearnt(build)).toBe(undefined);
  }
});

test("who had to lift next to nothing has nothing to tell", () => {
  const { file } = first();
  const { machine, engine } = machineWith(file);
  machine.runUntil(end);
  expect(engine.packLearnt(build)).toBe(undefined);
});

test("what one machine wanted and the next one did not is kept for the one after it", () => {
  const { file } = first();
  // nop; nop; jmp .
  const { machine } = tinyMachine(Uint8Array.of(0x90, 0x90, 0xeb, 0xfe), { engine });
  machine.parts.engine.giveLearnt(fileOf(file), build);
  machine.runUntil(100n);
  const both = machine.parts.engine.packLearnt(build) as Uint8Array;
  expect(both.length).toBeGreaterThan(file.length);
  const { machine: third, engine: own } = machineWith(both);
  third.runUntil(end);
  expect(own.packLearnt(build)).toBe(undefined);
});
