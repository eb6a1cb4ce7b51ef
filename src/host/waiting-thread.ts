/**
 * Threads of machines that were begun before it is known for which: each loads what it needs, which takes longer than all that its
 * machine's owner does meanwhile, and waits to be told. The command begins one as its first work (bin/memvisor.js).
 *
 * Law: one that waits keeps no process alive, and one that failed while it waited is nobody's.
 */
import { type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { MachineStart } from "#control";
import { crypto } from "./late.ts";

/** What a machine's thread makes lives for a moment or for good: collecting more often costs nothing and saves 20 MiB. */
const maxYoungGenerationSizeMb = 8;
/** More than a machine wants until it has run its first command. */
const firstRandomBytes = 1024;

/** What such a thread is told. */
export interface StartMessage {
  readonly start: MachineStart;
  /** Random bytes for nobody else: a thread that draws its own has to load node:crypto first. */
  readonly random: Uint8Array;
}

interface Waiting {
  readonly entry: string;
  readonly worker: Worker;
  /** A word that is 1 when the thread has been told. */
  readonly told: Int32Array<SharedArrayBuffer>;
}

const waiting = new Set<Waiting>();

/** Begins a thread that waits, at that module. */
export function beginThread(entry: URL): void {
  const thread = begin(entry);
  waiting.add(thread);
  thread.worker.unref();
  thread.worker.on("error", () => waiting.delete(thread));
}

/** Ends those that wait. */
export async function endWaiting(): Promise<void> {
  const threads = [...waiting];
  waiting.clear();
  await Promise.all(threads.map(({ worker }) => worker.terminate()));
}

/** A thread that makes this machine: one that waits, or a new one. */
export function threadFor(entry: URL, start: MachineStart): Worker {
  const thread = [...waiting].find((each) => each.entry === entry.href) ?? begin(entry);
  const { worker, told } = thread;
  waiting.delete(thread);
  worker.ref();
  worker.postMessage({ start, random: crypto().randomBytes(firstRandomBytes) } satisfies StartMessage);
  Atomics.store(told, 0, 1);
  Atomics.notify(told, 0);
  return worker;
}

/** What the thread whose owner listens at `port` is told, waited for. `told`: its `workerData`. */
export function awaitStart(port: MessagePort, told: Int32Array<SharedArrayBuffer>): StartMessage {
  Atomics.wait(told, 0, 0);
  return receiveMessageOnPort(port)?.message as StartMessage;
}

function begin(entry: URL): Waiting {
  const told = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(entry, {
    workerData: told,
    name: "memvisor machine",
    resourceLimits: { maxYoungGenerationSizeMb },
  });
  return { entry: entry.href, worker, told };
}
