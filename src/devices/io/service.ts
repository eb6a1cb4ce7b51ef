/** What lives on an I/O thread: services, and the loop that runs those of one thread. */
import { MessageReceiver, MessageSender } from "#base";
import { frameKind, type IoLineStart } from "./line.ts";

/** A service's way to its device. */
export interface ServicePort {
  /** The arena: guest frames at the addresses that messages carry. Its buffer does not change. */
  readonly arena: Uint8Array;
  /** Sends the parts as one message, which is the receiver's to keep. What finds no room waits here, in order; who sends streams looks at `congested` first. */
  send(...parts: readonly Uint8Array[]): void;
  /** Whether something waits for room. */
  readonly congested: boolean;
  /** Resolves when nothing waits any more. */
  room(): Promise<void>;
}

export interface IoService {
  /** Told to the device before all else. */
  readonly greeting?: Uint8Array;
  /** A message of the device. While a promise it gave is open, no other one is delivered; a rejection is the service's end. */
  receive(message: Uint8Array<ArrayBuffer>): void | Promise<void>;
  /** True while nothing is on its way but messages of the device: then the thread may sleep until one comes. */
  readonly isStill?: boolean;
  /** The machine has ended: what was promised is made good, what was opened is closed. */
  close(): void | Promise<void>;
}

/** Opens a service. What it throws is told to the person who starts the machine: its message says what is wrong with what. */
export type OpenService = (config: unknown, port: ServicePort) => IoService | Promise<IoService>;

/** All that an I/O thread is given. */
export interface IoThreadSetup {
  readonly memory: WebAssembly.Memory;
  /** i32 words, `ioWords`. */
  readonly words: SharedArrayBuffer;
  readonly lines: readonly IoLineStart[];
  /** A word of the arena and bits to set in it: the machine's vCPU leaves translated code, so that the machine looks. */
  readonly event: { readonly index: number; readonly bits: number };
}

export const ioWords = {
  /** Incremented by the machine when there is something to look at; the thread sleeps on it. */
  bell: 0,
  /** 1: the machine has ended. */
  closing: 1,
  /** 1: all services are closed. The machine sleeps on it. */
  closed: 2,
  /** 1: the machine looks at its lines by itself for a moment, and need not be woken. */
  watching: 3,
  count: 4,
} as const;

export interface IoThreadHost {
  open(service: string): OpenService | Promise<OpenService>;
  /** Wakes the machine's thread. */
  ringMachine(): void;
  /** Resolves after the thread's other events have had their turn. */
  otherEvents(): Promise<void>;
}

/** Messages of a line in one go. */
const messagesInTurn = 64;
/** It looks up now and then, whatever happens. */
const longestSleepMs = 1000;

/** Runs the services until the machine ends. Never rejects: what fails is told over the lines. */
export async function runIoThread(setup: IoThreadSetup, host: IoThreadHost): Promise<void> {
  const words = new Int32Array(setup.words);
  const arenaWords = new Int32Array(setup.memory.buffer);
  const arena = new Uint8Array(setup.memory.buffer);
  const wakeMachine = (): void => {
    if (Atomics.load(words, ioWords.watching) !== 0) return;
    Atomics.or(arenaWords, setup.event.index, setup.event.bits);
    host.ringMachine();
  };
  const lookAgain = (): void => {
    Atomics.add(words, ioWords.bell, 1);
    Atomics.notify(words, ioWords.bell);
  };
  const lines = setup.lines.map((start) => new ServiceLine(start, arena, wakeMachine, lookAgain));
  for (const line of lines) await line.open(host);
  while (Atomics.load(words, ioWords.closing) === 0) {
    const seen = Atomics.load(words, ioWords.bell);
    let more = false;
    for (const line of lines) more = line.turn() || more;
    if (more) await host.otherEvents();
    else if (lines.every((line) => line.isStill)) Atomics.wait(words, ioWords.bell, seen, longestSleepMs);
    else await sleep(words, seen);
  }
  await Promise.allSettled(lines.map((line) => line.close()));
  Atomics.store(words, ioWords.closed, 1);
  Atomics.notify(words, ioWords.closed);
}

async function sleep(words: Int32Array, seen: number): Promise<void> {
  const waiting = Atomics.waitAsync(words, ioWords.bell, seen, longestSleepMs);
  if (waiting.async) await waiting.value;
}

/** A service and its end of the line. */
class ServiceLine implements ServicePort {
  readonly arena: Uint8Array;
  readonly #start: IoLineStart;
  readonly #sender: MessageSender;
  readonly #receiver: MessageReceiver;
  readonly #lookAgain: () => void;
  #service: IoService | undefined;
  /** Gets no messages any more. It is closed with the machine: until then the device may use files that it lends. */
  #failed: IoService | undefined;
  /** `receive` gave a promise. */
  #busy = false;
  #waiting: Uint8Array[] = [];
  #roomWaiters: (() => void)[] = [];

  constructor(start: IoLineStart, arena: Uint8Array, wakeMachine: () => void, lookAgain: () => void) {
    this.#lookAgain = lookAgain;
    this.arena = arena;
    this.#start = start;
    this.#sender = new MessageSender(start.toMachine, wakeMachine);
    this.#receiver = new MessageReceiver(start.toService, wakeMachine);
  }

  async open(host: IoThreadHost): Promise<void> {
    try {
      const open = await host.open(this.#start.service);
      const service = await open(this.#start.config, this);
      this.#frame(frameKind.opened, service.greeting ?? new Uint8Array(0));
      this.#service = service;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Delivers and sends what waits; true when there is more to do at once. */
  turn(): boolean {
    this.#sendWaiting();
    for (let n = 0; n < messagesInTurn; n++) {
      if (this.#service === undefined || this.#busy) return false;
      const message = this.#receiver.receive();
      if (message === undefined) return false;
      this.#deliver(this.#service, message);
    }
    return true;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.#frame(frameKind.data, ...parts);
  }

  /** A service says so. One that has failed may have something on its way. */
  get isStill(): boolean {
    return this.#service?.isStill ?? false;
  }

  get congested(): boolean {
    return this.#waiting.length > 0;
  }

  room(): Promise<void> {
    if (!this.congested) return Promise.resolve();
    return new Promise((resolve) => void this.#roomWaiters.push(resolve));
  }

  async close(): Promise<void> {
    const service = this.#service ?? this.#failed;
    this.#service = undefined;
    await service?.close();
  }

  #deliver(service: IoService, message: Uint8Array<ArrayBuffer>): void {
    try {
      const result = service.receive(message);
      if (!(result instanceof Promise)) return;
      this.#busy = true;
      result.then(
        () => {
          this.#busy = false;
          this.#lookAgain();
        },
        (error: unknown) => this.#fail(error),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failed = this.#service;
    this.#service = undefined;
    this.#frame(frameKind.failed, new TextEncoder().encode(error instanceof Error ? error.message : String(error)));
  }

  #frame(kind: number, ...parts: readonly Uint8Array[]): void {
    const head = Uint8Array.of(kind);
    if (this.#waiting.length === 0 && this.#sender.send(head, ...parts)) return;
    const whole = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
    whole[0] = kind;
    let at = 1;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#waiting.push(whole);
  }

  #sendWaiting(): void {
    if (this.#waiting.length === 0) return;
    let sent = 0;
    while (sent < this.#waiting.length && this.#sender.send(this.#waiting[sent] as Uint8Array)) sent++;
    this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length === 0) for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}
