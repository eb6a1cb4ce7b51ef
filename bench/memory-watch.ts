/**
 * What looking at a guest's memory costs, and what of it comes back.
 *
 * Costs are of pairs: a CPU kernel with a log harvested every so often and without, one after the other in random order, by the
 * processor time of the whole process, which other programs change less than the clock.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { VirtualMachine } from "#host";
import { prepareGuest, rowsOf } from "./guest-image.ts";

const mib = 2 ** 20;
/** Part of a second each. */
const divisor = 8;
const harvestEveryMs = 100;
const cpuGroups = ["integer", "memory", "vector", "fp", "x87"];
const program = "/tmp/bench";

export interface Pairs {
  readonly pairs: number;
  /** Of time with over time without: the geometric mean, and where it lies with a probability of 95 %. */
  readonly ratio: number;
  readonly from: number;
  readonly to: number;
}

export interface Cost extends Pairs {
  readonly missesWith: number;
  readonly missesWithout: number;
}

/** `look`: harvests something, from time to time. */
export async function costOf(
  image: string,
  rounds: number,
  look: (vm: VirtualMachine) => Promise<unknown>,
): Promise<Cost> {
  const guest = prepareGuest(image);
  const rows = rowsOf(guest.program).filter(({ group }) => cpuGroups.includes(group));
  const { kernel, initrd } = guest;
  await using vm = await VirtualMachine.start({ kernel, initrd, memoryBytes: 512 * mib });
  await vm.writeFile(program, readFileSync(guest.program), { mode: 0o755 });
  const logs: number[] = [];
  const misses = { with: 0, without: 0 };
  const run = async (row: string, looking: boolean): Promise<number> => {
    const before = (await vm.stats()).tlbMisses;
    const stop = new AbortController();
    const looks = looking ? lookUntil(stop.signal, () => look(vm)) : undefined;
    const begun = process.cpuUsage();
    const { status } = await vm.exec(program, ["--divide", String(divisor), row]);
    const { user, system } = process.cpuUsage(begun);
    stop.abort();
    await looks;
    if (status !== 0) throw new Error(`${row} ended with ${status}`);
    misses[looking ? "with" : "without"] += (await vm.stats()).tlbMisses - before;
    return user + system;
  };
  for (const { name } of rows) {
    // Its code is compiled.
    await run(name, false);
    for (let round = 0; round < rounds; round++) {
      const first = Math.random() < 0.5;
      const one = await run(name, first);
      const other = await run(name, !first);
      logs.push(Math.log(first ? one / other : other / one));
    }
  }
  return { ...pairsOf(logs), missesWith: misses.with, missesWithout: misses.without };
}

/** Of the logarithms of their ratios. */
export function pairsOf(logs: readonly number[]): Pairs {
  const mean = logs.reduce((sum, each) => sum + each, 0) / logs.length;
  const variance = logs.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (logs.length - 1);
  const error = 1.96 * Math.sqrt(variance / logs.length);
  return {
    pairs: logs.length,
    ratio: Math.exp(mean),
    from: Math.exp(mean - error),
    to: Math.exp(mean + error),
  };
}

async function lookUntil(signal: AbortSignal, look: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await look();
    await sleep(harvestEveryMs);
  }
}

export function pairsText({ pairs, ratio, from, to }: Pairs): string {
  const percent = (value: number): string => `${(100 * (value - 1)).toFixed(1)} %`;
  return `${percent(ratio)}, 95 %: ${percent(from)} to ${percent(to)}, ${pairs} pairs`;
}

export const costText = (cost: Cost): string =>
  `${pairsText(cost)}; TLB misses ${cost.missesWith} for ${cost.missesWithout}`;

const allocatedMib = 400;
const backWithinMs = 5000;

/** How much of 400 MiB is back at the host five seconds after the guest has given it up, as a part. */
export async function givenBack(files: { kernel: string; initrd: string }): Promise<number> {
  await using vm = await VirtualMachine.start({ ...files, memoryBytes: 1024 * mib, balloon: true });
  await vm.exec("mkdir -p /mnt; mount -t tmpfs -o size=900m none /mnt");
  const before = process.memoryUsage.rss();
  await vm.exec(`dd if=/dev/zero bs=1048576 count=${allocatedMib} | tr '\\0' x >/mnt/x`);
  const full = process.memoryUsage.rss();
  if (full - before < 0.9 * allocatedMib * mib) throw new Error("the guest did not take so much memory");
  await vm.exec("rm /mnt/x");
  await sleep(backWithinMs);
  return (full - process.memoryUsage.rss()) / (allocatedMib * mib);
}
