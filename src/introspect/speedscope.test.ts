import { expect, test } from "vitest";
import type { Sample } from "#vm";
import type { KernelSymbols } from "./kernel-symbols.ts";
import { speedscope } from "./speedscope.ts";

const symbols: KernelSymbols = {
  count: 1,
  lookUp: (address) => (address >> 12n === 0xffff_ffff_81000n ? { name: "memcpy", offset: 4 } : undefined),
};
const guest = { activity: "compiled", ns: 1_000_000, space: 0x5000n, user: false } as const;
const samples: Sample[] = [
  { ...guest, rip: 0xffff_ffff_8100_0004n },
  { ...guest, rip: 0x40_1234n, user: true, activity: "interpreted" },
  { ...guest, rip: 0xffff_ffff_c012_3456n },
  { activity: "compiling", ns: 500_000, rip: 0n, space: 0n, user: false },
  { activity: "idle", ns: 2_000_000, rip: 0n, space: 0n, user: false },
];

interface File {
  readonly shared: { readonly frames: readonly { readonly name: string }[] };
  readonly profiles: readonly {
    readonly name: string;
    readonly endValue: number;
    readonly samples: readonly (readonly number[])[];
    readonly weights: readonly number[];
  }[];
}

const file = JSON.parse(speedscope(samples, symbols)) as File;
const stacks = (name: string): string[] =>
  file.profiles
    .find((profile) => profile.name === name)
    ?.samples.map((stack) => stack.map((frame) => file.shared.frames[frame].name).join(" > ")) ?? [];

test("by the guest: kernel functions by name, programs by address space and page", () => {
  expect(stacks("guest")).toEqual([
    "kernel > memcpy",
    "user > address space 5000 > page 401000",
    "kernel > module page ffffffffc0123000",
    "memvisor > compiling",
    "idle",
  ]);
});

test("by tier, and by address", () => {
  expect(stacks("tiers")[0]).toBe("compiled regions > kernel > memcpy");
  expect(stacks("tiers")[3]).toBe("compiling");
  expect(stacks("addresses")[1]).toBe("user > address space 5000 > page 401000 > 401234 interpreter");
});

test("all profiles have the same weights, in microseconds, which add up to their end", () => {
  for (const { weights, endValue } of file.profiles) {
    expect(weights).toEqual([1000, 1000, 1000, 500, 2000]);
    expect(endValue).toBe(5500);
  }
});

test("a kernel without symbols is told by pages", () => {
  const { shared } = JSON.parse(speedscope(samples, undefined)) as File;
  expect(shared.frames.map(({ name }) => name)).toContain("code page ffffffff81000000");
});
