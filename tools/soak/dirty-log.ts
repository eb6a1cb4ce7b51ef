/**
 * Judges of the dirty log: a guest whose stores are known beforehand, and a copy of a guest's memory that is kept by the log alone.
 */
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { gpa, gpaOf, pageSize } from "#address";
import type { VcpuStart } from "#control";
import { words } from "#control";
import type { AddressSpace } from "#memory";
import { Machine, type MachineConfig, type MachineHost } from "#vm";
import { hostNow } from "../../src/host/node-thread.ts";
import { hostModule } from "../../src/host/package-files.ts";
import { StoreProgram } from "../../test/store-program.ts";
import { quietHost } from "../machine-setup.ts";

/** 64 MiB. */
const regionBits = 26;
const longestEpoch = 100_000;
/** What the prepared images show when they are up. */
const prompt = "~ # ";
const mostInstructions = 20_000_000_000n;

export interface Verdict {
  readonly harvests: number;
  readonly pages: number;
  /** Pages stored to that were in no harvest, or had other bytes when the log said that nobody stored to them. */
  readonly missed: number;
  /** Pages in a harvest that nobody had stored to. */
  readonly spurious: number;
}

/** `next`: a number from 0 to 1. Every second epoch is harvested from a ring. */
export async function judgeKnownStores(stores: number, next: () => number): Promise<Verdict & { stores: number }> {
  const program = new StoreProgram(regionBits, { hotThreshold: 100 });
  const { dirty } = program.guest.memory;
  using log = dirty.open();
  using ring = dirty.openRing(4096);
  const verdict = { harvests: 0, pages: 0, missed: 0, spurious: 0 };
  for (let icount = 0n; program.stores < stores; await setImmediate()) {
    // Short ones are as frequent as long ones.
    icount += BigInt(Math.ceil(longestEpoch ** next()));
    program.run(icount);
    const harvested = new Set(verdict.harvests % 2 === 0 ? log.harvest() : ring.harvest().gfns);
    if (verdict.harvests % 2 === 0) ring.harvest();
    else log.harvest();
    const stored = program.pages();
    for (const page of stored) if (!harvested.has(page)) verdict.missed++;
    for (const page of harvested) if (!stored.has(page)) verdict.spurious++;
    verdict.pages += stored.size;
    verdict.harvests++;
  }
  return { ...verdict, stores: program.stores };
}

/** Every so many harvests, copy and memory are compared. */
const compareEvery = 25;

/**
 * Boots a guest to its prompt with a copy of its memory, to which pages go only when the log says that they are dirty, and compares
 * all of both from time to time while the machine stands still. With several vCPUs each has a thread.
 */
export function judgeByCopy(config: MachineConfig, next: () => number): Omit<Verdict, "spurious"> {
  const threads: Worker[] = [];
  const bell = new Int32Array(new SharedArrayBuffer(64));
  const verdict = { harvests: 0, pages: 0, missed: 0 };
  let shown = "";
  let look: () => boolean = () => false;
  const host = {
    ...quietHost((port, bytes) => {
      if (port === 0) shown = (shown + Buffer.from(bytes).toString("latin1")).slice(-80);
    }),
    now: hostNow,
    poll: () => look(),
    wait: () => void Atomics.wait(bell, words.bell, Atomics.load(bell, words.bell), 1),
    ...(config.clock === "wall" && {
      startVcpu: (setup: VcpuStart["setup"]) => {
        const workerData: VcpuStart = { setup, words: bell.buffer as SharedArrayBuffer };
        threads.push(new Worker(hostModule("vcpu-worker"), { workerData }));
      },
    }),
  } satisfies MachineHost;
  using machine = new Machine(config, host);
  const { memory } = machine.parts;
  using log = memory.dirty.open();
  const copy = new Copy(memory);
  const harvest = (): void => void (verdict.pages += copy.take(log.harvest()));
  look = () => {
    const isUp = shown.endsWith(prompt);
    if (next() > 0.1 && !isUp) return false;
    harvest();
    if (++verdict.harvests % compareEvery === 0 || isUp)
      machine.whileStill(() => {
        harvest();
        verdict.missed += copy.differs();
      });
    return isUp;
  };
  const { reason } = machine.runUntil(mostInstructions) ?? { reason: "budget" };
  for (const thread of threads) void thread.terminate();
  if (reason !== "stopped") throw new Error(`the guest came to no prompt: ${reason}`);
  return verdict;
}

class Copy {
  readonly #memory: AddressSpace;
  /** A page of the guest by its number; those that are not here are as they were at the beginning: zeros. */
  readonly #pages = new Map<number, Buffer>();
  readonly #page = Buffer.alloc(pageSize);

  constructor(memory: AddressSpace) {
    this.#memory = memory;
    this.take(allPages(memory));
  }

  /** How many there were. */
  take(gfns: Iterable<number>): number {
    let count = 0;
    for (const gfn of gfns) {
      const page = this.#pages.get(gfn) ?? Buffer.alloc(pageSize);
      this.#memory.read(gpaOf(gfn), page);
      this.#pages.set(gfn, page);
      count++;
    }
    return count;
  }

  /** How many pages have other bytes than the guest's. */
  differs(): number {
    let count = 0;
    for (const gfn of allPages(this.#memory)) {
      this.#memory.read(gpaOf(gfn), this.#page);
      const page = this.#pages.get(gfn);
      if (page === undefined ? this.#page.some((byte) => byte !== 0) : !page.equals(this.#page)) count++;
    }
    return count;
  }
}

function* allPages({ memslots }: AddressSpace): Generator<number> {
  for (const { gpa: first, sizeBytes } of memslots)
    for (let at: number = first; at < first + sizeBytes; at += pageSize) yield gpa(at) / pageSize;
}
