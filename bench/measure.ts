/**
 * What was measured: every time of every row, contender and round, and what follows from them.
 *
 * Counts are equal for all contenders, so a ratio of times is a ratio of speeds the other way round.
 */
import type { Row } from "./guest-image.ts";
import type { Outcome } from "./session.ts";
import { median } from "./table.ts";

/** The rounds of one row under one contender. */
export interface Timing {
  readonly outcomes: readonly Outcome[];
}

export interface Boot {
  readonly contender: string;
  readonly seconds: readonly number[];
  readonly cpuSeconds: readonly number[];
  readonly peakRssBytes: readonly number[];
}

/** wall: as the guest's clock has it. cpu: what the host's processors spent, which other programs change less. */
export const clocks = ["wall", "cpu"] as const;
export type Clock = (typeof clocks)[number];

export interface Measured {
  readonly clock: Clock;
  readonly rows: readonly Row[];
  /** By contender, then by row. */
  readonly timings: ReadonlyMap<string, ReadonlyMap<string, Timing>>;
  readonly boots: readonly Boot[];
}

export const seconds = (timing: Timing | undefined, clock: Clock): number[] =>
  (timing?.outcomes ?? []).flatMap((outcome) =>
    outcome.kind === "done" ? [clock === "wall" ? outcome.seconds : outcome.cpuSeconds] : [],
  );

/** Seconds; NaN where there are none. */
export const typical = (measured: Measured, contender: string, row: string, clock = measured.clock): number =>
  median(seconds(measured.timings.get(contender)?.get(row), clock));

export const bootTimes = (boot: Boot, clock: Clock): readonly number[] =>
  clock === "wall" ? boot.seconds : boot.cpuSeconds;

/** How much the rounds differ, as a part of the median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** `of`'s time over `over`'s, for each row of the groups that both have done. */
export function timeRatios(
  measured: Measured,
  groups: readonly string[],
  of: string,
  over: string,
): Map<string, number> {
  const ratios = new Map<string, number>();
  for (const { name, group } of measured.rows) {
    const ratio = typical(measured, of, name) / typical(measured, over, name);
    if (groups.includes(group) && Number.isFinite(ratio)) ratios.set(name, ratio);
  }
  return ratios;
}

/** What a row's figures may not be trusted for, in words. */
export function doubts(measured: Measured, row: string): string[] {
  const found: string[] = [];
  const sums = new Map<string, string>();
  for (const [contender, timings] of measured.timings) {
    const outcomes = timings.get(row)?.outcomes ?? [];
    for (const outcome of outcomes) {
      if (outcome.kind === "failed") found.push(`${contender} failed: ${outcome.why}`);
      else {
        sums.set(outcome.sum, contender);
        // A native run has the host's own clock.
        if (contender !== "native" && clocksDiffer(outcome)) {
          found.push(
            `${contender}'s clock says ${outcome.seconds.toFixed(2)} s, the host's ${outcome.hostSeconds.toFixed(2)} s`,
          );
        }
      }
    }
  }
  if (sums.size > 1)
    found.push(`checksums differ: ${[...sums].map(([sum, contender]) => `${contender} has ${sum}`).join(", ")}`);
  return [...new Set(found)];
}

/** Of a processor, the part that other programs may have without anybody losing by it. */
const mostOfOthers = 0.2;

/**
 * Contenders that shared the host with other programs, in words: what compiles beside the guest then waits, and the guest for it. As
 * good as a doubt where times are compared; processor times bear it.
 */
export function disturbances({ clock, timings }: Measured, row: string): string[] {
  if (clock === "cpu") return [];
  return [...timings].flatMap(([contender, rows]) => {
    const parts = (rows.get(row)?.outcomes ?? []).flatMap((outcome) =>
      outcome.kind === "done" ? [outcome.otherSeconds / outcome.hostSeconds] : [],
    );
    const most = Math.max(...parts);
    return most > mostOfOthers ? [`${contender} ${most.toFixed(1)}`] : [];
  });
}

const clocksDiffer = ({ seconds, hostSeconds }: Extract<Outcome, { kind: "done" }>): boolean =>
  Math.abs(seconds - hostSeconds) > 0.05 * hostSeconds + 0.05;
