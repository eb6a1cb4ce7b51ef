/**
 * Machines on worker threads: one that is started has a thread made for it, its forks live on the same one.
 *
 * Law: the thread ends when the last of its machines has ended, or is given up.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { type MachineMessage, type MachineStart, type MachineThread, type StartThread, words } from "#control";
import { threadFor } from "./waiting-thread.ts";

/** What a machine's thread is sent: one who is to be a fork, and where its messages go. */
export interface Beside {
  /** Of the order to fork. */
  readonly number: number;
  readonly start: MachineStart;
  readonly port: MessagePort;
}

/** Machines on worker threads that begin at `entry`. */
export function workerThread(entry: URL): StartThread {
  return (start: MachineStart): MachineThread => new SharedWorker(entry, start).first();
}

/** A machine on the thread, as the thread's end meets it. */
interface Resident {
  ended(error?: Error): void;
  received(message: MachineMessage): void;
  readonly inbox: Inbox;
  /** A fork's own; the first machine has the worker's. */
  readonly port?: MessagePort;
}

/**
 * What comes for an owner, one thing at a time: who waited for it has gone on before the next. Node keeps to that except at a thread's end, when it
 * hands over at once all that a busy owner has not heard yet.
 */
class Inbox {
  readonly #later: (() => void)[] = [];
  #isTaken = false;

  take(work: () => void): void {
    if (this.#isTaken) return void this.#later.push(work);
    this.#isTaken = true;
    this.#do(work);
  }

  #do(work: () => void): void {
    // Before Node's next event, but after all that it hands over at once.
    queueMicrotask(() => this.#goOn());
    work();
  }

  #goOn(): void {
    const work = this.#later.shift();
    if (work === undefined) this.#isTaken = false;
    else setImmediate(() => this.#do(work));
  }
}

class SharedWorker {
  readonly #worker: Worker;
  readonly #bell: Int32Array;
  readonly #residents = new Set<Resident>();

  constructor(entry: URL, start: MachineStart) {
    this.#bell = new Int32Array(start.words);
    this.#worker = threadFor(entry, start);
    this.#worker.on("error", (error) => this.#end(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on("exit", () => this.#end());
  }

  first(): MachineThread {
    return this.#settle(this.#worker);
  }

  #beside(start: MachineStart, number: number): MachineThread {
    const { port1: port, port2 } = new MessageChannel();
    this.#worker.postMessage({ number, start, port: port2 } satisfies Beside, [port2]);
    const ring = (): void => {
      Atomics.add(this.#bell, words.bell, 1);
      Atomics.notify(this.#bell, words.bell);
    };
    return { ...this.#settle(port, port), ring };
  }

  #settle(source: Worker | MessagePort, port?: MessagePort): MachineThread {
    const resident: Resident = { ended: () => {}, received: () => {}, inbox: new Inbox(), ...(port && { port }) };
    this.#residents.add(resident);
    source.on("message", (message: MachineMessage) => resident.inbox.take(() => resident.received(message)));
    return {
      onMessage: (receive) => {
        resident.received = receive;
      },
      onEnd: (receive) => {
        resident.ended = receive;
      },
      terminate: () => this.#leave(resident),
      startBeside: (start, number) => this.#beside(start, number),
    };
  }

  /** Others may live on the thread: then it is not waited for. */
  async #leave(resident: Resident): Promise<void> {
    if (!this.#residents.delete(resident)) return;
    resident.port?.close();
    if (this.#residents.size === 0) await this.#worker.terminate();
    resident.ended();
  }

  #end(error?: Error): void {
    for (const resident of this.#residents) {
      // What a port brings may come after the news of the thread's end.
      const { port, inbox } = resident;
      for (let last = port && receiveMessageOnPort(port); last; last = port && receiveMessageOnPort(port)) {
        const message = last.message as MachineMessage;
        inbox.take(() => resident.received(message));
      }
      inbox.take(() => resident.ended(error));
    }
  }
}
