/** The figures as text and as JSON. */
import { goals } from "./goals.ts";
import { disturbances, doubts, geometricMean, type Measured, seconds, spread, timeRatios, typical } from "./measure.ts";
import { median, table } from "./table.ts";

/** What the figures hold for. */
export interface Circumstances {
  readonly date: string;
  readonly host: string;
  readonly node: string;
  readonly qemu: string;
  readonly image: string;
  readonly memoryMib: number;
  readonly rounds: number;
  /** Only some rows were asked for: then most goals are not measured, and not shown. */
  readonly partial: boolean;
}

const groups: Readonly<Record<string, string>> = {
  integer: "integer",
  memory: "memory",
  vector: "SSE2 integer",
  fp: "SSE floating point",
  x87: "x87",
  os: "operating system",
  pathological: "what TCG is bad at",
  threads: "two processors",
};
/** Groups together. */
const means: readonly (readonly [title: string, groups: readonly string[]])[] = [
  ["integer and memory", ["integer", "memory"]],
  ["SSE floating point", ["fp"]],
  ["all CPU kernels", ["integer", "memory", "vector", "fp"]],
  ["operating system", ["os"]],
  ["what TCG is bad at", ["pathological"]],
];

export function textReport(measured: Measured, about: Circumstances): string {
  const parts = [
    `${about.date}, ${about.host}; Node ${about.node}; ${about.qemu}; ${about.image}, ${about.memoryMib} MiB; ` +
      `medians of ${about.rounds} rounds, ${clockText[measured.clock]}`,
    rowTable(measured),
  ];
  if (measured.boots.length > 0) parts.push(bootTable(measured));
  if (has(measured, "memvisor") && others(measured).length > 0) parts.push(meanTable(measured));
  const doubtful = measured.rows.flatMap(({ name }) => doubts(measured, name).map((each) => `${name}: ${each}`));
  if (doubtful.length > 0) parts.push(["In doubt:", ...doubtful].join("\n"));
  const disturbed = measured.rows.flatMap(({ name }) => disturbances(measured, name).map((each) => `${name}: ${each}`));
  if (disturbed.length > 0)
    parts.push(["Processors that other programs took meanwhile (--clock cpu bears it):", ...disturbed].join("\n"));
  if (has(measured, "memvisor") && has(measured, "tcg")) {
    parts.push(
      goals(measured)
        .filter(({ value }) => Number.isFinite(value) || !about.partial)
        .map(
          ({ shown, passes, value }) => `${Number.isFinite(value) ? (passes ? "PASS " : "LOSES") : "-    "} ${shown}`,
        )
        .join("\n"),
    );
  }
  return parts.filter((part) => part !== "").join("\n\n");
}

export const clockText = { wall: "by the guest's clock", cpu: "by the processor time that the host spent" } as const;
const has = (measured: Measured, contender: string): boolean => measured.timings.has(contender);
const others = (measured: Measured): string[] => [...measured.timings.keys()].filter((name) => name !== "memvisor");

function rowTable(measured: Measured): string {
  const contenders = [...measured.timings.keys()];
  const compared = has(measured, "memvisor") ? others(measured) : [];
  const rows = measured.rows.map(({ name, group }) => [
    name,
    groups[group] ?? group,
    ...contenders.flatMap((contender) => {
      const list = seconds(measured.timings.get(contender)?.get(name), measured.clock);
      return list.length === 0 ? ["-", ""] : [`${median(list).toFixed(3)} s`, `±${percent(spread(list) / 2)}`];
    }),
    ...compared.map((contender) => {
      const ratio = typical(measured, "memvisor", name) / typical(measured, contender, name);
      return factor(contender === "native" ? ratio : 1 / ratio);
    }),
    doubts(measured, name).length > 0 ? "in doubt" : "",
  ]);
  return table([["", "", ...contenders.flatMap((name) => [name, ""]), ...compared.map(comparison), ""], ...rows]);
}

const comparison = (contender: string): string => (contender === "native" ? "time/native" : `speed/${contender}`);

function meanTable(measured: Measured): string {
  const compared = others(measured);
  const rows = means.flatMap(([title, members]) => {
    const cells = compared.map((contender) => {
      const ratios = timeRatios(measured, members, "memvisor", contender);
      const mean = geometricMean([...ratios.values()]);
      return factor(contender === "native" ? mean : 1 / mean);
    });
    return cells.every((cell) => cell === "-") ? [] : [[title, ...cells]];
  });
  return rows.length === 0 ? "" : table([["geometric means", ...compared.map(comparison)], ...rows]);
}

function bootTable(measured: Measured): string {
  return table([
    ["boot to init", "median", "spread", "processor time", "peak RSS"],
    ...measured.boots.map(({ contender, seconds: list, cpuSeconds, peakRssBytes }) => [
      contender,
      list.length === 0 ? "no init" : `${median(list).toFixed(2)} s`,
      list.length === 0 ? "" : `±${percent(spread(list) / 2)}`,
      list.length === 0 ? "" : `${median(cpuSeconds).toFixed(2)} s`,
      peakRssBytes.length === 0 ? "-" : `${(median(peakRssBytes) / 2 ** 20).toFixed(0)} MiB`,
    ]),
  ]);
}

const percent = (part: number): string => `${(part * 100).toFixed(0)} %`;
const factor = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : "-");

export function jsonReport(measured: Measured, about: Circumstances): string {
  const rows = measured.rows.map((row) => ({
    ...row,
    outcomes: Object.fromEntries(
      [...measured.timings].map(([contender, timings]) => [contender, timings.get(row.name)?.outcomes ?? []]),
    ),
    medians: Object.fromEntries(
      [...measured.timings.keys()].map((contender) => [contender, finite(typical(measured, contender, row.name))]),
    ),
    doubts: doubts(measured, row.name),
  }));
  const reached = goals(measured).map(({ text, value, passes }) => ({ text, value: finite(value), passes }));
  return `${JSON.stringify({ about, clock: measured.clock, rows, boots: measured.boots, goals: reached }, null, 2)}\n`;
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
