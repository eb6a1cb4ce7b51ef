/**
 * What all kinds of memory objects have in common: bounds, the seal, events and counts. A kind says where its pages are.
 *
 * A call that breaks the interface's promises (a page past the end, a sealed object) is a bug of the caller, not an error.
 */
import { pageSize } from "#address";
import { assert } from "#base";
import { type MemoryEvent, type MemoryObject, MemoryObjectError, type MemoryObjectStats } from "./memory-object.ts";

/** What a kind tells of itself for `stats`. */
export interface KeptStats {
  readonly pagesHeld: number;
  readonly hostBytes: number;
  readonly fileBytes?: number;
  readonly own?: Readonly<Record<string, number>>;
}

export abstract class KeptPages implements MemoryObject {
  readonly kind: string;
  readonly #inner: MemoryObject | undefined;
  readonly #listeners = new Set<(event: MemoryEvent) => void>();
  #pageCount: number;
  #sealed = false;
  #reads = 0;
  #writes = 0;

  /** `inner`: of a stack. */
  constructor(kind: string, pageCount: number, inner?: MemoryObject) {
    this.kind = inner ? `${kind}:${inner.kind}` : kind;
    this.#pageCount = pageCount;
    this.#inner = inner;
  }

  get sealed(): boolean {
    return this.#sealed;
  }

  get pageCount(): number {
    return this.#pageCount;
  }

  /** Requires: within bounds, and no hole. */
  protected abstract load(page: number, target: Uint8Array): void;
  protected abstract store(page: number, source: Uint8Array): void;
  /** Makes a hole. Requires: it is none. */
  protected abstract drop(page: number): void;
  protected abstract kept(): KeptStats;
  abstract has(page: number): boolean;

  /** Whether keeping the page takes the host's memory, and not a file or another machine. */
  protected isInMemory(page: number): boolean {
    return this.#inner instanceof KeptPages && this.#inner.isInMemory(page);
  }

  /** Tables of another length; pages past the end are holes by now. */
  protected resized(_pageCount: number): void {}

  read(page: number, target: Uint8Array): void {
    this.#check(page, target);
    this.#reads++;
    if (!this.has(page)) target.fill(0);
    else this.#attempt(page, () => this.load(page, target));
  }

  take(page: number, target: Uint8Array): boolean {
    this.read(page, target);
    if (this.#sealed || !this.has(page) || !this.isInMemory(page)) return this.has(page);
    this.drop(page);
    return false;
  }

  write(page: number, source: Uint8Array): void {
    this.#check(page, source);
    this.#mayChange();
    this.#writes++;
    this.#attempt(page, () => this.store(page, source));
  }

  punch(first: number, count: number): void {
    assert(first >= 0 && count >= 0 && first + count <= this.#pageCount, "a hole lies in its object");
    this.#mayChange();
    this.#drop(first, first + count);
    this.tell({ type: "punched", first, count });
  }

  resize(pageCount: number): void {
    this.#mayChange();
    this.#drop(pageCount, this.#pageCount);
    this.resized(pageCount);
    this.#pageCount = pageCount;
    this.tell({ type: "resized", pageCount });
  }

  seal(): void {
    if (this.#sealed) return;
    this.#sealed = true;
    this.#inner?.seal();
    this.tell({ type: "sealed" });
  }

  flush(): void {
    this.#inner?.flush();
  }

  stats(): MemoryObjectStats {
    const inner = this.#inner?.stats();
    const { pagesHeld, hostBytes, fileBytes = 0, own = {} } = this.kept();
    return {
      kind: this.kind,
      pageCount: this.#pageCount,
      pagesHeld,
      hostBytes: hostBytes + (inner?.hostBytes ?? 0),
      fileBytes: fileBytes + (inner?.fileBytes ?? 0),
      reads: this.#reads,
      writes: this.#writes,
      own,
      ...(inner && { inner }),
    };
  }

  watch(listener: (event: MemoryEvent) => void): Disposable {
    // Each call is a subscription of its own.
    const subscription = (event: MemoryEvent): void => listener(event);
    this.#listeners.add(subscription);
    return { [Symbol.dispose]: () => void this.#listeners.delete(subscription) };
  }

  [Symbol.dispose](): void {
    this.#inner?.[Symbol.dispose]();
  }

  #check(page: number, bytes: Uint8Array): void {
    assert(page >= 0 && page < this.#pageCount && bytes.length === pageSize, "a page lies in its object");
  }

  #mayChange(): void {
    assert(!this.#sealed, "a sealed memory object keeps what it has");
  }

  #drop(first: number, end: number): void {
    for (let page = first; page < end; page++) if (this.has(page)) this.drop(page);
  }

  #attempt(page: number, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (error instanceof MemoryObjectError) this.tell({ type: "failed", page, error });
      throw error;
    }
  }

  protected tell(event: MemoryEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
