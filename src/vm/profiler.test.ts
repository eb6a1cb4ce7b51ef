import { expect, test } from "vitest";
import { Event } from "#vcpu";
import { hex } from "../../test/guest-code.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import type { MachineHost } from "./machine-host.ts";
import { Profiler } from "./profiler.ts";

const loop = hex("ff c0 75 fc f4"); // inc %eax; jne -4; hlt

/** A profiler of a machine that has only begun, and a clock in our hands. */
function begun() {
  const { vcpu } = tinyMachine(loop).machine.parts;
  const times = { compileNs: 0, liftNs: 0 };
  let now = 5e9;
  const ticking: number[] = [];
  const host = {
    now: () => now,
    startTicker: (_memory: unknown, words: readonly number[], bits: number) => {
      ticking.push(...words, bits);
      return { [Symbol.dispose]: () => void ticking.splice(0) };
    },
  } as unknown as MachineHost;
  const profiler = new Profiler(host, [vcpu], () => times);
  const slice = (us: number, instructions: number, compiled: number, rip: number): void => {
    now += us * 1000;
    vcpu.setU64("ICOUNT", vcpu.u64("ICOUNT") + BigInt(instructions));
    vcpu.setU64("COMPILED", vcpu.u64("COMPILED") + BigInt(compiled));
    vcpu.setU64("RIP", BigInt(rip));
    profiler.ran(vcpu);
  };
  const sleep = (us: number): void => {
    using _ = profiler.idle();
    now += us * 1000;
  };
  const shown = (): string[] =>
    [...profiler.samples()].map(
      ({ activity, ns, rip, user }) =>
        `${activity} ${ns / 1000} us${rip ? ` ${rip.toString(16)}` : ""}${user ? " user" : ""}`,
    );
  return { vcpu, times, profiler, slice, sleep, shown, ticking };
}

test("a slice's end is a sample of where the vCPU is, with the time since the last one", () => {
  const { vcpu, slice, shown } = begun();
  slice(1000, 100, 90, 0x1234);
  vcpu.setU32("CPL", 3);
  slice(1500, 100, 10, 0x400000);
  expect(shown()).toEqual(["compiled 1000 us 1234", "interpreted 1500 us 400000 user"]);
});

test("short slices wait for one that makes a period", () => {
  const { slice, shown } = begun();
  slice(300, 10, 0, 0x1000);
  slice(300, 10, 0, 0x2000);
  slice(300, 10, 0, 0x3000);
  expect(shown()).toEqual(["interpreted 900 us 3000"]);
});

test("sleep is idle time, whole, and what came before it belongs to the next sample", () => {
  const { slice, sleep, shown } = begun();
  slice(400, 10, 10, 0x1000);
  sleep(5000);
  sleep(7000);
  slice(600, 10, 10, 0x2000);
  expect(shown()).toEqual(["idle 12000 us", "compiled 1000 us 2000"]);
});

test("compiling and lifting are samples of their own, out of the slice's time", () => {
  const { times, slice, shown } = begun();
  times.compileNs = 300_000;
  times.liftNs = 100_000;
  slice(1000, 10, 10, 0x1000);
  slice(1000, 10, 10, 0x1000);
  expect(shown()).toEqual(["compiling 300 us", "lifting 100 us", "compiled 600 us 1000", "compiled 1000 us 1000"]);
});

test("the ticker raises the host's event of the vCPU, until the profiler is disposed of", () => {
  const { vcpu, profiler, ticking } = begun();
  expect(ticking).toEqual([vcpu.wordOf("EVENTS"), Event.host]);
  profiler[Symbol.dispose]();
  expect(ticking).toEqual([]);
});

test("thousands of samples are kept in order", () => {
  const { slice, profiler } = begun();
  for (let n = 0; n < 10_000; n++) slice(1000, 1, 1, n);
  expect([...profiler.samples()].map(({ rip }) => Number(rip))).toEqual(Array.from({ length: 10_000 }, (_, n) => n));
});

test("a machine that keeps samples is the same machine", () => {
  const digests = (profile: boolean): string[] => {
    const { machine, reports } = tinyMachine(loop, { digestEvery: 10_000, profile });
    machine.runUntil(50_000n);
    expect(machine.samples() !== undefined).toBe(profile);
    return reports("digest");
  };
  expect(digests(true)).toEqual(digests(false));
});
