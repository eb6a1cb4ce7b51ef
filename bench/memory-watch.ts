/**
 * What looking at a guest's memory costs, and what of it comes back.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { VirtualMachine } from "#host";
import { prepareGuest, rowsOf } from "./guest-image.ts";
import { cpuTimeOf, inPairs, type Pairs, pairsText } from "./paired.ts";

const mib = 2 ** 20;
/** Part of a second each. */
const divisor = 4;
const harvestEveryMs = 100;
const cpuGroups = ["integer", "memory", "vector", "fp", "x87"];
const program = "/tmp/bench";

export interface Cost extends Pairs {
  /** Slow paths taken. */
  readonly missesWith: number;
  readonly missesWithout: number;
}

/** `look`: harvests something, from time to time. */
export async function costOf(
  image: string,
  seconds: number,
  look: (vm: VirtualMachine) => Promise<unknown>,
): Promise<Cost> {
  const guest = prepareGuest(image);
  const rows = rowsOf(guest.program).filter(({ group }) => cpuGroups.includes(group));
  const { kernel, initrd } = guest;
  await using vm = await VirtualMachine.start({ kernel, initrd, memoryBytes: 512 * mib });
  await vm.writeFile(program, readFileSync(guest.program), { mode: 0o755 });
  const misses = { with: 0, without: 0 };
  const run = async (row: string, looking: boolean): Promise<number> => {
    const before = (await vm.stats()).tlbMisses;
    const stop = new AbortController();
    const looks = looking ? lookUntil(stop.signal, () => look(vm)) : undefined;
    const time = await cpuTimeOf(async () => {
      const { status } = await vm.exec(program, ["--divide", String(divisor), row]);
      if (status !== 0) throw new Error(`${row} ended with ${status}`);
    });
    stop.abort();
    await looks;
    misses[looking ? "with" : "without"] += (await vm.stats()).tlbMisses - before;
    return time;
  };
  const names = rows.map(({ name }) => name);
  for (const name of names) await run(name, false);
  misses.without = 0;
  const pairs = await inPairs(seconds, names, run);
  return { ...pairs, missesWith: misses.with, missesWithout: misses.without };
}

async function lookUntil(signal: AbortSignal, look: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await look();
    await sleep(harvestEveryMs, undefined, { signal }).catch(() => {});
  }
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
