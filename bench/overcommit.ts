/**
 * What reclaiming a guest's cold pages saves and costs, and whether guests that have fewer frames than they use do their work right.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { VirtualMachine } from "#host";
import { prepareGuest, rowsOf } from "./guest-image.ts";
import { type Pairs, pairsOf } from "./memory-watch.ts";

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
}

type Files = { readonly kernel: string; readonly initrd: string };

/** Of a booted guest that does little. Takes two minutes. */
export async function reclaimed(files: Files): Promise<Saving> {
  await using vm = await VirtualMachine.start({ ...files, memoryBytes: 512 * mib, reclaim: true });
  await vm.spawn("sh", ["-c", halfIdle]);
  await sleep(warmUpMs);
  const before = await framesOf(vm);
  await sleep(settleMs);
  const { pages, objects, reclaim } = await vm.memory.stats();
  const after = pages.own + pages.shared;
  const stored = objects.reduce((sum, { hostBytes }) => sum + hostBytes, 0) / pageBytes;
  return {
    frames: 1 - after / before,
    memory: 1 - (after + stored) / before,
    promotions: (reclaim?.promotionsPerMinute ?? 0) / (reclaim?.workingSet || 1),
  };
}

/** CPU kernels with cold pages being taken and without, in turn, on one guest. A round is all of them, which takes some seconds. */
export async function reclaimCost(image: string, rounds: number): Promise<Pairs> {
  const guest = prepareGuest(image);
  const rows = rowsOf(guest.program).filter(({ group }) => ["integer", "memory", "vector", "fp"].includes(group));
  const { kernel, initrd } = guest;
  await using vm = await VirtualMachine.start({ kernel, initrd, memoryBytes: 512 * mib });
  await vm.writeFile(program, readFileSync(guest.program), { mode: 0o755 });
  const run = async (reclaiming: boolean): Promise<number> => {
    // As if the host were short of memory: what is cold goes.
    vm.memory.host = { level: reclaiming ? "some" : "none", chosen: false };
    const begun = process.cpuUsage();
    const { status } = await vm.exec(program, ["--divide", "2", ...rows.map(({ name }) => name)]);
    const { user, system } = process.cpuUsage(begun);
    if (status !== 0) throw new Error(`the kernels ended with ${status}`);
    return user + system;
  };
  await run(false);
  const logs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = Math.random() < 0.5;
    const one = await run(first);
    const other = await run(!first);
    logs.push(Math.log(first ? one / other : other / one));
  }
  return pairsOf(logs);
}

/** Files of random bytes whose names are their checksums, in memory. */
const writeFiles = (folder: string): string => `mkdir -p ${folder}; cd ${folder}
for n in $(seq 24); do head -c 1048576 /dev/urandom >.f; mv .f $n.$(md5sum <.f | cut -c1-32); done`;
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
  for (let n = 0; n < 4; n++) vms.push(guests.use(await VirtualMachine.start({ ...files, memoryBytes: 256 * mib })));
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
