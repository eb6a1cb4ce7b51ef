/**
 * Sockets by way of a relay: what a page has for a host's. Protocol.ts has the words.
 *
 * The way to the relay is opened at the start, and again by the next who needs it when it has broken; what went over it is then
 * reset.
 */
import type { Ipv4 } from "../address.ts";
import {
  type HostAddress,
  type HostDatagrams,
  type HostListener,
  type HostSockets,
  type HostStream,
  type HostStreamUser,
  NetworkError,
  type OnDatagram,
} from "../host-sockets.ts";
import {
  addressBody,
  addressesOf,
  failures,
  parseAddress,
  parseRelay,
  parseWords,
  type RelayChannel,
  type RelayMessage,
  relayKind,
  relayMessage,
  relayVersion,
  wordsBody,
} from "./protocol.ts";

/** Credit goes back in pieces of this size. */
const creditStep = 64 * 1024;

/** Opens a way; `onMessage` and `onClose` are called from then on. Rejected with a `NetworkError`. */
export type OpenRelay = (
  onMessage: (message: Uint8Array) => void,
  onClose: (why: string) => void,
) => Promise<RelayChannel>;

export class RelaySockets implements HostSockets {
  readonly #open: OpenRelay;
  readonly #token: string;
  #channel: RelayChannel | undefined;
  /** The way that is being opened, or is open. */
  #opening: Promise<void> | undefined;
  #resolvers: readonly HostAddress[] = [];
  #nextId = 1;
  readonly #streams = new Map<number, RelayStream>();
  readonly #datagrams = new Map<number, OnDatagram>();
  readonly #questions = new Map<number, (addresses: readonly Ipv4[]) => void>();
  #greeted: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(open: OpenRelay, token: string) {
    this.#open = open;
    this.#token = token;
  }

  /** Resolves when the relay has let us in. Rejected with a `NetworkError` when it does not. */
  start(): Promise<void> {
    this.#opening ??= this.#begin();
    return this.#opening;
  }

  close(): void {
    this.#channel?.close();
    this.#lost("closed");
  }

  get resolvers(): readonly HostAddress[] {
    return this.#resolvers;
  }

  /** The relay knows its own, and guards them. */
  ownAddresses(): readonly Ipv4[] {
    return [];
  }

  connect(to: HostAddress, user: HostStreamUser): HostStream {
    const id = this.#nextId++;
    const stream = new RelayStream(user, {
      send: (kind, ...parts) => this.#send(relayMessage(relayKind[kind], id, ...parts)),
      over: () => void this.#streams.delete(id),
    });
    this.#streams.set(id, stream);
    this.#whenOpen(
      () => this.#send(relayMessage(relayKind.connect, id, addressBody(to))),
      () => stream.lost(),
    );
    return stream;
  }

  listen(): Promise<HostListener> {
    return Promise.reject(noPorts());
  }

  openDatagrams(onDatagram: OnDatagram): HostDatagrams {
    const id = this.#nextId++;
    let opened = false;
    const whenOpen = (then: () => void): void => this.#whenOpen(then, () => {});
    this.#datagrams.set(id, onDatagram);
    return {
      send: (bytes, to) =>
        whenOpen(() => {
          if (!this.#datagrams.has(id)) return;
          // A relay that was lost has forgotten the socket; its successor learns of it here.
          if (!opened || !this.#known.has(id)) this.#send(relayMessage(relayKind.open, id));
          opened = true;
          this.#known.add(id);
          this.#send(relayMessage(relayKind.datagram, id, addressBody(to), bytes));
        }),
      close: () => {
        this.#datagrams.delete(id);
        if (this.#known.delete(id)) this.#send(relayMessage(relayKind.reset, id));
      },
    };
  }

  bindDatagrams(): Promise<HostDatagrams> {
    return Promise.reject(noPorts());
  }

  resolve(name: string): Promise<readonly Ipv4[]> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#questions.set(id, resolve);
      const ask = (): void => this.#send(relayMessage(relayKind.resolve, id, new TextEncoder().encode(name)));
      this.#whenOpen(ask, () => this.#answer(id, []));
    });
  }

  /** Datagram sockets that the relay of now has. */
  readonly #known = new Set<number>();

  async #begin(): Promise<void> {
    const greeted = new Promise<void>((resolve, reject) => {
      this.#greeted = { resolve, reject };
    });
    try {
      this.#channel = await this.#open(
        (message) => this.#receive(message),
        (why) => this.#lost(why),
      );
      this.#send(relayMessage(relayKind.hello, relayVersion, new TextEncoder().encode(this.#token)));
    } catch (error) {
      this.#opening = undefined;
      greeted.catch(() => {});
      throw error;
    }
    return greeted;
  }

  #whenOpen(then: () => void, otherwise: () => void): void {
    this.start().then(then, otherwise);
  }

  #send(message: Uint8Array<ArrayBuffer>): void {
    this.#channel?.send(message);
  }

  #lost(why: string): void {
    this.#channel = undefined;
    this.#opening = undefined;
    this.#known.clear();
    this.#greeted?.reject(new NetworkError(`the relay hung up: ${why}`));
    this.#greeted = undefined;
    for (const stream of [...this.#streams.values()]) stream.lost();
    for (const id of [...this.#questions.keys()]) this.#answer(id, []);
  }

  #receive(bytes: Uint8Array): void {
    const message = parseRelay(bytes);
    if (message === undefined) return;
    const { kind, id, body } = message;
    switch (kind) {
      case relayKind.hello:
        this.#resolvers = resolversOf(body);
        this.#greeted?.resolve();
        this.#greeted = undefined;
        break;
      case relayKind.datagram: {
        const from = parseAddress(body);
        if (from !== undefined) this.#datagrams.get(id)?.(from.rest.slice(), from.at);
        break;
      }
      case relayKind.resolve:
        this.#answer(id, addressesOf(body));
        break;
      default:
        this.#streams.get(id)?.receive(message);
    }
  }

  #answer(id: number, addresses: readonly Ipv4[]): void {
    this.#questions.get(id)?.(addresses);
    this.#questions.delete(id);
  }
}

const noPorts = (): NetworkError =>
  new NetworkError("a port cannot be published through a relay: leave out publish, or run the machine in Node");

function resolversOf(body: Uint8Array): readonly HostAddress[] {
  const found: HostAddress[] = [];
  for (let next = parseAddress(body); next !== undefined; next = parseAddress(next.rest)) found.push(next.at);
  return found;
}

interface StreamWire {
  send(kind: keyof typeof relayKind, ...parts: readonly Uint8Array[]): void;
  over(): void;
}

class RelayStream implements HostStream {
  readonly #user: HostStreamUser;
  readonly #wire: StreamWire;
  #connected = false;
  #over = false;
  #paused = false;
  /** Came while it was paused: data, then perhaps ends. */
  readonly #held: RelayMessage[] = [];
  /** Bytes taken and not yet credited. */
  #taken = 0;
  buffered = 0;

  constructor(user: HostStreamUser, wire: StreamWire) {
    this.#user = user;
    this.#wire = wire;
  }

  write(bytes: Uint8Array): void {
    this.buffered += bytes.length;
    this.#wire.send("data", bytes);
  }

  end(): void {
    this.#wire.send("end");
  }

  reset(): void {
    if (this.#over) return;
    this.#finish();
    this.#wire.send("reset");
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    while (!this.#paused && !this.#over && this.#held.length > 0) this.#take(this.#held.shift() as RelayMessage);
  }

  /** The way to the relay has broken. */
  lost(): void {
    if (this.#over) return;
    this.#finish();
    if (this.#connected) this.#user.closed(true);
    else this.#user.failed("unreachable");
  }

  receive(message: RelayMessage): void {
    const { kind, body } = message;
    // Credits and resets do not wait behind data.
    if (kind === relayKind.credit) {
      this.buffered = Math.max(0, this.buffered - (parseWords(body)[0] ?? 0));
      this.#user.drained();
    } else if (kind === relayKind.reset) this.lost();
    else if (this.#paused) this.#held.push({ ...message, body: body.slice() });
    else this.#take(message);
  }

  #take({ kind, body }: RelayMessage): void {
    switch (kind) {
      case relayKind.connect:
        this.#connected = true;
        this.#user.connected();
        break;
      case relayKind.failed:
        this.#finish();
        this.#user.failed(failures[body[0] ?? 0] ?? "unreachable");
        break;
      case relayKind.data:
        this.#credit(body.length);
        this.#user.received(body);
        break;
      case relayKind.end:
        this.#user.ended();
        break;
      case relayKind.closed:
        this.#finish();
        this.#user.closed(false);
        break;
    }
  }

  #credit(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < creditStep) return;
    this.#wire.send("credit", wordsBody([this.#taken]));
    this.#taken = 0;
  }

  #finish(): void {
    this.#over = true;
    this.#held.length = 0;
    this.#wire.over();
  }
}
