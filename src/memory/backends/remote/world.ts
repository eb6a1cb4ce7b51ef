/**
 * Page servers and their network for tests, in one thread and in a time of their own: connections break, servers die, forget, and come back
 * when the test says so, or at random.
 */
import { assert, xxh64Low } from "#base";
import type { FarLine } from "./line.ts";
import { MemoryPageStore } from "./page-store.ts";
import type { Sign } from "./protocol.ts";
import { RemotePages } from "./remote-pages.ts";
import type { ReplicaOptions } from "./replicas.ts";
import { PageServer, type PageSession } from "./server.ts";
import type { LinkHost, ServerAddress, ServerSocket, SocketEvents } from "./server-link.ts";
import { RemoteMemoryService } from "./service.ts";

/** No HMAC, but it depends on all that it is given. */
export const testSign: Sign = (secret, ...parts) => {
  const words = new Uint32Array(8);
  const text = new TextEncoder().encode(secret);
  for (const n of words.keys())
    words[n] = [text, ...parts].reduce((sum, part, m) => Math.imul(sum + n + m, 31) ^ xxh64Low(part), n);
  return new Uint8Array(words.buffer);
};

/** 0 to `below` - 1, the same for a seed (Mulberry32). */
export function randomOf(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

interface Event {
  readonly at: number;
  readonly act: () => void;
}

export class World {
  static readonly secret = "swordfish";
  static readonly keepMs = 60_000;
  readonly servers: TestServer[];
  readonly random: (below: number) => number;
  readonly log: string[] = [];
  /** All that went over the wire, if kept. */
  readonly wire: Uint8Array[] | undefined;
  #now = 0;
  #events: Event[] = [];

  constructor(random: (below: number) => number, { servers = 2, mostPages = 10_000, keepWire = false } = {}) {
    this.random = random;
    this.servers = Array.from({ length: servers }, () => new TestServer(this, mostPages));
    this.wire = keepWire ? [] : undefined;
  }

  readonly host: LinkHost = {
    connect: (address, events) => this.#server(address).connect(events),
    after: (ms, act) => this.after(ms, act),
    random: (target) => void target.forEach((_, n) => (target[n] = this.random(256))),
    sign: testSign,
  };

  get now(): number {
    return this.#now;
  }

  after(ms: number, act: () => void): () => void {
    const event = { at: this.#now + ms, act };
    this.#events.push(event);
    return () => {
      this.#events = this.#events.filter((each) => each !== event);
    };
  }

  /** The next thing happens; what is due at one moment in the order it was made. */
  step(): void {
    const next = this.#events.reduce<Event | undefined>(
      (best, each) => (best && best.at <= each.at ? best : each),
      undefined,
    );
    if (next === undefined) throw new Error("nothing will ever happen");
    this.#events = this.#events.filter((each) => each !== next);
    this.#now = Math.max(this.#now, next.at);
    next.act();
  }

  until(done: () => boolean, most = 200_000): void {
    for (let n = 0; !done(); n++) {
      if (n === most) throw new Error("it does not come to an end");
      this.step();
    }
  }

  run(ms: number): void {
    let over = false;
    this.after(ms, () => {
      over = true;
    });
    this.until(() => over);
  }

  /** A remote memory service of these servers, and the machine's line to it. */
  service(secret = World.secret): { readonly service: RemoteMemoryService; readonly line: FarLine } {
    const inbox: Uint8Array[] = [];
    const joined = ([first = new Uint8Array(0), second = new Uint8Array(0)]: readonly Uint8Array[]): Uint8Array => {
      const whole = new Uint8Array(first.length + second.length);
      whole.set(first);
      whole.set(second, first.length);
      return whole;
    };
    const service = new RemoteMemoryService(this.replicaOptions(secret), {
      send: (...parts) => void inbox.push(joined(parts)),
    });
    const line: FarLine = {
      onMessage: () => {},
      send: (...parts) => {
        // A promise is kept by the event loop, which does not turn here.
        assert(service.receive(joined(parts)) === undefined, "a test's pages are few");
        return true;
      },
      wait: () => {
        if (inbox.length === 0) this.step();
        for (const message of inbox.splice(0)) line.onMessage(message);
      },
    };
    return { service, line };
  }

  /** Pages on these servers, which are there. */
  pages(pageCount: number): RemotePages {
    const { line } = this.service();
    this.run(100);
    return new RemotePages(pageCount, line, () => {});
  }

  /** Of an object that no other one is. */
  replicaOptions(secret = World.secret): Omit<ReplicaOptions, "onEvent"> {
    return {
      servers: this.servers.map((_, port) => ({ host: "test", port })),
      secret,
      object: new Uint8Array(16).map(() => this.random(256)),
      host: this.host,
    };
  }

  #server({ port }: ServerAddress): TestServer {
    return this.servers[port] as TestServer;
  }
}

/** Milliseconds that bytes are on their way, at most. */
const mostDelay = 3;

export class TestServer {
  readonly #world: World;
  readonly #mostPages: number;
  #server: PageServer | undefined;
  readonly #connections = new Set<() => void>();
  #store: MemoryPageStore;
  frozen = false;
  readonly #heard: (() => void)[] = [];

  constructor(world: World, mostPages: number) {
    this.#world = world;
    this.#mostPages = mostPages;
    this.#store = this.#newStore();
    this.start();
  }

  get pagesHeld(): number {
    return this.#store.pagesHeld;
  }

  get isUp(): boolean {
    return this.#server !== undefined;
  }

  /** `mostPages`: less room than before; requires that it forgot. */
  start(mostPages?: number): void {
    if (mostPages !== undefined) this.#store = this.#newStore(mostPages);
    const { host, log } = this.#world;
    this.#server = new PageServer({
      secret: World.secret,
      sign: host.sign,
      random: host.random,
      store: this.#store,
      keepMs: World.keepMs,
      after: (ms, act) => this.#world.after(ms, act),
      log: (line) => void log.push(line),
    });
  }

  /** Its connections break; `forgets`: and what it kept is gone. */
  stop(forgets: boolean): void {
    this.#server = undefined;
    this.cut();
    if (forgets) this.#store = this.#newStore();
  }

  /** Connections break. */
  cut(): void {
    for (const end of [...this.#connections]) end();
  }

  /** While it is frozen it hears nothing. */
  #deliver(act: () => void): void {
    if (this.frozen) this.#heard.push(act);
    else act();
  }

  thaw(): void {
    this.frozen = false;
    for (const act of this.#heard.splice(0)) act();
  }

  #newStore(mostPages = this.#mostPages): MemoryPageStore {
    const instance = new Uint8Array(16).map(() => this.#world.random(256));
    return new MemoryPageStore(instance, mostPages);
  }

  connect(client: SocketEvents): ServerSocket {
    const world = this.#world;
    let open = true;
    let session: PageSession | undefined;
    // Bytes keep their order, each way.
    const arrivals = { up: 0, down: 0 };
    const travel = (way: keyof typeof arrivals, act: () => void): void => {
      arrivals[way] = Math.max(arrivals[way], world.now + world.random(mostDelay + 1));
      world.after(arrivals[way] - world.now, () => {
        if (open) act();
      });
    };
    const end = (): void => {
      if (!open) return;
      open = false;
      this.#connections.delete(end);
      session?.end();
      world.after(0, () => client.closed("broken"));
    };
    this.#connections.add(end);
    world.after(1, () => {
      if (this.#server === undefined) return end();
      client.opened();
      session = this.#server.connected({
        name: "client",
        send: (bytes) => {
          world.wire?.push(bytes.slice());
          travel("down", () => client.data(bytes));
        },
        close: () => travel("down", end),
      });
    });
    return {
      send: (bytes) => {
        world.wire?.push(bytes.slice());
        travel("up", () => this.#deliver(() => session?.receive(bytes)));
      },
      close: () => {
        open = false;
        this.#connections.delete(end);
        session?.end();
      },
    };
  }
}
