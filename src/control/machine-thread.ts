/**
 * A machine's life on its thread, whatever the machine is and whoever made the thread.
 *
 * Law: exactly one "refused" or "ended" is posted, and it is the last message.
 */
import { assertNever, parseValue, type Value } from "#base";
import { StateError } from "#devices";
import { ArenaError, MemoryObjectError } from "#memory";
import { readSnapshot, type SavedSnapshot, SnapshotError, type SnapshotSink } from "#snapshot";
import {
  BootError,
  type MachineConfig,
  type MachineHost,
  type MachineOutcome,
  type MachineStats,
  type Resume,
  type RunnableMachine,
} from "#vm";
import type { Awakening } from "./agent/index.ts";
import type { Order } from "./orders.ts";
import { type ThreadHost, ThreadMachineHost } from "./thread-machine-host.ts";
import type { FileSource, MachineStart } from "./thread-protocol.ts";
import type { VmStats } from "./vm-api.ts";

/** A machine that can be written down. */
export interface ThreadMachine extends RunnableMachine {
  snapshot?(owner: Value, sink: SnapshotSink): SavedSnapshot;
}

/** Throws BootError, StateError or SnapshotError where it cannot be made. */
export type NewMachine = (config: MachineConfig, host: MachineHost, resume?: Resume) => ThreadMachine;

const nothingYet: MachineStats = {
  guestInstructions: 0,
  tiers: [],
  regions: 0,
  wasmBytes: 0,
  tlbMisses: 0,
  exits: {},
  framesTouched: 0,
};

/** Resolved when the machine has ended; till then its thread hears nothing but the shared words, except while files are read. */
export async function runMachineThread(start: MachineStart, thread: ThreadHost, newMachine: NewMachine): Promise<void> {
  const begun = thread.now();
  let past = nothingYet;
  let machine: ThreadMachine | undefined;
  const stats = (): VmStats => ({
    ...sumStats(past, machine?.stats() ?? nothingYet),
    wallMs: (thread.now() - begun) / 1e6,
    ...(thread.peakRssBytes && { peakRssBytes: thread.peakRssBytes() }),
  });
  const host = new ThreadMachineHost(
    start,
    thread,
    () => thread.post({ type: "stats", stats: stats() }),
    (order) => carryOut(order, thread, machine),
  );

  for (let first = true; ; first = false) {
    const resumed = first && start.files.snapshot !== undefined;
    let outcome: MachineOutcome;
    try {
      const resume = resumed ? openSnapshot(start, thread) : undefined;
      machine = resume
        ? newMachine(start.config, host, resume)
        : await boot(start, thread, (config) => newMachine(config, host));
      thread.post({ type: "started", ...(resumed ? { resumed, awakening: awakening(start, thread) } : { resumed }) });
      outcome = judge(machine.run(), host);
    } catch (error) {
      const code = refusalOf(error);
      if (code !== undefined && machine === undefined)
        return thread.post({ type: "refused", code, message: (error as Error).message });
      outcome = { reason: "error", detail: code === undefined ? stackOf(error) : (error as Error).message };
    }
    host.flushReports();
    // A guest that resets without end never looks at the host itself.
    if (outcome.reason === "reset" && start.reboot && start.files.kernel !== undefined && !host.poll()) {
      past = sumStats(past, machine?.stats() ?? nothingYet);
      machine = undefined;
      continue;
    }
    const profile = machine?.profile?.();
    return thread.post({ type: "ended", outcome, stats: stats(), ...(profile !== undefined && { profile }) });
  }
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** What is wrong, where it is with the user's files and options and the message says which. */
function refusalOf(error: unknown): "boot" | "memory" | "snapshot" | undefined {
  if (error instanceof BootError) return "boot";
  if (error instanceof ArenaError) return "memory";
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

function openSnapshot({ files }: MachineStart, thread: ThreadHost): Resume {
  if (thread.openFile === undefined) throw new SnapshotError("there are no snapshots here");
  return readSnapshot(thread.openFile(files.snapshot as string)).resume;
}

function carryOut(order: Order, thread: ThreadHost, machine: ThreadMachine | undefined): unknown {
  switch (order.type) {
    case "snapshot": {
      if (machine?.snapshot === undefined || thread.createFile === undefined)
        throw new Error("this machine cannot be saved");
      const file = thread.createFile(order.path);
      try {
        const saved = machine.snapshot(parseValue(order.owner), file);
        file.finish();
        return saved;
      } catch (error) {
        file.abandon();
        throw error;
      }
    }
    default:
      return assertNever(order.type);
  }
}

/** A machine of the files named. What was read of them is given back at once: it is in the guest's memory now. */
async function boot(
  { config, files }: MachineStart,
  thread: ThreadHost,
  newMachine: (config: MachineConfig) => ThreadMachine,
): Promise<ThreadMachine> {
  const own: ArrayBuffer[] = [];
  const bytesOf = async (source: FileSource): Promise<Uint8Array> => {
    if (typeof source !== "string") return source;
    const bytes = await thread.readFile(source);
    own.push(bytes.buffer);
    return bytes;
  };
  const { kernel, setupHeader, initrd } = files;
  try {
    return newMachine({
      ...config,
      ...(kernel !== undefined && { kernel: await bytesOf(kernel) }),
      ...(setupHeader !== undefined && { setupHeader: await bytesOf(setupHeader) }),
      ...(initrd !== undefined && { initrd: await bytesOf(initrd) }),
    });
  } finally {
    for (const buffer of own) buffer.transfer(0);
  }
}

/** A reset, or a stop that the console asked for, after a kernel panic is that panic. */
function judge(outcome: MachineOutcome, host: ThreadMachineHost): MachineOutcome {
  const message = host.panic.message;
  const byPanic = outcome.reason === "reset" || (outcome.reason === "stopped" && host.panic.over);
  return byPanic && message !== undefined ? { reason: "panic", detail: message } : outcome;
}

function sumStats(a: MachineStats, b: MachineStats): MachineStats {
  const exits: Record<string, number> = { ...a.exits };
  for (const [reason, count] of Object.entries(b.exits)) exits[reason] = (exits[reason] ?? 0) + count;
  const names = [...new Set([...a.tiers, ...b.tiers].map((tier) => tier.name))];
  const tier = (name: string) => [...a.tiers, ...b.tiers].filter((each) => each.name === name);
  return {
    guestInstructions: a.guestInstructions + b.guestInstructions,
    tiers: names.map((name) => ({
      name,
      instructions: tier(name).reduce((sum, each) => sum + each.instructions, 0),
      ms: tier(name).reduce((sum, each) => sum + each.ms, 0),
    })),
    regions: a.regions + b.regions,
    wasmBytes: a.wasmBytes + b.wasmBytes,
    tlbMisses: a.tlbMisses + b.tlbMisses,
    exits,
    framesTouched: Math.max(a.framesTouched, b.framesTouched),
    ...(b.balloon && { balloon: b.balloon }),
  };
}
