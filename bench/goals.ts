/** What is to be reached, each as one line that says whether it is. */
import { bootWords } from "./contenders.ts";
import { type Boot, bootTimes, geometricMean, type Measured, timeRatios, typical } from "./measure.ts";
import { median } from "./table.ts";

export interface Goal {
  readonly text: string;
  /** NaN where nothing was measured. */
  readonly value: number;
  readonly passes: boolean;
  readonly shown: string;
}

const cpuGroups = ["integer", "memory", "vector", "fp"];
/** Rows that may be slower than QEMU's, down to 0.7 of its speed. */
const slowAllowed = ["widening", "x87"];

export function goals(measured: Measured): Goal[] {
  const speeds = (groups: readonly string[]): Map<string, number> =>
    new Map([...timeRatios(measured, groups, "tcg", "memvisor")]);
  const times = (groups: readonly string[]): Map<string, number> => timeRatios(measured, groups, "memvisor", "native");
  const cpu = speeds(cpuGroups);
  const all = new Map([...cpu, ...speeds(["x87"])]);
  const [fast, slow] = [new Map<string, number>(), new Map<string, number>()];
  for (const [name, speed] of all) (slowAllowed.includes(name) ? slow : fast).set(name, speed);
  const [prepared, updated] = Object.keys(bootWords);
  const boot = (pick: (boot: Boot) => readonly number[], contenders: readonly string[]): number =>
    Math.min(...measured.boots.filter((each) => contenders.includes(each.contender)).map((each) => median(pick(each))));
  const bootTime = (boot: Boot): readonly number[] => bootTimes(boot, measured.clock);
  const rss = (boot: Boot): readonly number[] => boot.peakRssBytes;
  const speedup = (contender: string): number =>
    (2 * typical(measured, contender, "one-thread", "wall")) / typical(measured, contender, "two-threads", "wall");
  const mib = 2 ** 20;

  return [
    atLeast("CPU kernels: speed over TCG's, geometric mean (goal 3.0)", 2.5, mean(cpu)),
    atMost("CPU kernels: time over native's, geometric mean", 3.5, mean(times(cpuGroups))),
    atLeast("CPU kernels: the least speed over TCG's", 1.0, ...least(fast)),
    atLeast("widening multiply and divide, x87: the least speed over TCG's", 0.7, ...least(slow)),
    atLeast("SSE floating point: speed over TCG's, geometric mean (goal 5)", 4, mean(speeds(["fp"]))),
    atLeast("x87: speed over TCG's (goal 1.5)", 0.7, mean(speeds(["x87"]))),
    atLeast("operating system: speed over TCG's, geometric mean (goal 1.5)", 1.0, mean(speeds(["os"]))),
    atLeast("operating system: the least speed over TCG's", 0.7, ...least(speeds(["os"]))),
    atMost("what TCG is bad at: the most time over native's", 15, ...most(times(["pathological"]))),
    atMost(
      "boot of a prepared image to init: time over the better QEMU machine's (goal 0.6)",
      1.0,
      boot(bootTime, [prepared]) / boot(bootTime, ["pc", "microvm"]),
    ),
    atMost(
      "boot with nothing learnt, as once after an update of memvisor: the same (goal 0.6)",
      1.0,
      boot(bootTime, [updated]) / boot(bootTime, ["pc", "microvm"]),
    ),
    atLeast("two threads: speed-up over native's own", 0.85, speedup("memvisor") / speedup("native")),
    atMost(
      "peak RSS after boot: MiB more than QEMU's pc",
      120,
      (Math.max(boot(rss, [prepared]), boot(rss, [updated])) - boot(rss, ["pc"])) / mib,
    ),
  ];
}

const mean = (values: Map<string, number>): number => geometricMean([...values.values()]);
const least = (values: Map<string, number>): [number, string?] => extreme(values, (a, b) => a - b);
const most = (values: Map<string, number>): [number, string?] => extreme(values, (a, b) => b - a);

function extreme(values: Map<string, number>, order: (a: number, b: number) => number): [number, string?] {
  const [name, value] = [...values].sort(([, a], [, b]) => order(a, b))[0] ?? [undefined, Number.NaN];
  return [value, name];
}

const atLeast = (text: string, limit: number, value: number, row?: string): Goal =>
  goal(text, `at least ${limit}`, value, value >= limit, row);
const atMost = (text: string, limit: number, value: number, row?: string): Goal =>
  goal(text, `at most ${limit}`, value, value <= limit, row);

function goal(text: string, limit: string, value: number, passes: boolean, row?: string): Goal {
  const measuredAs = Number.isFinite(value) ? `${value.toFixed(2)}${row ? ` (${row})` : ""}` : "not measured";
  return { text, value, passes, shown: `${text}: ${measuredAs}, wanted ${limit}` };
}
