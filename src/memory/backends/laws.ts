/**
 * The laws of memory objects (memory-object.ts), as a random sequence of operations on an object and on the simplest thing that
 * keeps pages. A kind of memory object is right when this finds nothing wrong with it, alone and in each stack.
 */
import { pageSize } from "#address";
import type { MemoryEvent, MemoryObject } from "./memory-object.ts";

export interface LawOptions {
  readonly seed: number;
  readonly steps: number;
  /** Makes reads or writes of the object fail now and then, so that what failed is seen to harm nothing else. */
  readonly fail?: (on: boolean) => void;
}

/** What is wrong, in words that say after which operation; undefined when all is well. */
export function checkLaws(make: (pageCount: number) => MemoryObject, options: LawOptions): string | undefined {
  const check = new LawCheck(make, options);
  for (let step = 0; step < options.steps; step++) {
    const wrong = check.step();
    if (wrong !== undefined) return `step ${step}, seed ${options.seed}: ${wrong}`;
  }
  return check.end();
}

const mostPages = 96;

class LawCheck {
  readonly #object: MemoryObject;
  readonly #fail: LawOptions["fail"];
  /** Page -> its bytes; what is not there is zeros. */
  readonly #model = new Map<number, Uint8Array>();
  /** Written in vain: either of what it was, or a hole. */
  readonly #torn = new Set<number>();
  readonly #events: MemoryEvent[] = [];
  readonly #expected: MemoryEvent["type"][] = [];
  #pageCount = mostPages / 2;
  #state: number;

  constructor(make: (pageCount: number) => MemoryObject, { seed, fail }: LawOptions) {
    this.#object = make(this.#pageCount);
    this.#object.watch((event) => this.#events.push(event));
    this.#fail = fail;
    this.#state = seed * 2654435761 + 1;
  }

  step(): string | undefined {
    const page = this.#below(this.#pageCount);
    switch (this.#below(16)) {
      case 0:
        return this.#punch(page, 1 + this.#below(Math.min(9, this.#pageCount - page)));
      case 1:
        return this.#below(8) === 0 ? this.#resize(1 + this.#below(mostPages)) : this.#all();
      case 2:
        this.#object.flush();
        return this.#counts();
      case 3:
        return this.#take(page);
      case 4:
        return this.#fail === undefined ? this.#read(page) : this.#failing(page, this.#fail);
      case 5:
      case 6:
      case 7:
      case 8:
        return this.#read(page);
      default:
        return this.#write(page);
    }
  }

  end(): string | undefined {
    const before = this.#all();
    if (before !== undefined) return before;
    this.#object.seal();
    this.#expected.push("sealed");
    const source = this.#bytes();
    const changes = [
      () => this.#object.write(0, source),
      () => this.#object.punch(0, 1),
      () => this.#object.resize(this.#pageCount + 1),
    ];
    for (const change of changes) if (!throws(change)) return "a sealed object was changed";
    const wrong = this.#all() ?? this.#counts();
    this.#object[Symbol.dispose]();
    return wrong;
  }

  #write(page: number): string | undefined {
    const source = this.#bytes();
    const kept = source.slice();
    this.#object.write(page, source);
    if (!same(source, kept)) return `the write of page ${page} changed its source`;
    source.fill(0x5a);
    this.#model.set(page, kept);
    this.#torn.delete(page);
    return this.#below(2) === 0 ? this.#read(page) : undefined;
  }

  #read(page: number): string | undefined {
    const target = new Uint8Array(pageSize).fill(0xee);
    // Asked for ahead or not, it is the same page.
    if (this.#below(3) === 0) this.#object.begin?.(page);
    this.#object.read(page, target);
    const expected = this.#model.get(page);
    const right = expected === undefined ? isZero(target) : same(target, expected);
    if (!right && !(this.#torn.has(page) && isZero(target))) return `page ${page} is not what was written`;
    if (!this.#object.has(page) && !isZero(target)) return `page ${page} is a hole that is not zeros`;
    return undefined;
  }

  #take(page: number): string | undefined {
    const expected = this.#model.get(page) ?? new Uint8Array(pageSize);
    const target = new Uint8Array(pageSize).fill(0xee);
    const stays = this.#object.take(page, target);
    if (!same(target, expected) && !(this.#torn.has(page) && isZero(target)))
      return `page ${page} was taken, and is another`;
    if (stays !== this.#object.has(page))
      return `page ${page} was taken, and it says that it ${stays ? "stays" : "went"}`;
    if (!stays) this.#model.delete(page);
    return this.#read(page);
  }

  #punch(first: number, count: number): string | undefined {
    this.#object.punch(first, count);
    this.#expected.push("punched");
    for (let page = first; page < first + count; page++) {
      this.#model.delete(page);
      if (this.#object.has(page)) return `page ${page} was punched and is there`;
    }
    return this.#read(first);
  }

  #resize(pageCount: number): string | undefined {
    this.#object.resize(pageCount);
    this.#expected.push("resized");
    this.#pageCount = pageCount;
    if (this.#object.pageCount !== pageCount) return `it has ${this.#object.pageCount} pages, and not ${pageCount}`;
    for (const page of this.#model.keys()) if (page >= pageCount) this.#model.delete(page);
    return this.#all();
  }

  /** One operation fails, if there is one that can; no other page is another for it. */
  #failing(page: number, fail: (on: boolean) => void): string | undefined {
    fail(true);
    const source = this.#bytes();
    const failed = throws(() => this.#object.write(page, source));
    fail(false);
    if (failed) {
      this.#torn.add(page);
      this.#expected.push("failed");
    } else {
      this.#model.set(page, source);
      this.#torn.delete(page);
    }
    return this.#all();
  }

  #all(): string | undefined {
    for (let page = 0; page < this.#pageCount; page++) {
      const wrong = this.#read(page);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  #counts(): string | undefined {
    const { pagesHeld, hostBytes, fileBytes, pageCount } = this.#object.stats();
    let held = 0;
    for (let page = 0; page < this.#pageCount; page++) held += Number(this.#object.has(page));
    if (held !== pagesHeld) return `it says that it holds ${pagesHeld} pages, and has ${held}`;
    if (pageCount !== this.#pageCount) return `it says that it has ${pageCount} pages`;
    if (!(hostBytes >= 0 && fileBytes >= 0)) return "it does not say what it takes of the host";
    // Whether a page that was asked for ahead has come by now is for time to say.
    const events = this.#events.flatMap(({ type }) => (type === "ready" ? [] : [type])).join();
    return events === this.#expected.join() ? undefined : `events were ${events}, and not ${this.#expected.join()}`;
  }

  /** A page: zeros, one word, text-like or noise. */
  #bytes(): Uint8Array {
    const page = new Uint8Array(pageSize);
    const kind = this.#below(6);
    if (kind === 0) return page;
    if (kind === 1) return page.fill(this.#below(256));
    const range = kind < 4 ? 3 : 256;
    for (let n = 0; n < page.length; n++) page[n] = this.#below(kind === 4 && n % 64 !== 0 ? 1 : range);
    return page;
  }

  /** 0 to `bound` - 1 (Mulberry32). */
  #below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, n) => byte === b[n]);

function throws(act: () => void): boolean {
  try {
    act();
    return false;
  } catch {
    return true;
  }
}
