/**
 * A page server: keeps pages of machines elsewhere for those that know its secret.
 *
 * Laws: before its proof a client reaches no page, and afterwards those of its object alone; what it can make the server keep is bounded
 * by the store. A message of bad form ends its connection. Pages of an object that nobody has come back for within `keepMs` are dropped.
 */

import type { PageStore } from "./page-store.ts";
import {
  checkOf,
  FrameReader,
  frame,
  type Greeting,
  greetingFrame,
  hex,
  idBytes,
  mostObjectPages,
  type PageFrame,
  ProtocolError,
  pageFrame,
  pageKind,
  parseHello,
  parsePage,
  proof,
  type Sign,
  sameBytes,
  words,
} from "./protocol.ts";

export interface PageServerOptions {
  readonly secret: string;
  readonly sign: Sign;
  readonly random: (target: Uint8Array) => void;
  readonly store: PageStore;
  readonly keepMs: number;
  /** Calls `act` later; the result calls it off. */
  readonly after: (ms: number, act: () => void) => () => void;
  /** For the person who runs the server. */
  readonly log: (line: string) => void;
}

/** A client's connection, as the server sees it. */
export interface ClientChannel {
  /** For people: where it comes from. */
  readonly name: string;
  send(bytes: Uint8Array): void;
  close(): void;
}

export class PageServer {
  readonly options: PageServerOptions;
  /** Objects without a client, and what calls off their end. */
  readonly #left = new Map<string, () => void>();
  readonly #clients = new Map<string, PageSession>();

  constructor(options: PageServerOptions) {
    this.options = options;
    for (const object of options.store.objects) this.#leave(object);
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  connected(channel: ClientChannel): PageSession {
    return new PageSession(this, channel);
  }

  /** A client has come back for its object: an older connection of it is none any more. */
  enter(object: string, session: PageSession): void {
    const before = this.#clients.get(object);
    this.#clients.set(object, session);
    before?.end();
    this.#left.get(object)?.();
    this.#left.delete(object);
  }

  leave(object: string, session: PageSession): void {
    if (this.#clients.get(object) !== session) return;
    this.#clients.delete(object);
    this.#leave(object);
  }

  #leave(object: string): void {
    const { after, keepMs, store, log } = this.options;
    const end = after(keepMs, () => {
      this.#left.delete(object);
      store.drop(object);
      log(`object ${object.slice(0, 8)}: nobody came back for its pages: dropped`);
    });
    this.#left.set(object, end);
  }
}

/** One connection. */
export class PageSession {
  readonly #server: PageServer;
  readonly #channel: ClientChannel;
  readonly #reader = new FrameReader();
  readonly #greeting: Greeting;
  /** Undefined until the client has shown that it knows the secret. */
  #object: string | undefined;
  #over = false;

  constructor(server: PageServer, channel: ClientChannel) {
    this.#server = server;
    this.#channel = channel;
    const nonce = new Uint8Array(idBytes);
    server.options.random(nonce);
    this.#greeting = { instance: server.options.store.instance, nonce };
    channel.send(greetingFrame(this.#greeting));
  }

  get isAdmitted(): boolean {
    return this.#object !== undefined;
  }

  receive(bytes: Uint8Array): void {
    if (this.#over) return;
    try {
      for (const message of this.#reader.read(bytes)) {
        if (this.#object === undefined) this.#admit(message);
        else this.#obey(this.#object, message);
        if (this.#over) return;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(error.message);
    }
  }

  /** The connection is closed, or is to be. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#object !== undefined) this.#server.leave(this.#object, this);
    this.#channel.close();
  }

  #refuse(why: string): void {
    this.#server.options.log(`${this.#channel.name}: ${why}`);
    this.#channel.send(frame(pageKind.refused, 0, [], new TextEncoder().encode(why)));
    this.end();
  }

  #admit(message: PageFrame): void {
    const { sign, secret, log } = this.#server.options;
    const hello = parseHello(message);
    const expected = proof(sign, secret, "client", this.#greeting, hello);
    if (!sameBytes(expected, hello.proof)) throw new ProtocolError("the client does not know the secret");
    this.#object = hex(hello.object);
    this.#channel.send(frame(pageKind.welcome, 0, [], proof(sign, secret, "server", this.#greeting, hello)));
    log(`${this.#channel.name}: object ${this.#object.slice(0, 8)}`);
    this.#server.enter(this.#object, this);
  }

  #obey(object: string, { kind, tag, body }: PageFrame): void {
    const { store } = this.#server.options;
    const answer = (answered: (typeof pageKind)["done" | "full" | "absent"]): void =>
      this.#channel.send(frame(answered, tag));
    switch (kind) {
      case pageKind.write: {
        const kept = parsePage(body);
        checkPages(kept.page, 1);
        if (checkOf(kept.bytes) !== kept.check) throw new ProtocolError("a page that was damaged on its way");
        return answer(store.write(object, kept.page, kept) ? pageKind.done : pageKind.full);
      }
      case pageKind.read: {
        const [page] = words(body, 1) as [number];
        checkPages(page, 1);
        const kept = store.read(object, page);
        if (kept === undefined) return answer(pageKind.absent);
        return this.#channel.send(pageFrame(pageKind.page, tag, page, kept));
      }
      case pageKind.punch: {
        const [first, count] = words(body, 2) as [number, number];
        checkPages(first, count);
        store.punch(object, first, count);
        return answer(pageKind.done);
      }
      case pageKind.drop:
        store.drop(object);
        return answer(pageKind.done);
      case pageKind.ping:
        return answer(pageKind.done);
      default:
        throw new ProtocolError(`a message of kind ${kind}, which no client sends`);
    }
  }
}

function checkPages(first: number, count: number): void {
  if (first + count > mostObjectPages) throw new ProtocolError(`page ${first}: no object has so many pages`);
}
