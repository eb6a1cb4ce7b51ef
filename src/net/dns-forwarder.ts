/**
 * The network's name server: it hands each question to the host's resolvers and the answer back, unread.
 *
 * A question has a socket of its own, so that its port cannot be guessed; the next resolver is asked too when the first
 * is slow. Law: at most `maxPending` questions are open, none longer than `lifetimeMs`.
 */
import type { NetClock } from "./clock.ts";
import type { HostAddress, HostDatagrams, HostSockets } from "./host-sockets.ts";

const maxPending = 256;
const lifetimeMs = 10_000;
const nextAfterMs = 1500;
const headerBytes = 12;
const serverFailure = 2;

interface Pending {
  readonly socket: HostDatagrams;
  cancel: () => void;
}

export class DnsForwarder {
  readonly #clock: NetClock;
  readonly #sockets: HostSockets;
  readonly #pending = new Set<Pending>();

  constructor(clock: NetClock, sockets: HostSockets) {
    this.#clock = clock;
    this.#sockets = sockets;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Asks, and gives the answer to `answer`, which is called once at most. */
  ask(question: Uint8Array, answer: (message: Uint8Array) => void): void {
    if (question.length < headerBytes) return;
    const { resolvers } = this.#sockets;
    if (resolvers.length === 0) return answer(failure(question));
    const [oldest] = this.#pending;
    if (this.#pending.size >= maxPending && oldest !== undefined) this.#end(oldest);
    const asked = question.slice();
    const known: HostAddress[] = [];
    const pending: Pending = {
      socket: this.#sockets.openDatagrams((message, from) => {
        const expected = known.some(({ address, port }) => address === from.address && port === from.port);
        if (!expected || message.length < headerBytes || message[0] !== asked[0] || message[1] !== asked[1]) return;
        this.#end(pending);
        answer(message);
      }),
      cancel: () => {},
    };
    this.#pending.add(pending);
    const begun = this.#clock.now();
    const tryNext = (): void => {
      const resolver = resolvers[known.length];
      if (resolver !== undefined) {
        known.push(resolver);
        pending.socket.send(asked, resolver);
      }
      const left = lifetimeMs - (this.#clock.now() - begun);
      if (left <= 0) this.#end(pending);
      else
        pending.cancel = this.#clock.after(
          Math.min(left, known.length < resolvers.length ? nextAfterMs : left),
          tryNext,
        );
    };
    tryNext();
  }

  clear(): void {
    for (const each of [...this.#pending]) this.#end(each);
  }

  #end(pending: Pending): void {
    pending.cancel();
    pending.socket.close();
    this.#pending.delete(pending);
  }
}

/** The question, answered by "the server cannot" (RFC 1035, 4.1.1). */
function failure(question: Uint8Array): Uint8Array {
  const message = question.slice();
  message[2] |= 0x80;
  message[3] = 0x80 | serverFailure;
  return message;
}
