/**
 * Whether overcommitted guests see anything of it: four guests in virtual time, in turns in one process, each once with all the frames it
 * wants and once with fewer. Their digests, of all of memory and of the CPU, are to be equal at the same counts of instructions.
 *
 * Each guest has random numbers of its own, writes files of them, sleeps, and then reads and rewrites them.
 */
import { pageSize } from "#address";
import { Machine, type MachineConfig } from "#vm";
import { memoryServices } from "../src/host/guest-memory.ts";
import { fileType, writeCpio } from "../src/images/archive/cpio.ts";
import { quietHost, virtualMachine } from "../tools/machine-setup.ts";

const guests = 4;
const digestEvery = 20_000_000n;
const turn = 4_000_000n;
const words = { idle: "guest: idle", busy: "guest: busy", done: "guest: done" } as const;
type Phase = "starts" | keyof typeof words;

/** /bin/busybox is in the image's own initramfs. */
const init = `#!/bin/busybox sh
/bin/busybox mkdir -p /dev /files
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs files /files
cd /files
write() {
  /bin/busybox head -c 1048576 /dev/urandom >/random
  for n in $(/bin/busybox seq 120); do { echo $n; /bin/busybox cat /random; } >$n; done
}
write
echo "${words.idle}"
/bin/busybox sleep 60
echo "${words.busy}"
/bin/busybox cat * >/dev/null
write
/bin/busybox cat * >/dev/null
echo "${words.done}"
while :; do /bin/busybox sleep 1000; done
`;

export interface DigestFigures {
  /** Of the guests together, while they sleep and while they work: frames that they have without a limit, over the most they have with one. */
  readonly idle: number;
  readonly busy: number;
  readonly equal: number;
  readonly unequal: number;
  /** Pages that went, and that came back. */
  readonly out: number;
  readonly back: number;
}

/** `factors`: how many times fewer frames they have than they use. */
export function overcommitDigests(
  image: string,
  factors: { readonly idle: number; readonly busy: number },
): DigestFigures {
  const configs = Array.from({ length: guests }, (_, n) => configOf(image, n + 1));
  const free = configs.map((config) => aloneToItsEnd(config));
  const limited = configs.map((config, n) => new Guest(config, free[n].frames, factors));
  const most = { idle: 0, busy: 0 };
  let equal = 0;
  let unequal = 0;
  while (limited.some((guest) => !guest.isOver)) {
    for (const guest of limited) guest.goOn();
    for (const phase of ["idle", "busy"] as const)
      if (limited.every((guest) => guest.isHeldTo === phase))
        most[phase] = Math.max(most[phase], sum(limited.map(({ machine }) => machine.parts.memory.framesTouched)));
  }
  for (const [n, { digests }] of limited.entries()) {
    const expected = free[n].digests;
    for (let at = 0; at < Math.max(digests.length, expected.length); at++)
      if (digests[at] === expected[at]) equal++;
      else unequal++;
  }
  const swapped = limited.map(({ machine }) => machine.parts.memory.swap.counts);
  for (const { machine } of limited) machine[Symbol.dispose]();
  const used = (phase: "idle" | "busy"): number => sum(free.map(({ frames }) => frames[phase]));
  return {
    idle: used("idle") / most.idle,
    busy: used("busy") / most.busy,
    ...{ equal, unequal },
    out: sum(swapped.map(({ out }) => out)),
    back: sum(swapped.map((counts) => counts.in)),
  };
}

/** A limit is passed by as much as a guest touches in a slice. */
const slack = 0.98;
const limitOf = (used: number, factor: number): number => Math.floor((slack * used) / factor);

type Frames = Readonly<Record<"idle" | "busy", number>>;

function aloneToItsEnd(config: MachineConfig): { readonly frames: Frames; readonly digests: readonly string[] } {
  const guest = new Guest(config);
  const frames = { idle: 0, busy: 0 };
  while (!guest.isOver) {
    guest.goOn();
    const { phase } = guest;
    if (phase === "idle" || phase === "busy")
      frames[phase] = Math.max(frames[phase], guest.machine.parts.memory.framesTouched);
  }
  guest.machine[Symbol.dispose]();
  return { frames, digests: guest.digests };
}

class Guest {
  readonly machine: Machine;
  readonly digests: string[] = [];
  phase: Phase = "starts";
  #limits: Frames | undefined;
  #shown = "";
  #icount = 0n;
  /** The phase whose limit is kept to. */
  isHeldTo: Phase = "starts";

  constructor(config: MachineConfig, used?: Frames, factors?: Frames) {
    const host = { ...quietHost((_, bytes) => this.#hear(bytes)), memory: memoryServices };
    this.machine = new Machine(config, host);
    if (used && factors)
      this.#limits = { idle: limitOf(used.idle, factors.idle), busy: limitOf(used.busy, factors.busy) };
  }

  /** It has slept again after all it had to do. */
  get isOver(): boolean {
    return this.phase === "done";
  }

  goOn(): void {
    if (this.isOver) return;
    const limit = this.#limits?.[this.phase as keyof Frames];
    // Soon after it is set it is kept to, and is until there is another one.
    if (limit !== undefined && this.machine.parts.memory.framesTouched <= limit) this.isHeldTo = this.phase;
    this.#icount += turn;
    const outcome = this.machine.runUntil(this.#icount);
    if (outcome) throw new Error(`a guest ended: ${outcome.reason} ${outcome.detail}: ${this.#shown.slice(-500)}`);
    if (this.#icount % digestEvery === 0n) this.digests.push(JSON.stringify(this.machine.digest(), print));
  }

  #hear(bytes: Uint8Array): void {
    this.#shown += Buffer.from(bytes).toString("latin1");
    for (const phase of ["idle", "busy", "done"] as const) {
      if (!this.#shown.includes(words[phase])) continue;
      this.#shown = "";
      this.phase = phase;
      const limit = this.#limits?.[phase as keyof Frames];
      if (limit !== undefined) this.machine.memory.answer({ about: "limit", bytes: limit * pageSize });
    }
  }
}

function configOf(image: string, seed: number): MachineConfig {
  const values = { image, memory: "256", cpus: "1", seed: String(seed), append: "rdinit=/overcommit" };
  const config = virtualMachine(values);
  const appended = writeCpio([{ path: "overcommit", mode: fileType.file | 0o755, data: Buffer.from(init) }]);
  return {
    ...config,
    initrd: Buffer.concat([config.initrd as Uint8Array, appended]),
    memoryBacking: { kind: "compressed" },
    engine: {},
  };
}

const print = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
