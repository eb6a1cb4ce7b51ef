/**
 * The machine's I/O threads, one for each kind of service its devices use: started, opened, looked at, closed. And the services that
 * the host has on the machine's thread itself.
 *
 * Law: after `close` no service touches guest memory, and what the guest was told is written has been written.
 */
import { IoError, type IoRequest, ioWords, MachineLine, NearLine, type NearService } from "#devices";
import { Event, type Vcpu } from "#vcpu";
import { BootError } from "./boot/index.ts";
import type { MachineHost } from "./machine-host.ts";

/** A disk or a share that does not answer within this time is not there. */
const openTimeoutMs = 30_000;
const closeTimeoutMs = 30_000;

interface IoThread {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly lines: MachineLine[];
}

export class IoThreads {
  readonly #host: MachineHost;
  readonly #deterministic: boolean;
  readonly #threads = new Map<string, IoThread>();
  readonly #near: NearLine[] = [];

  /** `deterministic`: the machine's run is to depend on its input alone. */
  constructor(host: MachineHost, deterministic: boolean) {
    this.#host = host;
    this.#deterministic = deterministic;
  }

  /** A line to a service, to be used when `start` has returned. Throws BootError where the machine must not have one. */
  line(request: IoRequest): MachineLine | NearLine {
    if (this.#deterministic)
      throw new BootError(
        `${request.service}: not with --clock virtual, since when the host answers is not repeatable`,
      );
    const near = this.#nearService(request);
    if (near === undefined) return this.#threadLine(request);
    const line = new NearLine(near, this.#threadLine(near.beside));
    this.#near.push(line);
    return line;
  }

  #nearService(request: IoRequest): NearService | undefined {
    try {
      return this.#host.nearService?.(request);
    } catch (error) {
      throw bootError(error);
    }
  }

  #threadLine(request: IoRequest): MachineLine {
    let thread = this.#threads.get(request.service);
    if (thread === undefined) {
      thread = { words: new Int32Array(new SharedArrayBuffer(4 * ioWords.count)), lines: [] };
      this.#threads.set(request.service, thread);
    }
    const { words } = thread;
    const waking = {
      wakeService: () => ring(words),
      watch: (watching: boolean) => void Atomics.store(words, ioWords.watching, watching ? 1 : 0),
      now: () => this.#host.now(),
    };
    const line = new MachineLine(request, waking, this.#host.sharedFiles);
    thread.lines.push(line);
    return line;
  }

  /** Starts the threads; returns when all services are open. Throws BootError when one cannot be. */
  start(memory: WebAssembly.Memory, vcpu: Vcpu): void {
    if (this.#threads.size === 0) return;
    const { startIo } = this.#host;
    if (startIo === undefined) throw new BootError("this host has no thread for files and networks");
    for (const { words, lines } of this.#threads.values()) {
      startIo.call(this.#host, {
        memory,
        words: words.buffer,
        lines: lines.map((line) => line.start),
        event: { index: vcpu.wordOf("EVENTS"), bits: Event.host },
      });
    }
    this.#waitUntilOpen();
    this.#openNear(new Uint8Array(memory.buffer));
  }

  #openNear(arena: Uint8Array): void {
    try {
      for (const line of this.#near) line.open(arena);
    } catch (error) {
      this.close();
      throw bootError(error);
    }
  }

  /** Hands out what has come. Throws `IoError` when a service failed. */
  poll(): void {
    for (const { lines } of this.#threads.values()) for (const line of lines) line.poll();
    for (const line of this.#near) line.poll();
  }

  /** Whether something has come that was not handed out yet. */
  get hasWork(): boolean {
    for (const { lines } of this.#threads.values()) if (lines.some((line) => line.hasWork)) return true;
    return false;
  }

  close(): void {
    for (const { words } of this.#threads.values()) {
      Atomics.store(words, ioWords.closing, 1);
      ring(words);
    }
    for (const { words } of this.#threads.values()) Atomics.wait(words, ioWords.closed, 0, closeTimeoutMs);
    this.#threads.clear();
    for (const line of this.#near.splice(0)) line.close();
  }

  #waitUntilOpen(): void {
    const deadline = this.#host.now() + openTimeoutMs * 1e6;
    const lines = [...this.#threads.values()].flatMap((thread) => thread.lines);
    try {
      for (;;) {
        const stopped = this.#host.poll();
        this.poll();
        const waiting = lines.find((line) => !line.isOpen);
        if (waiting === undefined) return;
        if (stopped) throw new IoError("stopped before it was ready");
        if (this.#host.now() > deadline)
          throw new IoError(`${waiting.start.service}: no answer for ${openTimeoutMs / 1000} s`);
        this.#host.wait(deadline);
      }
    } catch (error) {
      this.close();
      throw error instanceof IoError ? new BootError(error.message) : error;
    }
  }
}

function ring(words: Int32Array): void {
  Atomics.add(words, ioWords.bell, 1);
  Atomics.notify(words, ioWords.bell);
}

function bootError(error: unknown): BootError {
  return new BootError(error instanceof Error ? error.message : String(error));
}
