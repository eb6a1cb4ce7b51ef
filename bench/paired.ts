/**
 * What something costs, in pairs: work with it and without, one after the other, on one machine, by the processor time of the whole process,
 * which other programs change less than the clock. A pair is four runs, ABBA or BAAB by turns, so that what grows slower or faster meanwhile cancels.
 *
 * The tenth part of the pairs at either end is left out: those are of moments when somebody else had the processor.
 */
export interface Pairs {
  readonly pairs: number;
  /** Of time with over time without: the mean of what is not left out, and where it lies with a probability of 95 %. */
  readonly ratio: number;
  readonly from: number;
  readonly to: number;
}

/** Takes pairs of each of `works` by turns, for so many seconds and until each has had one; `run` gives a time. Requires: each has run before. */
export async function inPairs<W>(
  seconds: number,
  works: readonly W[],
  run: (work: W, withIt: boolean) => Promise<number>,
): Promise<Pairs> {
  const logs: number[] = [];
  const until = performance.now() + 1000 * seconds;
  for (let n = 0; n < works.length || performance.now() < until; n++) {
    const work = works[n % works.length] as W;
    const first = Math.floor(n / works.length) % 2 === 0;
    const times = { with: 0, without: 0 };
    for (const withIt of [first, !first, !first, first]) times[withIt ? "with" : "without"] += await run(work, withIt);
    logs.push(Math.log(times.with / times.without));
  }
  return pairsOf(logs);
}

/** Part of the pairs that is left out at either end. */
const trimmed = 0.1;

/** Of the logarithms of their ratios (Tukey and McLaughlin 1963: the trimmed mean, and its error by the winsorized variance). */
export function pairsOf(logs: readonly number[]): Pairs {
  const sorted = [...logs].sort((a, b) => a - b);
  const out = Math.floor(trimmed * sorted.length);
  const inner = sorted.slice(out, sorted.length - out);
  const mean = average(inner);
  const winsorized = sorted.map((log) => Math.min(Math.max(log, inner[0] as number), inner.at(-1) as number));
  const center = average(winsorized);
  const variance = winsorized.reduce((sum, log) => sum + (log - center) ** 2, 0) / (sorted.length - 1);
  const free = Math.max(1, inner.length - 1);
  // Student's t, near enough from three degrees of freedom on.
  const t = 1.96 + 2.4 / free + 3 / free ** 2;
  const error = (t * Math.sqrt(variance / sorted.length)) / (inner.length / sorted.length);
  return {
    pairs: sorted.length,
    ratio: Math.exp(mean),
    from: Math.exp(mean - error),
    to: Math.exp(mean + error),
  };
}

const average = (logs: readonly number[]): number => logs.reduce((sum, log) => sum + log, 0) / logs.length;

export function pairsText({ pairs, ratio, from, to }: Pairs): string {
  const percent = (value: number): string => `${(100 * (value - 1)).toFixed(1)} %`;
  return `${percent(ratio)}, 95 %: ${percent(from)} to ${percent(to)}, ${pairs} pairs`;
}

/** Processor time of the process meanwhile, in microseconds. */
export async function cpuTimeOf(work: () => Promise<void>): Promise<number> {
  const begun = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begun);
  return user + system;
}
