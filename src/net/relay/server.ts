/**
 * A relay's end of one client: its messages become sockets of this host, as far as the policy lets them.
 *
 * The client is as hostile as a guest. Laws: what it may reach is the policy's; it has at most `mostStreams` streams and
 * `mostDatagramSockets`; what waits for it is bounded by its windows and by `mostWaiting`; a message of bad form, or before the
 * token, ends it.
 */
import type { Ipv4 } from "../address.ts";
import type { ConnectFailure, HostAddress, HostDatagrams, HostSockets, HostStream } from "../host-sockets.ts";
import {
  addressBody,
  failures,
  mostDatagramSockets,
  mostStreams,
  parseAddress,
  parseRelay,
  parseWords,
  type RelayChannel,
  type RelayMessage,
  relayKind,
  relayMessage,
  relayVersion,
  streamWindow,
  wordsBody,
} from "./protocol.ts";

/** Bytes on their way to a client that is slow: more is not read for it. */
const mostWaiting = 4 * 1024 * 1024;
const longestName = 253;
const mostQuestions = 64;

export interface RelayServerOptions {
  readonly sockets: HostSockets;
  readonly channel: RelayChannel;
  readonly authorize: (token: string) => boolean;
  /** Where a destination lies; undefined for one that is not to be reached. */
  readonly destination: (address: Ipv4, port: number) => HostAddress | undefined;
}

interface ServedStream {
  readonly stream: HostStream;
  /** Data sent and not credited. */
  unacknowledged: number;
  /** Data received and not credited: some of it has not left. */
  uncredited: number;
  paused: boolean;
}

export class RelayServer {
  readonly #options: RelayServerOptions;
  readonly #streams = new Map<number, ServedStream>();
  readonly #datagrams = new Map<number, HostDatagrams>();
  #questions = 0;
  #authorized = false;
  #over = false;

  constructor(options: RelayServerOptions) {
    this.#options = options;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  receive(bytes: Uint8Array): void {
    if (this.#over) return;
    const message = parseRelay(bytes);
    if (message === undefined || !this.#obey(message)) this.close();
  }

  /** What was sent has left: those that waited for it are read again. */
  drained(): void {
    for (const served of this.#streams.values()) this.#pace(served);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    for (const { stream } of this.#streams.values()) stream.reset();
    for (const socket of this.#datagrams.values()) socket.close();
    this.#streams.clear();
    this.#datagrams.clear();
    this.#options.channel.close();
  }

  /** False for what no client may say. */
  #obey({ kind, id, body }: RelayMessage): boolean {
    if (!this.#authorized) return kind === relayKind.hello && this.#greet(id, body);
    switch (kind) {
      case relayKind.connect:
        return this.#connect(id, body);
      case relayKind.data:
        return this.#data(id, body);
      case relayKind.credit:
        return this.#credit(id, body);
      case relayKind.end:
        this.#streams.get(id)?.stream.end();
        return true;
      case relayKind.reset:
        this.#reset(id);
        return true;
      case relayKind.open:
        return this.#open(id);
      case relayKind.datagram:
        return this.#datagram(id, body);
      case relayKind.resolve:
        return this.#resolve(id, body);
      default:
        return false;
    }
  }

  #greet(version: number, token: Uint8Array): boolean {
    if (version !== relayVersion || !this.#options.authorize(new TextDecoder().decode(token))) return false;
    this.#authorized = true;
    this.#send(relayKind.hello, relayVersion, ...this.#options.sockets.resolvers.map(addressBody));
    return true;
  }

  #connect(id: number, body: Uint8Array): boolean {
    const place = parseAddress(body);
    if (place === undefined || this.#streams.has(id)) return false;
    const fail = (why: ConnectFailure): boolean => {
      this.#streams.delete(id);
      this.#send(relayKind.failed, id, Uint8Array.of(failures.indexOf(why)));
      return true;
    };
    if (this.#streams.size >= mostStreams) return fail("unreachable");
    const to = this.#destination(place.at);
    if (to === undefined) return fail("prohibited");
    const stream = this.#options.sockets.connect(to, {
      connected: () => this.#send(relayKind.connect, id),
      failed: fail,
      received: (bytes) => {
        served.unacknowledged += bytes.length;
        this.#send(relayKind.data, id, bytes);
        this.#pace(served);
      },
      ended: () => this.#send(relayKind.end, id),
      drained: () => this.#giveCredit(id, served),
      closed: (broken) => {
        this.#streams.delete(id);
        this.#send(broken ? relayKind.reset : relayKind.closed, id);
      },
    });
    const served: ServedStream = { stream, unacknowledged: 0, uncredited: 0, paused: false };
    this.#streams.set(id, served);
    return true;
  }

  #data(id: number, body: Uint8Array): boolean {
    const served = this.#streams.get(id);
    // It was closed while this was on its way.
    if (served === undefined) return true;
    if (served.uncredited + body.length > 2 * streamWindow) return false;
    served.uncredited += body.length;
    served.stream.write(body.slice());
    this.#giveCredit(id, served);
    return true;
  }

  #giveCredit(id: number, served: ServedStream): void {
    const taken = served.uncredited - served.stream.buffered;
    if (taken <= 0) return;
    served.uncredited -= taken;
    this.#send(relayKind.credit, id, wordsBody([taken]));
  }

  #credit(id: number, body: Uint8Array): boolean {
    const [bytes] = parseWords(body);
    const served = this.#streams.get(id);
    if (bytes === undefined) return false;
    if (served === undefined) return true;
    served.unacknowledged = Math.max(0, served.unacknowledged - bytes);
    this.#pace(served);
    return true;
  }

  /** Reads on or waits, by what the client has taken. */
  #pace(served: ServedStream): void {
    const full = served.unacknowledged >= streamWindow || this.#options.channel.bufferedBytes > mostWaiting;
    if (full === served.paused) return;
    served.paused = full;
    if (full) served.stream.pause();
    else served.stream.resume();
  }

  #reset(id: number): void {
    const served = this.#streams.get(id);
    this.#streams.delete(id);
    served?.stream.reset();
    this.#datagrams.get(id)?.close();
    this.#datagrams.delete(id);
  }

  #open(id: number): boolean {
    if (this.#datagrams.has(id)) return false;
    // Datagrams may be lost; so may all of a socket's.
    if (this.#datagrams.size >= mostDatagramSockets) return true;
    const socket = this.#options.sockets.openDatagrams((bytes, from) => {
      if (this.#options.channel.bufferedBytes <= mostWaiting) {
        this.#send(relayKind.datagram, id, addressBody(from), bytes);
      }
    });
    this.#datagrams.set(id, socket);
    return true;
  }

  #datagram(id: number, body: Uint8Array): boolean {
    const place = parseAddress(body);
    if (place === undefined) return false;
    const to = this.#destination(place.at);
    if (to !== undefined) this.#datagrams.get(id)?.send(place.rest.slice(), to);
    return true;
  }

  #resolve(id: number, body: Uint8Array): boolean {
    if (body.length > longestName) return false;
    if (this.#questions >= mostQuestions) {
      this.#send(relayKind.resolve, id);
      return true;
    }
    this.#questions++;
    void this.#options.sockets
      .resolve(new TextDecoder().decode(body))
      .catch(() => [])
      .then((addresses) => {
        this.#questions--;
        this.#send(relayKind.resolve, id, wordsBody(addresses));
      });
    return true;
  }

  /** The resolvers that it was told of are reached wherever they are. */
  #destination(at: HostAddress): HostAddress | undefined {
    const isResolver = this.#options.sockets.resolvers.some(
      ({ address, port }) => address === at.address && port === at.port,
    );
    return isResolver ? at : this.#options.destination(at.address, at.port);
  }

  #send(kind: Parameters<typeof relayMessage>[0], id: number, ...parts: readonly Uint8Array[]): void {
    if (!this.#over) this.#options.channel.send(relayMessage(kind, id, ...parts));
  }
}
