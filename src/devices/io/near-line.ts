/**
 * A line to a service that is on the machine's thread itself: each message is answered when `send` returns, but for what the service
 * passes on to one beside it, on a thread, since that takes long.
 *
 *     device ── NearLine ── service                          machine's thread
 *                              └── Beside ── line ──▶ service                   I/O thread
 */
import type { LentFile } from "./lent-file.ts";
import { IoError, type IoLine, type IoRequest } from "./line.ts";
import type { IoService, ServicePort } from "./service.ts";

/** The way from a near service to the one beside it. What finds no room waits, in order. */
export interface Beside {
  send(message: Uint8Array): void;
  onMessage: (message: Uint8Array<ArrayBuffer>) => void;
}

/** A service that answers in less time than it takes to wake another thread for it. */
export interface NearService {
  /** The one on a thread. */
  readonly beside: IoRequest;
  /** Throws an Error for a person. */
  open(port: ServicePort, beside: Beside): IoService;
}

export class NearLine implements IoLine {
  readonly greeting = new Uint8Array(0);
  onMessage: (message: Uint8Array<ArrayBuffer>) => void = () => {};
  onRoom: () => void = () => {};
  readonly #near: NearService;
  readonly #line: IoLine;
  #service: IoService | undefined;
  #failure: IoError | undefined;
  #unsent: Uint8Array[] = [];
  /** What a restored device has sent before the service is open. */
  #early: Uint8Array<ArrayBuffer>[] = [];

  /** `line`: to the service beside. */
  constructor(near: NearService, line: IoLine) {
    this.#near = near;
    this.#line = line;
    line.onRoom = () => this.#sendUnsent();
  }

  /** To be called once. `arena`: as in `ServicePort`. Throws what the service says. */
  open(arena: Uint8Array): void {
    const port: ServicePort = {
      arena,
      send: (...parts) => this.onMessage(joined(parts)),
      congested: false,
      room: () => Promise.resolve(),
    };
    const line = this.#line;
    const beside: Beside = { send: (message) => this.#sendBeside(message), onMessage: () => {} };
    line.onMessage = (message) => beside.onMessage(message);
    this.#service = this.#near.open(port, beside);
    for (const message of this.#early.splice(0)) this.#deliver(this.#service, message);
  }

  send(...parts: readonly Uint8Array[]): boolean {
    if (this.#service === undefined) this.#early.push(joined(parts));
    else this.#deliver(this.#service, joined(parts));
    return true;
  }

  pause(): void {
    this.#line.pause();
  }

  resume(): void {
    this.#line.resume();
  }

  linger(): void {
    this.#line.linger();
  }

  borrow(file: number): LentFile | undefined {
    return this.#line.borrow(file);
  }

  /** Throws `IoError` when the service failed. */
  poll(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Requires: the service beside has ended. */
  close(): void {
    void this.#service?.close();
    this.#service = undefined;
  }

  #deliver(service: IoService, message: Uint8Array<ArrayBuffer>): void {
    if (this.#failure !== undefined) return;
    try {
      void service.receive(message);
    } catch (error) {
      this.#failure = new IoError(error instanceof Error ? error.message : String(error));
    }
  }

  #sendBeside(message: Uint8Array): void {
    if (this.#unsent.length > 0 || !this.#line.send(message)) this.#unsent.push(message);
  }

  #sendUnsent(): void {
    const waiting = this.#unsent;
    this.#unsent = [];
    for (const message of waiting) this.#sendBeside(message);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [first] = parts;
  if (parts.length === 1 && first?.buffer instanceof ArrayBuffer) return first as Uint8Array<ArrayBuffer>;
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
