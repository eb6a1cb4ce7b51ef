/** Counters of machines that came one after the other. */
import type { MachineStats } from "#vm";

export const noStats: MachineStats = {
  guestInstructions: 0,
  tiers: [],
  blocksLifted: 0,
  blocksLearnt: 0,
  regionsKept: 0,
  regions: 0,
  wasmBytes: 0,
  tlbMisses: 0,
  pageWalks: 0,
  exits: {},
  framesTouched: 0,
};

export function sumStats(a: MachineStats, b: MachineStats): MachineStats {
  const exits: Record<string, number> = { ...a.exits };
  for (const [reason, count] of Object.entries(b.exits)) exits[reason] = (exits[reason] ?? 0) + count;
  const names = [...new Set([...a.tiers, ...b.tiers].map((tier) => tier.name))];
  const tier = (name: string) => [...a.tiers, ...b.tiers].filter((each) => each.name === name);
  return {
    guestInstructions: a.guestInstructions + b.guestInstructions,
    tiers: names.map((name) => ({
      name,
      instructions: tier(name).reduce((sum, each) => sum + each.instructions, 0),
      ms: tier(name).reduce((sum, each) => sum + each.ms, 0),
    })),
    blocksLifted: a.blocksLifted + b.blocksLifted,
    blocksLearnt: a.blocksLearnt + b.blocksLearnt,
    regionsKept: a.regionsKept + b.regionsKept,
    regions: a.regions + b.regions,
    wasmBytes: a.wasmBytes + b.wasmBytes,
    tlbMisses: a.tlbMisses + b.tlbMisses,
    pageWalks: a.pageWalks + b.pageWalks,
    exits,
    framesTouched: Math.max(a.framesTouched, b.framesTouched),
    ...(b.swap && { swap: b.swap }),
    ...(b.balloon && { balloon: b.balloon }),
  };
}
