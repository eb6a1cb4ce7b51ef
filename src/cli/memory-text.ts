/** A machine's memory as text for a person. */
import { pageSize } from "#address";
import type { MemoryStats } from "#control";
import type { HostFigures, MachineHolding } from "#host";
import { mapLines } from "#introspect/memory-files";

const barWidth = 32;

export function memoryText(stats: MemoryStats): string {
  const { pages, freeFrames, ages } = stats;
  const ram = stats.slots.filter(({ kind }) => kind === "ram");
  const all = ram.reduce((sum, { bytes }) => sum + bytes, 0) / pageSize;
  const rows: (readonly [name: string, pages?: number])[] = [
    ["memory", all - pages.unplugged],
    ["  in frames of its own", pages.own],
    ["  in frames shared with forks", pages.shared],
    ["  kept elsewhere, in no frame", pages.stored],
    ["  untouched", pages.untouched],
    ["of that in frames", pages.own + pages.shared],
    ["  nothing but zeros", pages.zero],
    [`  used in the last ${ages.watchedMs < 60_000 ? `${ages.watchedMs / 1000} s` : "minute"}`, stats.workingSet],
    ["in the balloon", pages.ballooned],
    ...(pages.unplugged > 0 ? ([["not plugged in", pages.unplugged]] as const) : []),
    ["free frames, kept", freeFrames.kept],
    ["free frames, given to the host", freeFrames.discarded],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = mapLines(stats.slots);
  for (const [name, count = 0] of rows) lines.push(name.padEnd(width) + mib(count).padStart(11));
  for (const object of stats.objects)
    lines.push(
      `kept in ${object.kind}: ${mib(object.pagesHeld)} of pages, ${mib(object.hostBytes / pageSize)} of memory, ${mib(object.fileBytes / pageSize)} of files`,
    );
  return [...lines, ...pressureLines(stats), ...ageLines(stats)].join("\n");
}

/** The host's memory, and what all machines have of it. */
export function hostText({
  totalBytes,
  availableBytes,
  stalled,
  limitBytes,
  pressure,
  machines,
}: HostFigures & {
  readonly limitBytes?: number;
  readonly pressure: string;
  readonly machines: readonly MachineHolding[];
}): string {
  const sum = (of: (machine: MachineHolding) => number): number => machines.reduce((all, each) => all + of(each), 0);
  const bytes = (count: number): string => mib(count / pageSize);
  const standing = machines.filter(({ chosenAt }) => chosenAt !== undefined).length;
  const rows = [
    ["memory of the host", bytes(totalBytes)],
    ["  available", bytes(availableBytes)],
    ["time spent waiting for memory", `${(100 * stalled).toFixed(1)} %`],
    [`machines`, String(machines.length)],
    ["  in frames", bytes(sum(({ frameBytes }) => frameBytes))],
    ["  kept of evicted pages", bytes(sum(({ storedBytes }) => storedBytes))],
    ["  paused for the host's sake", String(standing)],
    ["limit of all machines", limitBytes === undefined ? "none" : bytes(limitBytes)],
    ["pressure", pressure],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => name.padEnd(width) + value.padStart(14)).join("\n");
}

function pressureLines({ pressure, limitBytes, reclaim }: MemoryStats): string[] {
  const lines: string[] = [];
  if (limitBytes !== undefined) lines.push(`limit: ${mib(limitBytes / pageSize)} in frames`);
  if (reclaim?.coldAge !== undefined)
    lines.push(
      `cold after ${reclaim.coldAge} s: ${Math.round(reclaim.promotionsPerMinute)} pages came back in a minute, ${mib(reclaim.workingSet)} are used`,
    );
  if (pressure.level !== "none") lines.push(`pressure: ${pressure.level}, of the ${pressure.of ?? "machine"}`);
  if (pressure.paused !== undefined) lines.push(`paused: ${pressure.paused}`);
  return lines;
}

function ageLines({ ages }: MemoryStats): string[] {
  if (ages.watchedMs === 0) return ["ages: accesses are watched from now on; ask again"];
  const most = Math.max(...ages.pages, 1);
  return [
    "last used",
    ...ages.sinceMs.map((since, n) => {
      const to = ages.sinceMs[n + 1];
      const name = to === undefined ? `${since / 1000} s and more` : `${since / 1000} to ${to / 1000} s`;
      const bar = "#".repeat(Math.ceil((barWidth * ages.pages[n]) / most));
      return `${`  ${name}`.padEnd(18)}${mib(ages.pages[n]).padStart(11)}  ${bar}`.trimEnd();
    }),
  ];
}

const mib = (pages: number): string => `${((pages * pageSize) / 2 ** 20).toFixed(1)} MiB`;
