/**
 * A machine's life on its thread, whatever the machine is and whoever made the thread.
 *
 * Law: exactly one "refused" or "ended" is posted, and it is the last message.
 */
import { ArenaError } from "#memory";
import {
  BootError,
  type MachineConfig,
  type MachineHost,
  type MachineOutcome,
  type MachineStats,
  type RunnableMachine,
} from "#vm";
import { type ThreadHost, ThreadMachineHost } from "./thread-machine-host.ts";
import type { FileSource, MachineStart } from "./thread-protocol.ts";
import type { VmStats } from "./vm-api.ts";

export type NewMachine = (config: MachineConfig, host: MachineHost) => RunnableMachine;

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
  let machine: RunnableMachine | undefined;
  const stats = (): VmStats => ({
    ...sumStats(past, machine?.stats() ?? nothingYet),
    wallMs: (thread.now() - begun) / 1e6,
    ...(thread.peakRssBytes && { peakRssBytes: thread.peakRssBytes() }),
  });
  const host = new ThreadMachineHost(start, thread, () => thread.post({ type: "stats", stats: stats() }));

  for (;;) {
    let outcome: MachineOutcome;
    try {
      machine = await boot(start, thread, (config) => newMachine(config, host));
      thread.post({ type: "started" });
      outcome = judge(machine.run(), host);
    } catch (error) {
      if (error instanceof BootError) return thread.post({ type: "refused", code: "boot", message: error.message });
      if (error instanceof ArenaError) return thread.post({ type: "refused", code: "memory", message: error.message });
      outcome = { reason: "error", detail: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    host.flushReports();
    // A guest that resets without end never looks at the host itself.
    if (outcome.reason === "reset" && start.reboot && !host.poll()) {
      past = sumStats(past, machine?.stats() ?? nothingYet);
      machine = undefined;
      continue;
    }
    const profile = machine?.profile?.();
    return thread.post({ type: "ended", outcome, stats: stats(), ...(profile !== undefined && { profile }) });
  }
}

/** A machine of the files named. What was read of them is given back at once: it is in the guest's memory now. */
async function boot(
  { config, files }: MachineStart,
  thread: ThreadHost,
  newMachine: (config: MachineConfig) => RunnableMachine,
): Promise<RunnableMachine> {
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
      kernel: await bytesOf(kernel),
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
  };
}
