/**
 * One page server, as a machine's host sees it: connected again and again, asked, and given up when it falls silent.
 *
 * Laws: every request is answered exactly once, with an answer or with `undefined` when the connection is lost. A server that does not
 * answer for `silenceMs`, though it was asked, is lost.
 */
import {
  FrameReader,
  frame,
  helloFrame,
  idBytes,
  type PageFrame,
  type PageKind,
  ProtocolError,
  pageKind,
  parseGreeting,
  proof,
  type Sign,
  sameBytes,
} from "./protocol.ts";

/** Where a page server listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export const addressText = ({ host, port }: ServerAddress): string => `${host}:${port}`;

/** A connection in the making or made. Its events come later than the call that caused them. */
export interface ServerSocket {
  send(bytes: Uint8Array): void;
  close(): void;
}

export interface SocketEvents {
  opened(): void;
  data(bytes: Uint8Array): void;
  /** It could not be made, or is no more. */
  closed(why: string): void;
}

/** What links ask of the host. */
export interface LinkHost {
  connect(address: ServerAddress, events: SocketEvents): ServerSocket;
  /** Calls `act` later; the result calls it off. */
  after(ms: number, act: () => void): () => void;
  random(target: Uint8Array): void;
  readonly sign: Sign;
}

export interface LinkOptions {
  readonly secret: string;
  readonly object: Uint8Array;
}

export interface LinkEvents {
  /** The server is there. `lost`: what it kept before is not. */
  up(lost: boolean): void;
  down(why: string): void;
  /** It could not be reached, or (`refused`) it is none that we can use; it is tried again. */
  failed(why: string, refused: boolean): void;
}

const silenceMs = 5000;
const pingMs = 1000;
const firstRetryMs = 50;
const longestRetryMs = 1000;

type Answer = (answer: PageFrame | undefined) => void;

export class ServerLink {
  readonly address: ServerAddress;
  readonly #options: LinkOptions;
  readonly #host: LinkHost;
  readonly #events: LinkEvents;
  readonly #open = new Map<number, Answer>();
  #socket: ServerSocket | undefined;
  #isUp = false;
  #instance: Uint8Array | undefined;
  #nextTag = 1;
  #retryMs = firstRetryMs;
  #callOff: () => void = () => {};
  #callOffWatch: () => void = () => {};
  #closed = false;
  #heard = false;

  constructor(address: ServerAddress, options: LinkOptions, host: LinkHost, events: LinkEvents) {
    this.address = address;
    this.#options = options;
    this.#host = host;
    this.#events = events;
    this.#connect();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Requests without an answer. */
  get inFlight(): number {
    return this.#open.size;
  }

  /** Requires: `isUp`. */
  ask(make: (tag: number) => Uint8Array, answer: Answer): void {
    const tag = this.#nextTag;
    this.#nextTag = (tag + 1) >>> 0 || 1;
    this.#open.set(tag, answer);
    this.#socket?.send(make(tag));
  }

  close(): void {
    this.#closed = true;
    this.#lose("");
  }

  #connect(): void {
    const reader = new FrameReader();
    let meeting: ((message: PageFrame) => void) | undefined;
    const socket = this.#host.connect(this.address, {
      opened: () => {},
      data: (bytes) => {
        this.#heard = true;
        try {
          for (const message of reader.read(bytes)) {
            if (this.#socket !== socket) return;
            if (this.#isUp) this.#answered(message);
            else if (meeting === undefined) meeting = this.#greeted(socket, message);
            else meeting(message);
          }
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          this.#lost(socket, error.message, true);
        }
      },
      closed: (why) => this.#lost(socket, why),
    });
    this.#socket = socket;
    this.#watch(socket);
  }

  /** Answers the server's greeting; gives what its next message is for. */
  #greeted(socket: ServerSocket, message: PageFrame): (message: PageFrame) => void {
    const greeting = parseGreeting(message);
    const { secret, object } = this.#options;
    const nonce = new Uint8Array(idBytes);
    this.#host.random(nonce);
    const hello = { object, nonce };
    const { sign } = this.#host;
    socket.send(helloFrame({ ...hello, proof: proof(sign, secret, "client", greeting, hello) }));
    return ({ kind, body }) => {
      if (kind === pageKind.refused) throw new ProtocolError(new TextDecoder().decode(body));
      if (kind !== pageKind.welcome || !sameBytes(proof(sign, secret, "server", greeting, hello), body))
        throw new ProtocolError("the page server does not know the secret");
      const lost = this.#instance !== undefined && !sameBytes(this.#instance, greeting.instance);
      this.#instance = greeting.instance.slice();
      this.#retryMs = firstRetryMs;
      this.#isUp = true;
      this.#events.up(lost);
    };
  }

  #answered(message: PageFrame): void {
    const answer = this.#open.get(message.tag);
    if (answer === undefined) throw new ProtocolError("an answer to nothing that was asked");
    this.#open.delete(message.tag);
    answer(message);
  }

  /** Asks now and then whether the server is there, and gives it up when nothing has come for long though something was asked. */
  #watch(socket: ServerSocket): void {
    let silentMs = 0;
    const look = (): void => {
      if (this.#socket !== socket) return;
      silentMs = this.#heard ? 0 : silentMs + pingMs;
      this.#heard = false;
      if (silentMs >= silenceMs) return this.#lost(socket, `no answer for ${silenceMs / 1000} s`);
      if (this.#isUp && this.#open.size === 0)
        this.ask(
          (tag) => frame(pageKind.ping, tag),
          () => {},
        );
      this.#callOffWatch = this.#host.after(pingMs, look);
    };
    this.#callOffWatch = this.#host.after(pingMs, look);
  }

  #lost(socket: ServerSocket, why: string, refused = false): void {
    if (this.#socket === socket) this.#lose(why, refused);
  }

  #lose(why: string, refused = false): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#socket?.close();
    this.#socket = undefined;
    this.#callOffWatch();
    this.#callOff();
    const open = [...this.#open.values()];
    this.#open.clear();
    if (!this.#closed) {
      this.#callOff = this.#host.after(this.#retryMs, () => this.#connect());
      this.#retryMs = Math.min(2 * this.#retryMs, longestRetryMs);
    }
    // Who is told knows that it is down when its requests come back.
    if (!this.#closed) {
      if (wasUp) this.#events.down(why);
      else this.#events.failed(why, refused);
    }
    for (const answer of open) answer(undefined);
  }
}

/** Whether an answer is of this kind. */
export const isKind = (answer: PageFrame | undefined, kind: PageKind): answer is PageFrame => answer?.kind === kind;
