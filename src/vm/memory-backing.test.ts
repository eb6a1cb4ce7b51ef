import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parseBacking } from "#memory/backing";
import { hex } from "../../test/guest-code.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";

/** Adds numbers into 1,024 pages, over and over and never in the same order, and spins then. */
const code = hex(`
  bc00006000             ; mov $0x600000,%esp
  31db                   ; xor %ebx,%ebx
  b900500000             ; mov $0x5000,%ecx
  69c1bd0f0000           ; 1: imul $0xfbd,%ecx,%eax
  25ff030000             ; and $0x3ff,%eax
  c1e00c                 ; shl $12,%eax
  0500000002             ; add $0x2000000,%eax
  0108                   ; add %ecx,(%rax)
  035008                 ; add 8(%rax),%edx
  ffc9                   ; dec %ecx
  75e4                   ; jne 1b
  ebfe                   ; jmp .
`);
const enough = 400_000n;
const step = 20_000n;
const written = Array.from({ length: 1024 }, (_, n) => 0x2000 + n);
const folder = mkdtempSync(join(tmpdir(), "memvisor-backing-"));
afterAll(() => rmSync(folder, { recursive: true }));

function quiet() {
  const { machine } = tinyMachine(code);
  machine.runUntil(enough);
  return machine.digest();
}

test.each([
  "plain",
  "compressed",
  "encrypted",
  "shared",
  `file:${join(folder, "one")}`,
  `encrypted:file:${join(folder, "two")}`,
  `compressed:encrypted:file:${join(folder, "three")}`,
  "shared:compressed",
])("a machine whose pages go and come is the machine that it would be: %s", (text) => {
  const memoryBacking = parseBacking(text);
  if (memoryBacking === undefined) throw new Error(`${text} is none`);
  using machine = tinyMachine(code, { memoryBacking, engine: { hotThreshold: 5 } }).machine;
  for (let end = step; end <= enough; end += step) {
    machine.runUntil(end);
    machine.parts.memory.swap.evict(written);
  }
  expect(machine.digest()).toEqual(quiet());
  const { swap } = machine.stats();
  expect(swap?.out).toBeGreaterThan(5_000);
  expect(swap?.in).toBeGreaterThan(5_000);
});

test("what a machine kept in a file is gone with it", () => {
  expect(readdirSync(folder)).toEqual([]);
});

test("a file that is there already is nobody's place for memory, and the machine says so", () => {
  const memoryBacking = { kind: "file", path: folder } as const;
  expect(() => tinyMachine(code, { memoryBacking })).toThrow(`${folder}: the file is there already`);
});

test("a fork has what was evicted of the machine that it goes on as, and each goes on with a backing of its own", () => {
  const parent = tinyMachine(code, { memoryBacking: { kind: "compressed" } });
  parent.machine.runUntil(step);
  parent.machine.parts.memory.swap.evict(written);
  using fork = parent.fork().machine;
  for (const machine of [parent.machine, fork])
    for (let end = 2n * step; end <= enough; end += step) {
      machine.runUntil(end);
      machine.parts.memory.swap.evict(written);
    }
  expect(fork.digest()).toEqual(quiet());
  expect(parent.machine.digest()).toEqual(quiet());
  expect(fork.stats().swap?.in).toBeGreaterThan(1000);
});

test("forks keep equal pages once, and each its own bytes", () => {
  const parent = tinyMachine(code, { memoryBacking: { kind: "shared" } });
  parent.machine.runUntil(step);
  parent.machine.parts.memory.swap.evict(written);
  const fork = parent.fork();
  const both = [parent.machine, fork.machine];
  const kept = (): unknown => both[1].memory.answer({ about: "stats" });
  for (let end = 2n * step; end <= enough; end += step)
    for (const machine of both) {
      machine.runUntil(end);
      machine.parts.memory.swap.evict(written);
    }
  // Each has written the same bytes to the same pages, for itself.
  expect(kept()).toMatchObject({ objects: [{ inner: { own: { distinctPages: 1024, mergedPages: 1024 } } }] });
  for (const machine of both) expect(machine.digest()).toEqual(quiet());
  both[0][Symbol.dispose]();
  expect(kept()).toMatchObject({ objects: [{ inner: { own: { distinctPages: 1024, mergedPages: 0 } } }] });
  expect(both[1].digest()).toEqual(quiet());
});

test("a machine with a file of its own behind its memory has no forks", () => {
  const path = join(folder, "alone");
  using machine = tinyMachine(code, { memoryBacking: { kind: "encrypted", inner: { kind: "file", path } } }).machine;
  expect(() => machine.fork({} as never)).toThrow("its memory backing is a file");
});
