import { describe, expect, test } from "vitest";
import { gpa } from "#address";
import { hex } from "../../test/guest-code.ts";
import { kernelBase, type TinyMachine, tinyMachine } from "../../test/tiny-machine.ts";
import { rewritingProgram } from "../../test/tiny-programs.ts";
import { programs, twoVcpus } from "../../test/two-vcpus.ts";
import { ForkError } from "./forking.ts";

const ways = [
  ["interpreted", { interpreterOnly: true }],
  ["compiled", { hotThreshold: 2 }],
  ["with chaos", { chaosSeed: 5 }],
] as const;

/** Changes the very next instruction, again and again: what it adds is always what was just written. */
const rewritingNext = hex(`
  31 db                   ; xor %ebx,%ebx
  31 d2                   ; xor %edx,%edx
  ff c3                   ; inc %ebx
  88 1d 02000000          ; mov %bl,2(%rip)       the immediate of the next one
  83 c2 00                ; add $0,%edx
  eb f3                   ; jmp -13               to inc
`);

/** A multiplicative generator: the same numbers each time. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

/**
 * Runs a machine to the instruction `end`, forks it and its forks at random instants on the way, all of them by turns of random
 * length, and gives what each came to. Some end early, and their frames are others'.
 */
function raise(first: TinyMachine, end: number, seed: number): { all: TinyMachine[]; forks: number } {
  const pick = random(seed);
  const family = [{ tiny: first, at: 0, over: false }];
  let forks = 0;
  while (family.some(({ over }) => !over)) {
    const one = family[pick(family.length)];
    if (one.over) continue;
    one.at = Math.min(end, one.at + 1 + pick(Math.ceil(end / 8)));
    one.over = one.tiny.machine.runUntil(BigInt(one.at)) !== undefined || one.at === end;
    if (!one.over && family.length < 8 && pick(2) === 0) {
      family.push({ tiny: one.tiny.fork(), at: one.at, over: false });
      forks++;
    } else if (family.length > 4 && pick(6) === 0) {
      one.tiny.machine[Symbol.dispose]();
      family.splice(family.indexOf(one), 1);
    }
  }
  return { all: family.map(({ tiny }) => tiny), forks };
}

describe.each(ways)("a family of machines, %s,", (_way, engine) => {
  test.each([
    ["that rewrites its code", rewritingProgram, 100_000],
    ["that rewrites its next instruction", rewritingNext, 3000],
  ])("%s goes on in each as in one that was never forked", (_name, code, end) => {
    const alone = tinyMachine(code, { engine: { interpreterOnly: true } });
    alone.machine.runUntil(BigInt(end));
    for (const seed of [1, 2]) {
      const { all, forks } = raise(tinyMachine(code, { engine }), end, seed);
      expect(forks).toBeGreaterThan(3);
      for (const { machine } of all) expect(machine.digest()).toEqual(alone.machine.digest());
    }
  });
});

test.each(programs)("a family of machines of two vCPUs, with chaos: $name", (program) => {
  const code = twoVcpus(program);
  const alone = tinyMachine(code, { cpus: 2 });
  alone.machine.runUntil(200_000_000n);
  const end = Number(alone.machine.parts.vcpus.reduce((sum, vcpu) => sum + vcpu.u64("ICOUNT"), 0n));
  const { all } = raise(tinyMachine(code, { cpus: 2, engine: { chaosSeed: 5 } }), 2 * end, 1);
  for (const { machine } of all) expect(machine.digest()).toEqual(alone.machine.digest());
});

test("machines of a family see their own bytes alone, whichever frames they have had before", () => {
  const spin = Uint8Array.of(0xeb, 0xfe);
  const first = tinyMachine(spin);
  const canary = (n: number): Uint8Array => new TextEncoder().encode(`canary of machine ${n}!`);
  const pages = 64;
  const plant = (tiny: TinyMachine, n: number): void => {
    for (let page = 0; page < pages; page++)
      tiny.machine.parts.memory.write(gpa(0x200_0000 + page * 4096 + n), canary(n));
  };
  const found = (tiny: TinyMachine): Set<string> => {
    const all = new Set<string>();
    tiny.machine.parts.memory.forEachPresent((_, bytes) => {
      for (const [text] of Buffer.from(bytes)
        .toString("latin1")
        .matchAll(/canary of machine \d+/g))
        all.add(text);
    });
    return all;
  };
  const living = Array.from({ length: 20 }, (_, n) => ({ n, tiny: first.fork() }));
  for (const { n, tiny } of living) plant(tiny, n);
  // Half of them end, and what comes after them uses their frames.
  for (const { tiny } of living.splice(0, 10)) tiny.machine[Symbol.dispose]();
  for (let n = 20; n < 30; n++) living.push({ n, tiny: first.fork() });
  for (const { tiny } of living.slice(10)) {
    for (let page = 0; page < pages; page++)
      tiny.machine.parts.memory.write(gpa(0x300_0000 + page * 4096), Uint8Array.of(1));
    tiny.machine.runUntil(10_000n);
  }
  expect([...found(first)]).toEqual([]);
  for (const { n, tiny } of living) expect([...found(tiny)]).toEqual(n < 20 ? [`canary of machine ${n}`] : []);
});

test("a fork of a fork lives on when those before it have ended, and they leave nothing", () => {
  const { machine, fork } = tinyMachine(rewritingProgram);
  machine.runUntil(10_000n);
  const before = machine.parts.vcpu.arena.framesUsed;
  const second = fork();
  second.machine.runUntil(20_000n);
  const third = second.fork();
  machine[Symbol.dispose]();
  second.machine[Symbol.dispose]();
  expect(third.machine.runUntil(30_000n)).toBeUndefined();
  const alone = tinyMachine(rewritingProgram);
  alone.machine.runUntil(30_000n);
  expect(third.machine.digest()).toEqual(alone.machine.digest());
  const { arena } = third.machine.parts.vcpu;
  expect(arena.framesUsed).toBeLessThan(before + 20);
  expect(arena.framesUsed).toBe(third.machine.parts.memory.framesTouched);
});

test("a machine that was changed in a fork is unchanged itself", () => {
  const { machine, fork } = tinyMachine(Uint8Array.of(0xeb, 0xfe));
  machine.runUntil(1000n);
  const digest = machine.digest();
  const other = fork();
  const { memory } = other.machine.parts;
  memory.store32(gpa(kernelBase + 64), 77);
  memory.store16(gpa(kernelBase + 4096), 78);
  expect(other.machine.digest().memory).not.toBe(digest.memory);
  expect([memory.load32(gpa(kernelBase + 64)), memory.load16(gpa(kernelBase + 4096))]).toEqual([77, 78]);
  expect(machine.digest()).toEqual(digest);
  // A code page that it has in common was copied: the fork spins on.
  other.machine.runUntil(2000n);
  machine.runUntil(2000n);
  expect(other.machine.parts.vcpu.u64("RIP")).toBe(machine.parts.vcpu.u64("RIP"));
});

test("what cannot be shared is refused by name", () => {
  const { fork } = tinyMachine(Uint8Array.of(0xf4), { trace: { events: ["io"] } });
  expect(fork).toThrow(ForkError);
  expect(fork).toThrow("it is traced or profiled");
});
