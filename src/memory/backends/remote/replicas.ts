/**
 * Pages on two page servers: each has all of them while both are there, and either is enough.
 *
 * A page that is written is held here until every server that is there has it; `pending` counts these. A server that comes back is given
 * what it lacks. Laws: a page is in one of three places: held here, on a server that is said to have this version, or lost, which is
 * told by whoever reads it. A page that is read is the one that was last written, by its version and its check; else the other
 * server is asked.
 */
import {
  checkOf,
  frame,
  type KeptPage,
  mostObjectPages,
  pageFrame,
  pageKind,
  parsePage,
  type Sign,
} from "./protocol.ts";
import { addressText, isKind, type LinkHost, type ServerAddress, ServerLink } from "./server-link.ts";

export interface ReplicaOptions {
  readonly servers: readonly ServerAddress[];
  readonly secret: string;
  /** 16 bytes that no other object has. */
  readonly object: Uint8Array;
  readonly host: LinkHost & { readonly sign: Sign };
  /** Servers came or went: a line for the person who runs the machine. */
  readonly onEvent: (event: ReplicaEvent) => void;
  /** Server `n` is none that can be used: `failures` says why. */
  readonly onRefused?: (n: number) => void;
}

/** whole: all servers have all pages. degraded: not all, but some server is there. gone: none is. */
export interface ReplicaEvent {
  readonly state: "whole" | "degraded" | "gone";
  readonly text: string;
}

/** The bytes, or why they are not to be had. */
export type ReadDone = (bytes: Uint8Array | undefined, why: string) => void;

/** On its way to the servers. */
interface Pending extends KeptPage {
  /** Bits of servers that have been asked, and of those that have it. */
  asked: number;
  held: number;
}

/** Copies on their way to a server that lacks pages. */
const copiesAtOnce = 32;
const fullRetryMs = 1000;

export class Replicas {
  readonly #options: ReplicaOptions;
  readonly #links: readonly ServerLink[];
  readonly #pending = new Map<number, Pending>();
  #versions = new Uint32Array(1024);
  #checks = new Uint32Array(1024);
  /** Of each page: bits of the servers that have its version. */
  #holders = new Uint8Array(1024);
  /** Reads for which no server is there that has the page. */
  #waiting: { readonly page: number; readonly done: ReadDone }[] = [];
  /** To be called when no more than so many pages are pending. */
  #drains: { readonly most: number; readonly done: () => void }[] = [];
  /** Of each server: pages that it lacks are looked for from here on; undefined: it has all. */
  readonly #cursors: (number | undefined)[];
  readonly #copies: number[];
  /** Servers that some pages could not be copied to, which is tried again. */
  readonly #retries = new Set<number>();
  #state: ReplicaEvent["state"] = "gone";
  /** The last line, which is not told twice in a row. */
  #told = "";
  #closed = false;
  /** Why a server is not there, that never was. */
  readonly failures: (string | undefined)[];

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#cursors = options.servers.map(() => undefined);
    this.#copies = options.servers.map(() => 0);
    this.failures = options.servers.map(() => "no answer");
    this.#links = options.servers.map(
      (address, n) =>
        new ServerLink(address, options, options.host, {
          up: (lost) => this.#up(n, lost),
          down: (why) => this.#down(n, why),
          failed: (why, refused) => {
            this.failures[n] = why;
            if (refused) options.onRefused?.(n);
          },
        }),
    );
  }

  /** Pages that are not yet safe with every server that is there. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Servers that are there. */
  get serversUp(): number {
    return this.#links.filter((link) => link.isUp).length;
  }

  /** Takes `bytes`. */
  write(page: number, bytes: Uint8Array): void {
    this.#reach(page);
    const version = (this.#versions[page] + 1) >>> 0;
    const pending: Pending = { version, check: checkOf(bytes), bytes, asked: 0, held: 0 };
    this.#versions[page] = version;
    this.#checks[page] = pending.check;
    this.#holders[page] = 0;
    this.#pending.set(page, pending);
    for (const n of this.#links.keys()) this.#send(n, page, pending);
  }

  read(page: number, done: ReadDone): void {
    const pending = this.#pending.get(page);
    if (pending !== undefined) return done(pending.bytes, "");
    const holders = this.#holders[page] ?? 0;
    if (holders === 0) return done(undefined, `page ${page} is lost: no page server has it`);
    const from = this.#nearest(holders);
    if (from === undefined) return void this.#waiting.push({ page, done });
    this.#fetch(from, page, (kept) => (kept === undefined ? this.read(page, done) : done(kept.bytes, "")));
  }

  punch(first: number, count: number): void {
    if (count === 0) return;
    this.#reach(first + count - 1);
    for (let page = first; page < first + count; page++) {
      // What is on its way is an older version then.
      this.#versions[page]++;
      this.#holders[page] = 0;
      this.#pending.delete(page);
    }
    for (const link of this.#links)
      if (link.isUp)
        link.ask(
          (tag) => frame(pageKind.punch, tag, [first, count]),
          () => {},
        );
    this.#settled();
  }

  /** `done` when every page that was written is safe with some server, and with all that are there. */
  flush(done: () => void): void {
    this.whenBelow(1, done);
  }

  /** `done` when fewer pages than that are pending. */
  whenBelow(count: number, done: () => void): void {
    this.#drains.push({ most: count - 1, done });
    this.#settled();
  }

  /** Lets go of all pages; `done` when the servers that are there know it. */
  drop(done: () => void): void {
    const up = this.#links.filter((link) => link.isUp);
    let left = up.length;
    if (left === 0) return done();
    for (const link of up)
      link.ask(
        (tag) => frame(pageKind.drop, tag),
        () => {
          left--;
          if (left === 0) done();
        },
      );
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links) link.close();
  }

  // Writing.

  #send(n: number, page: number, pending: Pending): void {
    const bit = 1 << n;
    const link = this.#links[n] as ServerLink;
    if (!link.isUp || ((pending.asked | pending.held) & bit) !== 0) return;
    pending.asked |= bit;
    link.ask(
      (tag) => pageFrame(pageKind.write, tag, page, pending),
      (answer) => {
        pending.asked &= ~bit;
        if (this.#pending.get(page) !== pending) return;
        if (isKind(answer, pageKind.done)) pending.held |= bit;
        else if (isKind(answer, pageKind.full)) this.#full(n, page, pending);
        this.#settle(page, pending);
      },
    );
  }

  #full(n: number, page: number, pending: Pending): void {
    this.#tell("degraded", `page server ${this.#name(n)} is full`);
    this.#options.host.after(fullRetryMs, () => {
      if (this.#pending.get(page) === pending) this.#send(n, page, pending);
    });
  }

  /** Every server that is there has answered, and some have it. */
  #settle(page: number, pending: Pending): void {
    if (pending.asked !== 0 || pending.held === 0) return;
    this.#pending.delete(page);
    this.#holders[page] = pending.held;
    for (const n of this.#links.keys()) if ((pending.held & (1 << n)) === 0) this.#lacks(n);
    this.#settled();
  }

  #settled(): void {
    if (this.#drains.length > 0) {
      const ready = this.#drains.filter(({ most }) => this.#pending.size <= most);
      this.#drains = this.#drains.filter(({ most }) => this.#pending.size > most);
      for (const { done } of ready) done();
    }
    this.#judge();
  }

  // Reading.

  #nearest(holders: number): number | undefined {
    let best: number | undefined;
    for (const [n, link] of this.#links.entries()) {
      if (!link.isUp || (holders & (1 << n)) === 0) continue;
      if (best === undefined || link.inFlight < (this.#links[best] as ServerLink).inFlight) best = n;
    }
    return best;
  }

  /** The page as it was last written, from server `n`; undefined where that one has it not, or is no more. */
  #fetch(n: number, page: number, done: (kept: KeptPage | undefined) => void): void {
    const version = this.#versions[page];
    const link = this.#links[n] as ServerLink;
    link.ask(
      (tag) => frame(pageKind.read, tag, [page]),
      (answer) => {
        if (answer === undefined || this.#versions[page] !== version) return done(undefined);
        const kept = isKind(answer, pageKind.page) ? parsePage(answer.body) : undefined;
        if (kept?.version === version && kept.check === this.#checks[page] && checkOf(kept.bytes) === kept.check)
          return done(kept);
        this.#holders[page] &= ~(1 << n);
        this.#tell("degraded", `page server ${this.#name(n)} has lost page ${page}, or has it damaged`);
        this.#lacks(n);
        done(undefined);
      },
    );
  }

  // Servers that come and go.

  #up(n: number, lost: boolean): void {
    const bit = 1 << n;
    this.failures[n] = undefined;
    if (lost) this.#forgetWhatHad(bit);
    this.#punchWhatIsOld(n);
    for (const [page, pending] of this.#pending) this.#send(n, page, pending);
    for (const { page, done } of this.#waiting.splice(0)) this.read(page, done);
    this.#tell("degraded", `page server ${this.#name(n)} is there${lost ? ", and has lost what it kept" : ""}`);
    // All are to be looked through before one of them can be said to be the last.
    for (const each of this.#links.keys()) this.#cursors[each] = 0;
    for (const each of this.#links.keys()) this.#copy(each);
  }

  /** The server of this bit has nothing any more, of what is on its way neither. */
  #forgetWhatHad(bit: number): void {
    for (let page = 0; page < this.#holders.length; page++) this.#holders[page] &= ~bit;
    for (const pending of this.#pending.values()) pending.held &= ~bit;
  }

  #down(n: number, why: string): void {
    const others = this.serversUp > 0 ? "pages are on the other one alone" : "no page server is there";
    this.#tell(this.serversUp > 0 ? "degraded" : "gone", `page server ${this.#name(n)} is gone (${why}): ${others}`);
    // `asked` is taken back by the answers that do not come.
  }

  /** Pages of which it has an older version, or which are holes by now: they would stay with it for good. */
  #punchWhatIsOld(n: number): void {
    const link = this.#links[n] as ServerLink;
    const bit = 1 << n;
    let first = -1;
    for (let page = 0; page <= this.#holders.length; page++) {
      const old = page < this.#holders.length && this.#versions[page] !== 0 && (this.#holders[page] & bit) === 0;
      if (old && first < 0) first = page;
      if (old || first < 0) continue;
      const range = [first, page - first];
      link.ask(
        (tag) => frame(pageKind.punch, tag, range),
        () => {},
      );
      first = -1;
    }
  }

  /** Looks through all pages for those that server `n` lacks. */
  #lacks(n: number): void {
    this.#cursors[n] = 0;
    this.#copy(n);
  }

  #copy(n: number): void {
    const bit = 1 << n;
    const link = this.#links[n] as ServerLink;
    while (link.isUp && this.#copies[n] < copiesAtOnce) {
      const page = this.#nextLacking(n);
      if (page === undefined) break;
      const from = this.#nearest(this.#holders[page]);
      // Goes on when the one that has it is there.
      if (from === undefined) break;
      this.#cursors[n] = page + 1;
      this.#copies[n]++;
      this.#fetch(from, page, (kept) => {
        if (kept === undefined || !link.isUp) return this.#copied(n, false);
        link.ask(
          (tag) => pageFrame(pageKind.write, tag, page, kept),
          (answer) => {
            const done =
              isKind(answer, pageKind.done) && this.#versions[page] === kept.version && !this.#pending.has(page);
            if (done && this.#holders[page] !== 0) this.#holders[page] |= bit;
            if (isKind(answer, pageKind.full)) this.#tell("degraded", `page server ${this.#name(n)} is full`);
            this.#copied(n, isKind(answer, pageKind.done));
          },
        );
      });
    }
    this.#judge();
  }

  #copied(n: number, done: boolean): void {
    this.#copies[n]--;
    if (!done && !this.#retries.has(n)) {
      // Again, in a while: a server that is full stays so for some time.
      this.#retries.add(n);
      this.#options.host.after(fullRetryMs, () => {
        this.#retries.delete(n);
        this.#lacks(n);
      });
    }
    this.#copy(n);
  }

  #nextLacking(n: number): number | undefined {
    const bit = 1 << n;
    const holders = this.#holders;
    for (let page = this.#cursors[n] ?? holders.length; page < holders.length; page++) {
      this.#cursors[n] = page;
      if (holders[page] !== 0 && (holders[page] & bit) === 0 && !this.#pending.has(page)) return page;
    }
    this.#cursors[n] = undefined;
    return undefined;
  }

  // Telling.

  /** Whether all servers have all pages, by what they were asked. */
  #judge(): void {
    const whole =
      this.#links.every((link) => link.isUp) &&
      this.#pending.size === 0 &&
      this.#retries.size === 0 &&
      this.#copies.every((count) => count === 0) &&
      this.#cursors.every((cursor) => cursor === undefined);
    if (whole && this.#state !== "whole") this.#tell("whole", "all page servers have all pages");
  }

  #tell(state: ReplicaEvent["state"], text: string): void {
    if (this.#closed || text === this.#told) return;
    this.#state = state;
    this.#told = text;
    this.#options.onEvent({ state, text });
  }

  #name(n: number): string {
    return addressText((this.#links[n] as ServerLink).address);
  }

  /** Tables that reach page `page`. */
  #reach(page: number): void {
    if (page < this.#versions.length) return;
    const length = Math.min(mostObjectPages, Math.max(2 * this.#versions.length, page + 1));
    const longer = <Table extends Uint32Array | Uint8Array>(table: Table, made: Table): Table => {
      made.set(table);
      return made;
    };
    this.#versions = longer(this.#versions, new Uint32Array(length));
    this.#checks = longer(this.#checks, new Uint32Array(length));
    this.#holders = longer(this.#holders, new Uint8Array(length));
  }
}
