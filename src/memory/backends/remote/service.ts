/** The I/O thread's half of remote memory: what the machine's thread asks for (line.ts), of page servers. */
import { head, parse, states, toMachine, toService } from "./line.ts";
import { type ReplicaOptions, Replicas } from "./replicas.ts";
import { addressText } from "./server-link.ts";

/** How the service answers the machine. */
export interface FarPort {
  send(...parts: readonly Uint8Array[]): void;
}

/** The page servers cannot be used: one line that says which, and why. */
export class RemoteMemoryError extends Error {
  override name = "RemoteMemoryError";
}

/** Pages on their way to the servers; the machine waits when there are more. */
const mostPending = 1024;
const openMs = 5000;
/** The servers keep what they are not told to drop for a while. */
const dropMs = 1000;

export class RemoteMemoryService {
  readonly #replicas: Replicas;
  readonly #port: FarPort;
  readonly #options: Omit<ReplicaOptions, "onEvent">;
  /** While it is being opened: told whether that went well. */
  #opened: ((whole: boolean) => void) | undefined;

  constructor(options: Omit<ReplicaOptions, "onEvent">, port: FarPort) {
    this.#port = port;
    this.#options = options;
    this.#replicas = new Replicas({
      ...options,
      onEvent: ({ state, text }) => {
        if (this.#opened === undefined)
          port.send(head(toMachine.event, states.indexOf(state)), new TextEncoder().encode(text));
        else if (state === "whole") this.#opened(true);
      },
      onRefused: () => this.#opened?.(false),
    });
  }

  /** Resolved when all servers are there. Rejected with `RemoteMemoryError` when one cannot be reached. */
  async open(): Promise<void> {
    const { servers, host } = this.#options;
    const whole = await new Promise<boolean>((done) => {
      const callOff = host.after(openMs, () => done(false));
      this.#opened = (whole) => {
        callOff();
        done(whole);
      };
    });
    this.#opened = undefined;
    if (whole) return;
    this.#replicas.close();
    const [why] = servers.flatMap((server, n) => {
      const failure = this.#replicas.failures[n];
      return failure === undefined ? [] : [`page server ${addressText(server)}: ${failure}`];
    });
    throw new RemoteMemoryError(why ?? "the page servers do not answer");
  }

  /** While a promise it gave is open, the machine's next message waits. */
  receive(message: Uint8Array): void | Promise<void> {
    const { kind, first, second, bytes } = parse(message);
    switch (kind) {
      case toService.write:
        this.#replicas.write(first, bytes);
        return this.#replicas.pending < mostPending ? undefined : this.#drained();
      case toService.read:
        return this.#replicas.read(first, (page, why) => {
          if (page !== undefined) this.#port.send(head(toMachine.page, first), page);
          else this.#port.send(head(toMachine.lost, first), new TextEncoder().encode(why));
        });
      case toService.punch:
        return this.#replicas.punch(first, second);
      default:
        return this.#replicas.flush(() => this.#port.send(head(toMachine.flushed)));
    }
  }

  async close(): Promise<void> {
    await new Promise<void>((done) => {
      const callOff = this.#options.host.after(dropMs, done);
      this.#replicas.drop(() => {
        callOff();
        done();
      });
    });
    this.#replicas.close();
  }

  /** There is room for more pages on their way. */
  #drained(): Promise<void> {
    return new Promise((done) => this.#replicas.whenBelow(mostPending / 2, done));
  }
}
