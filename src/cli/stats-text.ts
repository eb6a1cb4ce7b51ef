/** Counters of a machine as text for a person. */
import type { VmStats } from "#control";

const mib = 1024 * 1024;

export function statsText(stats: VmStats): string {
  const rows: [string, string][] = [
    ["wall time", `${(stats.wallMs / 1000).toFixed(2)} s`],
    ["guest instructions", grouped(stats.guestInstructions)],
  ];
  for (const { name, instructions, ms } of stats.tiers) {
    const mips = ms > 0 ? `, ${(instructions / ms / 1000).toFixed(1)} MIPS` : "";
    rows.push([`  ${name}`, `${grouped(instructions)} (${percent(instructions, stats.guestInstructions)})${mips}`]);
  }
  rows.push(
    ["blocks lifted", grouped(stats.blocksLifted)],
    ["  learnt before", grouped(stats.blocksLearnt)],
    ["regions", grouped(stats.regions)],
    ["  kept before", grouped(stats.regionsKept)],
    ["Wasm", `${grouped(stats.wasmBytes)} bytes`],
    ["TLB misses", grouped(stats.tlbMisses)],
    ["  whole walks", grouped(stats.pageWalks)],
    ["frames held", `${grouped(stats.framesTouched)} (${((stats.framesTouched * 4096) / mib).toFixed(1)} MiB)`],
  );
  if (stats.swap) {
    const { out, in: back, backing } = stats.swap;
    rows.push(
      ["evicted", `${grouped(out)} pages, ${grouped(back)} brought back`],
      [`  ${backing.kind}`, `${grouped(backing.pagesHeld)} pages in ${(backing.hostBytes / mib).toFixed(1)} MiB`],
    );
  }
  if (stats.balloon) rows.push(["given back", `${(stats.balloon.releasedBytes / mib).toFixed(1)} MiB`]);
  if (stats.peakRssBytes !== undefined) rows.push(["peak RSS", `${(stats.peakRssBytes / mib).toFixed(1)} MiB`]);
  rows.push(["exits", ""]);
  const exits = Object.entries(stats.exits).filter(([, count]) => count > 0);
  for (const [reason, count] of exits.sort((a, b) => b[1] - a[1])) rows.push([`  ${reason}`, grouped(count)]);
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => (name.padEnd(width) + value).trimEnd()).join("\n");
}

const grouped = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, " ");
const percent = (part: number, whole: number): string => `${whole > 0 ? ((100 * part) / whole).toFixed(1) : "0.0"} %`;
