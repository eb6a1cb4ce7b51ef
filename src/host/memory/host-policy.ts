/**
 * What the machines of a host are to do about its memory, as a function of figures: each process works it out for its own machines, and
 * all of them from the same figures.
 *
 *   some      what is cold goes, from every machine
 *   high      and of the rest, the oldest: so much that the host has enough again, from each in proportion to what it has
 *   critical  the same; when it has lasted, the machine with the most frames is chosen to stand still, one more each ten seconds
 *
 * Machines that stand still go on one by one, the last one first, when the host has had enough for some seconds.
 */
import { atLeast, type Pressure, worse } from "#memory/pressure";
import type { HostFigures } from "./host-figures.ts";

/** A machine, of this process or another one of the same user. */
export interface MachineHolding {
  /** Differs between all machines of the host. */
  readonly id: string;
  readonly frameBytes: number;
  /** What its evicted pages take. */
  readonly storedBytes: number;
  /** Since when it stands still for the host's sake: milliseconds since 1970. */
  readonly chosenAt?: number;
}

export interface HostJudgement {
  readonly level: Pressure;
  /** What the machines are to do without, all of them together. */
  readonly shortBytes: number;
}

const mib = 2 ** 20;
/** Where the host has less than this part of its memory to give, and less than so much. */
const least = {
  some: { part: 0.1, bytes: 2048 * mib },
  high: { part: 0.05, bytes: 1024 * mib },
  critical: { part: 0.025, bytes: 512 * mib },
} as const;
/** Parts of the limit that machines of this host may have together. */
const limitParts = { some: 0.9, high: 1, critical: 1.25 } as const;
/** Some seconds of waiting in ten say that there is less than the figures tell. */
const muchStalled = 0.2;
/** Below the limit, so that it is not passed again at once. */
const margin = 1 / 32;
const levels = ["critical", "high", "some"] as const;

export function judgeHost(
  { totalBytes, availableBytes, stalled }: HostFigures,
  machines: readonly MachineHolding[],
  limitBytes: number | undefined,
): HostJudgement {
  const low = (level: keyof typeof least): number => Math.min(least[level].part * totalBytes, least[level].bytes);
  // Nobody waits for memory where there is plenty: it was for something else.
  const waits = stalled > muchStalled && availableBytes < 2 * low("some");
  const reached = levels.find((level) => availableBytes < low(level)) ?? "none";
  const byHost = waits && !atLeast(reached, "high") ? (reached === "some" ? "high" : "some") : reached;
  const missing = atLeast(byHost, "high") ? Math.max(0, low("some") - availableBytes) : 0;
  const held = machines.reduce((sum, { frameBytes, storedBytes }) => sum + frameBytes + storedBytes, 0);
  const byLimit =
    (limitBytes !== undefined && levels.find((level) => held > limitParts[level] * limitBytes)) || ("none" as const);
  const over = limitBytes !== undefined && held > limitBytes ? held - limitBytes * (1 - margin) : 0;
  return { level: worse(byHost, byLimit), shortBytes: Math.ceil(Math.max(missing, over)) };
}

/** What a machine may have in frames; undefined: what it has. */
export function frameLimitOf(
  { frameBytes }: MachineHolding,
  machines: readonly MachineHolding[],
  { shortBytes }: HostJudgement,
): number | undefined {
  if (shortBytes === 0) return undefined;
  const all = machines.reduce((sum, each) => sum + each.frameBytes, 0);
  const part = Math.min(1, shortBytes / Math.max(1, all));
  return Math.max(fewestBytes, Math.floor(frameBytes * (1 - part)));
}

/** A machine with less does nothing but wait for pages. */
const fewestBytes = 16 * mib;
/** Taking pages takes time: only then is somebody chosen, and the next one. */
const patienceMs = 10_000;
const restMs = 5000;

/** Which machines stand still, from what was, now. */
export class Chooser {
  #level: Pressure = "none";
  /** Since when the level is that of the choice: critical, or below high. */
  #sinceMs = 0;

  /** The machine to stand still from now on, or the one that does not any more. */
  choose(
    { level }: HostJudgement,
    machines: readonly MachineHolding[],
    nowMs: number,
  ): { readonly stop?: string; readonly go?: string } {
    const kind = level === "critical" ? "critical" : atLeast(level, "high") ? "high" : "none";
    if (kind !== this.#level) this.#sinceMs = nowMs;
    this.#level = kind;
    const standing = machines.filter(({ chosenAt }) => chosenAt !== undefined);
    const last = standing.toSorted((a, b) => (b.chosenAt ?? 0) - (a.chosenAt ?? 0) || order(a, b))[0];
    const begun = Math.max(this.#sinceMs, last?.chosenAt ?? 0);
    if (kind === "critical" && nowMs - begun >= patienceMs) {
      const running = machines.filter(({ chosenAt }) => chosenAt === undefined);
      const largest = running.toSorted((a, b) => b.frameBytes - a.frameBytes || order(a, b))[0];
      return largest ? { stop: largest.id } : {};
    }
    if (kind !== "none" || last === undefined || nowMs - this.#sinceMs < restMs) return {};
    this.#sinceMs = nowMs;
    return { go: last.id };
  }
}

const order = (a: MachineHolding, b: MachineHolding): number => (a.id < b.id ? -1 : 1);
