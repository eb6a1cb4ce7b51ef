/**
 * One machine's life on a thread: it is made, takes turns, is made anew after a reset, and ends.
 *
 * Law: exactly one "refused" or "ended" is posted, and it is the last message.
 */
import { assertNever } from "#base";
import { type Net, StateError } from "#devices";
import { ArenaError, MemoryObjectError } from "#memory";
import { type PublishRule, publishText } from "#net/rules";
import { readSnapshot, type Snapshot, SnapshotError } from "#snapshot";
import {
  type BootBytes,
  BootError,
  ForkError,
  type MachineConfig,
  type MachineHost,
  type MachineMemory,
  type MachineOutcome,
  type MachineStats,
  type MemoryQuestion,
  type Resume,
  type RunnableMachine,
} from "#vm";
import type { Awakening } from "./agent/index.ts";
import { type LearningMachine, LearntFile } from "./learnt.ts";
import { noStats, sumStats } from "./machine-stats.ts";
import { Later, type Order } from "./orders.ts";
import { type SavedMachine, type SaveOrder, Saving, save } from "./saving.ts";
import { type ThreadHost, ThreadMachineHost } from "./thread-machine-host.ts";
import type { FileSource, MachineMessage, MachineStart } from "./thread-protocol.ts";
import type { VmStats } from "./vm-api.ts";
import { type WarmMachine, WarmthFile } from "./warmth.ts";

/** A machine that can be written down, and that others can go on from. */
export interface ThreadMachine extends RunnableMachine, SavedMachine, WarmMachine, LearningMachine {
  /** Where there is a network. */
  readonly net?: Pick<Net, "port"> | undefined;
  readonly memory?: Pick<MachineMemory, "answer">;
  /** Throws ForkError where it has what cannot be shared. */
  fork?(host: MachineHost): ThreadMachine;
}

/** Throws BootError, StateError or SnapshotError where it cannot be made. */
export type NewMachine = (config: MachineConfig, host: MachineHost, resume?: Resume) => ThreadMachine;

/** So that a machine is seen to have panicked, or the like, though it sleeps. */
const longestRestNs = 1e9;

/**
 * Of a machine that always has something to do. A turn may be as short as the guest's timer interrupt: were that all, a guest whose turn
 * comes later than its next tick would never come to anything else.
 */
const shareNs = 6e6;

/** What a life has of its thread. */
export interface LifeContext {
  /** The shared words on whose bell the thread sleeps: those of its first machine. */
  readonly bell: SharedArrayBuffer;
  readonly thread: ThreadHost;
  readonly newMachine: NewMachine;
  /** One more machine takes its turns from now on. */
  readonly add: (life: MachineLife) => void;
}

export class MachineLife {
  readonly #start: MachineStart;
  readonly #context: LifeContext;
  readonly #host: ThreadMachineHost;
  readonly #post: (message: MachineMessage) => void;
  readonly #begun: number;
  /** Of the machines before the present one. */
  #past: MachineStats = noStats;
  #machine: ThreadMachine | undefined;
  #warmth: WarmthFile | undefined;
  #learnt: LearntFile | undefined;
  /** Published while the machine runs, by their rules in words. */
  readonly #ports = new Map<string, PublishRule>();
  /** Under way while the machine runs. */
  #saving: Saving | undefined;
  #first = true;
  #over = false;
  /** When the next turn is due. */
  #nextNs = 0;

  constructor(start: MachineStart, context: LifeContext, post = context.thread.post) {
    this.#start = start;
    this.#context = context;
    this.#post = post;
    this.#begun = context.thread.now();
    this.#host = new ThreadMachineHost(
      start,
      context.bell,
      context.thread,
      post,
      () => post({ type: "stats", stats: this.#stats() }),
      (order) => this.#carryOut(order),
    );
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Its owner wants something of it. */
  get wasRung(): boolean {
    return this.#host.wasRung;
  }

  /** There is no machine yet, or none any more: `boot` comes before the next turn. */
  get isToBoot(): boolean {
    return this.#machine === undefined && !this.#over;
  }

  /** Makes the machine. Its files may have to be read. */
  async boot(): Promise<void> {
    const { thread, newMachine } = this.#context;
    const resumed = this.#first && this.#start.files.snapshot !== undefined;
    this.#first = false;
    try {
      const snapshot = resumed ? openSnapshot(this.#start, thread) : undefined;
      const machine = snapshot
        ? newMachine(this.#start.config, this.#host, snapshot.resume)
        : await bootFrom(this.#start, thread, (config) => newMachine(config, this.#host));
      // Warmth has code of the guest in plaintext.
      if (snapshot && this.#start.files.learn && this.#start.files.key === undefined) {
        this.#warmth = await WarmthFile.of(thread, snapshot.pages);
        this.#warmth?.give(machine);
      }
      if (!snapshot) {
        this.#learnt = LearntFile.of(thread, this.#start.files.learnt);
        this.#learnt?.give(machine);
      }
      this.#begin(machine, resumed);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Takes turns, if one is due at `now`, until it has nothing to do or has had its share of time; gives when the next one is due,
   * unless something comes for the machine before. Requires: the machine was made, and it is not over.
   */
  turns(now: number): number {
    if (this.#nextNs > now && !this.#host.wasRung) return this.#nextNs;
    const begun = this.#context.thread.now();
    const latestNs = begun + longestRestNs;
    if (this.#host.isFlooded) return latestNs;
    try {
      for (let time = begun; time < begun + shareNs; time = this.#context.thread.now()) {
        const { outcome, nextNs } = (this.#machine as ThreadMachine).turn();
        this.#nextNs = Math.min(nextNs, latestNs);
        if (outcome) {
          this.#end(judge(outcome, this.#host));
          break;
        }
        if (nextNs > time || this.#host.isFlooded) break;
      }
      if (!this.#over) this.#saveOn();
    } catch (error) {
      this.#fail(error);
    }
    return this.#nextNs;
  }

  /** Goes on with what is saved while the machine runs. */
  #saveOn(): void {
    if (this.#saving === undefined) return;
    if (this.#saving.goOn()) this.#saving = undefined;
    // Also of a machine that sleeps.
    else this.#nextNs = 0;
  }

  #begin(machine: ThreadMachine, resumed: boolean): void {
    this.#machine = machine;
    this.#nextNs = 0;
    for (const rule of this.#ports.values()) machine.net?.port(rule, true, () => {});
    if (resumed) this.#post({ type: "started", resumed, awakening: awakening(this.#start, this.#context.thread) });
    else this.#post({ type: "started", resumed });
  }

  #fail(error: unknown): void {
    const code = refusalOf(error);
    if (code === undefined || this.#machine !== undefined)
      return this.#end({ reason: "error", detail: code === undefined ? stackOf(error) : (error as Error).message });
    this.#over = true;
    this.#post({ type: "refused", code, message: (error as Error).message });
  }

  #end(outcome: MachineOutcome): void {
    const { files, reboot } = this.#start;
    this.#host.flushReports();
    this.#nextNs = 0;
    const past = this.#machine;
    this.#saving?.fail("the machine ended before it was saved");
    this.#saving = undefined;
    if (past !== undefined) this.#warmth?.keep(past);
    this.#warmth = undefined;
    if (past !== undefined) this.#learnt?.keep(past);
    this.#learnt = undefined;
    // A guest that resets without end never looks at the host itself.
    const again = outcome.reason === "reset" && reboot && files.kernel !== undefined && !this.#host.poll();
    const stats = this.#stats();
    if (again) this.#past = sumStats(this.#past, past?.stats() ?? noStats);
    const profile = again ? undefined : past?.profile?.();
    this.#machine = undefined;
    // Who hears of the end may end the thread: its files are closed by then.
    past?.[Symbol.dispose]();
    if (again) return;
    this.#over = true;
    this.#post({ type: "ended", outcome, stats, ...(profile !== undefined && { profile }) });
  }

  #stats(): VmStats {
    const { thread } = this.#context;
    return {
      ...sumStats(this.#past, this.#machine?.stats() ?? noStats),
      wallMs: (thread.now() - this.#begun) / 1e6,
      ...(thread.peakRssBytes && { peakRssBytes: thread.peakRssBytes() }),
    };
  }

  #carryOut(order: Order): unknown {
    switch (order.type) {
      case "snapshot":
        return this.#snapshot(order);
      case "fork":
        return this.#fork(order.number);
      case "memory":
        return this.#memory(order.question);
      case "port":
        return this.#port(order.rule, order.open);
      default:
        return assertNever(order);
    }
  }

  #snapshot(order: SaveOrder): unknown {
    const { thread } = this.#context;
    if (!order.live) return save(this.#machine, thread, order);
    if (this.#saving) throw new Error("the machine is being saved already: wait until that is done");
    const later = new Later();
    this.#saving = new Saving(this.#machine, thread, order, later);
    return later;
  }

  #port(rule: PublishRule, open: boolean): Later {
    const net = this.#machine?.net;
    if (net === undefined) throw new Error("the machine has no network");
    const later = new Later();
    net.port(rule, open, (error) => {
      if (error !== undefined) return later.fail(error);
      // A guest that resets finds its ports again.
      if (open) this.#ports.set(publishText(rule), rule);
      else this.#ports.delete(publishText(rule));
      later.give(null);
    });
    return later;
  }

  #memory(question: MemoryQuestion): unknown {
    if (this.#machine?.memory === undefined) throw new Error("this machine does not tell of its memory");
    return this.#machine.memory.answer(question);
  }

  /** Those who wait to be machines go on as this one does. */
  #fork(number: number): void {
    for (const { start, post } of this.#context.thread.takeNewcomers?.(number) ?? []) {
      const life = new MachineLife(start, this.#context, post);
      life.#goOnAs(this.#machine);
      if (!life.isOver) this.#context.add(life);
    }
  }

  #goOnAs(machine: ThreadMachine | undefined): void {
    this.#first = false;
    try {
      if (machine?.fork === undefined) throw new ForkError("it is of a kind that cannot be forked");
      this.#begin(machine.fork(this.#host), true);
    } catch (error) {
      this.#fail(error);
    }
  }
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** What is wrong, where it is with the user's files and options and the message says which. */
function refusalOf(error: unknown): "boot" | "memory" | "snapshot" | "fork" | undefined {
  if (error instanceof BootError) return "boot";
  if (error instanceof ArenaError) return "memory";
  if (error instanceof ForkError) return "fork";
  const damaged = [SnapshotError, StateError, MemoryObjectError].some((kind) => error instanceof kind);
  return damaged ? "snapshot" : undefined;
}

/** A run in virtual time is to be the same every time: its clock and its randomness are those of the saved machine. */
function awakening({ config }: MachineStart, thread: ThreadHost): Awakening {
  if (config.clock === "virtual") return {};
  const entropy = new Uint8Array(32);
  thread.random(entropy);
  return { nowMs: Date.now(), entropy };
}

function openSnapshot({ files }: MachineStart, thread: ThreadHost): Snapshot {
  if (thread.openFile === undefined) throw new SnapshotError("there are no snapshots here");
  return readSnapshot(thread.openFile(files.snapshot as string, files.key));
}

/** A machine of the files named. What was read of them is given back at once: it is in the guest's memory now. */
async function bootFrom(
  { config, files }: MachineStart,
  thread: ThreadHost,
  newMachine: (config: MachineConfig) => ThreadMachine,
): Promise<ThreadMachine> {
  const own: ArrayBuffer[] = [];
  const open: Disposable[] = [];
  const bytesOf = async (source: FileSource): Promise<Uint8Array> => {
    if (typeof source !== "string") return source;
    const bytes = await thread.readFile(source);
    own.push(bytes.buffer);
    return bytes;
  };
  /** To be read when the machine is made, where that can be. */
  const later = async (source: FileSource): Promise<BootBytes> => {
    if (typeof source !== "string" || thread.openBootFile === undefined) return bytesOf(source);
    const file = thread.openBootFile(source);
    open.push(file);
    return file;
  };
  const { kernel, setupHeader, initrd } = files;
  try {
    return newMachine({
      ...config,
      ...(kernel !== undefined && { kernel: await later(kernel) }),
      ...(setupHeader !== undefined && { setupHeader: await bytesOf(setupHeader) }),
      ...(initrd !== undefined && { initrd: await later(initrd) }),
    });
  } finally {
    for (const buffer of own) buffer.transfer(0);
    for (const file of open) file[Symbol.dispose]();
  }
}

/** A reset, or a stop that the console asked for, after a kernel panic is that panic. */
function judge(outcome: MachineOutcome, host: ThreadMachineHost): MachineOutcome {
  const message = host.panic.message;
  const byPanic = outcome.reason === "reset" || (outcome.reason === "stopped" && host.panic.over);
  return byPanic && message !== undefined ? { reason: "panic", detail: message } : outcome;
}
