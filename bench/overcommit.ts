/**
 * What reclaiming a guest's cold pages saves and costs, and whether guests that have fewer frames than they use do their work right.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { VirtualMachine } from "#host";
import { prepareGuest, rowsOf } from "./guest-image.ts";
import { cpuTimeOf, inPairs, type Pairs } from "./paired.ts";

const mib = 2 ** 20;
const pageBytes = 4096;
const program = "/tmp/bench";
/** Looks at files now and then, as a shell on which somebody works. */
const halfIdle = "while :; do ls -lR /usr /etc /bin >/dev/null 2>&1; sleep 1; done";
/** Until pages can be cold at all, and until most of those that are have gone. */
const warmUpMs = 10_000;
const settleMs = 100_000;

export interface Saving {
  /** Parts of the frames that the guest had before: those that are gone, and what is left of that when the pages' new place counts. */
  readonly frames: number;
  readonly memory: number;
  /** Pages that came back in the last minute, as a part of those in use. */
  readonly promotions: number;
  /** CPU kernels with pages being looked at and taken, and without. */
  readonly cost: Pairs;
}

type Files = { readonly kernel: string; readonly initrd: string };

/** Of a booted guest that does little, for two minutes; then it does sums, for so many seconds. */
export async function reclaimed(files: Files, image: string, seconds: number): Promise<Saving> {
  await using vm = await VirtualMachine.start({ ...files, memoryBytes: 512 * mib, reclaim: true });
  const idle = await vm.spawn("sh", ["-c", halfIdle]);
  await sleep(warmUpMs);
  const before = await framesOf(vm);
  await sleep(settleMs);
  const { pages, objects, reclaim } = await vm.memory.stats();
  const after = pages.own + pages.shared;
  idle.kill("SIGKILL");
  const stored = objects.reduce((sum, { hostBytes }) => sum + hostBytes, 0) / pageBytes;
  return {
    frames: 1 - after / before,
    memory: 1 - (after + stored) / before,
    promotions: (reclaim?.promotionsPerMinute ?? 0) / (reclaim?.workingSet || 1),
    cost: await reclaimCost(vm, image, seconds),
  };
}

/** Runs are about a second long: pages are looked at every four. */
const rowsInRun = 4;
const divisor = 2;

async function reclaimCost(vm: VirtualMachine, image: string, seconds: number): Promise<Pairs> {
  const guest = prepareGuest(image);
  const names = rowsOf(guest.program)
    .filter(({ group }) => ["integer", "memory", "vector", "fp"].includes(group))
    .map(({ name }) => name);
  const works = Array.from({ length: Math.ceil(names.length / rowsInRun) }, (_, n) =>
    names.slice(n * rowsInRun, (n + 1) * rowsInRun),
  );
  await vm.writeFile(program, readFileSync(guest.program), { mode: 0o755 });
  const run = async (work: readonly string[], reclaiming: boolean): Promise<number> => {
    await vm.memory.reclaim(reclaiming);
    return cpuTimeOf(async () => {
      const { status } = await vm.exec(program, ["--divide", String(divisor), ...work]);
      if (status !== 0) throw new Error(`the kernels ended with ${status}`);
    });
  };
  for (const work of works) await run(work, false);
  return inPairs(seconds, works, run);
}

const guestCount = 4;
const filesEach = 24;
/** Of all guests. */
export const allFiles = guestCount * filesEach;
/** Files of random bytes whose names are their checksums, in memory. */
const writeFiles = (folder: string): string => `mkdir -p ${folder}; cd ${folder}
for n in $(seq ${filesEach}); do head -c 1048576 /dev/urandom >.f; mv .f $n.$(md5sum <.f | cut -c1-32); done`;
const verifyFiles = (folder: string): string => `cd ${folder}
for f in *.*; do [ "$(md5sum <$f | cut -c1-32)" = "\${f##*.}" ] && echo right || echo wrong; done`;

export interface Overcommitted {
  /** Frames that the guests used, over those that they have: all of them together. */
  readonly factor: number;
  readonly right: number;
  readonly wrong: number;
  /** Pages that came back. */
  readonly back: number;
}

/**
 * Four guests that have had all the frames they wanted have `factor` times fewer from then on. Busy ones go on writing as many files as they had,
 * and idle ones do nothing; in the end every file is to be right.
 */
export async function overcommitted(files: Files, factor: number, busy: boolean): Promise<Overcommitted> {
  await using guests = new AsyncDisposableStack();
  const vms: VirtualMachine[] = [];
  for (let n = 0; n < guestCount; n++)
    vms.push(guests.use(await VirtualMachine.start({ ...files, memoryBytes: 256 * mib })));
  const all = <T>(work: (vm: VirtualMachine) => Promise<T>): Promise<T[]> => Promise.all(vms.map(work));
  await all((vm) => vm.exec(writeFiles("/tmp/w")));
  const used = await all(framesOf);
  await Promise.all(vms.map((vm, n) => vm.memory.limit(Math.floor((used[n] * pageBytes) / factor))));
  if (busy) await all((vm) => vm.exec(`${writeFiles("/tmp/v")}; rm -r /tmp/w; mv /tmp/v /tmp/w`));
  await sleep(limitKeptMs);
  const has = await all(framesOf);
  const verdicts = (await all(async (vm) => (await vm.exec(verifyFiles("/tmp/w"))).stdout.text())).join("");
  const count = (word: string): number => verdicts.split(word).length - 1;
  const back = (await all((vm) => vm.stats())).reduce((total, { swap }) => total + (swap?.in ?? 0), 0);
  return { factor: sum(used) / sum(has), right: count("right"), wrong: count("wrong"), back };
}

const limitKeptMs = 3000;

async function framesOf(vm: VirtualMachine): Promise<number> {
  const { pages } = await vm.memory.stats();
  return pages.own + pages.shared;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
