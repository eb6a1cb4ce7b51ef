/**
 * A machine's profile as a file for https://www.speedscope.app (its file format: "sampled" profiles over shared frames).
 *
 * The same samples three times, for the viewer's list of profiles: by what the guest ran (kernel functions; pages of
 * programs, whose symbols the kernel does not know), by memvisor's tiers, and by address.
 */
import type { Machine, Sample } from "#vm";
import { findKernelSymbols, type KernelSymbols } from "./kernel-symbols.ts";

/** Undefined where the machine was not asked for a profile. */
export function printProfile(machine: Pick<Machine, "parts" | "samples">): string | undefined {
  const samples = machine.samples();
  return samples && speedscope(samples, findKernelSymbols(machine.parts.memory));
}

const moduleStart = 0xffff_ffff_c000_0000n;

const tierNames = {
  interpreted: "interpreter",
  compiled: "compiled regions",
  idle: "idle",
  compiling: "compiling",
  lifting: "lifting",
} as const;

type View = (sample: Sample, symbols: KernelSymbols | undefined) => readonly string[];

const views: readonly (readonly [name: string, stack: View])[] = [
  ["guest", (sample, symbols) => (guestCode(sample) ? guestStack(sample, symbols) : outside(sample))],
  [
    "tiers",
    (sample, symbols) => [tierNames[sample.activity], ...(guestCode(sample) ? guestStack(sample, symbols) : [])],
  ],
  [
    "addresses",
    (sample, symbols) =>
      guestCode(sample)
        ? [...guestStack(sample, symbols), `${hex(sample.rip)} ${tierNames[sample.activity]}`]
        : outside(sample),
  ],
];

export function speedscope(samples: Iterable<Sample>, symbols: KernelSymbols | undefined): string {
  const frames = new Map<string, number>();
  const frameOf = (name: string): number => {
    const known = frames.get(name);
    if (known !== undefined) return known;
    frames.set(name, frames.size);
    return frames.size - 1;
  };
  const all = [...samples];
  const weights = all.map(({ ns }) => Math.round(ns / 1000));
  const endValue = weights.reduce((sum, weight) => sum + weight, 0);
  const profiles = views.map(([name, stack]) => ({
    type: "sampled",
    name,
    unit: "microseconds",
    startValue: 0,
    endValue,
    samples: all.map((sample) => stack(sample, symbols).map(frameOf)),
    weights,
  }));
  return JSON.stringify({
    $schema: "https://www.speedscope.app/file-format-schema.json",
    exporter: "memvisor",
    shared: { frames: [...frames.keys()].map((name) => ({ name })) },
    profiles,
    activeProfileIndex: 0,
  });
}

const guestCode = ({ activity }: Sample): boolean => activity === "compiled" || activity === "interpreted";
const outside = ({ activity }: Sample): string[] => (activity === "idle" ? ["idle"] : ["memvisor", activity]);

function guestStack({ user, rip, space }: Sample, symbols: KernelSymbols | undefined): string[] {
  if (user) return ["user", `address space ${hex(space)}`, `page ${hex(rip & ~0xfffn)}`];
  const symbol = symbols?.lookUp(rip);
  if (symbol !== undefined) return ["kernel", symbol.name];
  return ["kernel", `${rip >= moduleStart ? "module" : "code"} page ${hex(rip & ~0xfffn)}`];
}

const hex = (value: bigint): string => value.toString(16);
