/** A machine's memory as text for a person. */
import type { MemoryStats } from "#control";
import { mapLines } from "#introspect/memory-files";

const pageBytes = 4096;
const barWidth = 32;

export function memoryText(stats: MemoryStats): string {
  const { pages, freeFrames, ages } = stats;
  const ram = stats.slots.filter(({ kind }) => kind === "ram");
  const all = ram.reduce((sum, { bytes }) => sum + bytes, 0) / pageBytes;
  const rows: (readonly [name: string, pages?: number])[] = [
    ["memory", all - pages.unplugged],
    ["  in frames of its own", pages.own],
    ["  in frames shared with forks", pages.shared],
    ["  kept elsewhere, in no frame", pages.stored],
    ["  untouched", pages.untouched],
    ["of that in frames", pages.own + pages.shared],
    ["  nothing but zeros", pages.zero],
    [`  used in the last ${ages.scans < 60 ? `${(ages.scans * ages.scanMs) / 1000} s` : "minute"}`, stats.workingSet],
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
      `kept in ${object.kind}: ${mib(object.pagesHeld)} of pages, ${mib(object.hostBytes / pageBytes)} of memory, ${mib(object.fileBytes / pageBytes)} of files`,
    );
  return [...lines, ...ageLines(stats)].join("\n");
}

function ageLines({ ages }: MemoryStats): string[] {
  if (ages.scans === 0) return ["ages: accesses are watched from now on; ask again"];
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

const mib = (pages: number): string => `${((pages * pageBytes) / 2 ** 20).toFixed(1)} MiB`;
