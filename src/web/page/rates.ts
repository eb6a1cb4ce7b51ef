/** What counters say about the time between two looks at them. */
import type { VmStats } from "#control";

export interface Rates {
  /** Million guest instructions a second. */
  readonly mips: number;
  readonly exitsPerSecond: number;
  /** Busiest first, with the rate and the count since the machine's start. */
  readonly exits: readonly { readonly reason: string; readonly perSecond: number; readonly count: number }[];
}

/** Requires: `later` was counted after `earlier`. A counter that went back, as after a reset, counts from 0. */
export function ratesBetween(earlier: VmStats, later: VmStats): Rates {
  const seconds = Math.max((later.wallMs - earlier.wallMs) / 1000, 0.001);
  const since = (before: number, now: number): number => (now < before ? now : now - before) / seconds;
  const exits = Object.entries(later.exits)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => ({ reason, perSecond: since(earlier.exits[reason] ?? 0, count), count }))
    .sort((a, b) => b.perSecond - a.perSecond || b.count - a.count);
  return {
    mips: since(earlier.guestInstructions, later.guestInstructions) / 1e6,
    exitsPerSecond: exits.reduce((sum, each) => sum + each.perSecond, 0),
    exits,
  };
}
