/**
 * Pages with the same bytes are kept once, whichever object they belong to. Writing to one makes it another page.
 *
 * A `SharedStore` is what several `SharedPages` have in common: those of one machine, or of all that one thread runs. Who can time
 * writes can tell whether somebody else has the same page: machines that must not learn of each other have stores of their own.
 */
import { pageSize } from "#address";
import type { PageKernels } from "../page-kernels.ts";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import type { MemoryObject } from "./memory-object.ts";
import { grown } from "./slots.ts";

export class SharedStore {
  readonly inner: MemoryObject;
  readonly #kernels: PageKernels;
  /** By check: pages of the inner object that have it. */
  readonly #byCheck = new Map<number, number[]>();
  readonly #free: number[] = [];
  readonly #candidate = new Uint8Array(pageSize);
  #checks: Float64Array;
  #users: Int32Array;
  #next = 0;
  #references = 0;

  /** The inner object grows as it must. */
  constructor(inner: MemoryObject, kernels: PageKernels) {
    this.inner = inner;
    this.#kernels = kernels;
    this.#checks = new Float64Array(inner.pageCount);
    this.#users = new Int32Array(inner.pageCount);
  }

  get distinct(): number {
    return this.#next - this.#free.length;
  }

  /** Users of all pages together. */
  get references(): number {
    return this.#references;
  }

  get hostBytes(): number {
    return (
      this.inner.stats().hostBytes +
      this.#checks.byteLength +
      this.#users.byteLength +
      this.#byCheck.size * bytesPerCheck
    );
  }

  /** Where the page is, for one user more. */
  put(source: Uint8Array): number {
    const check = this.#kernels.check(source);
    const same = this.#byCheck.get(check)?.find((place) => this.#isSame(place, source)) ?? this.#add(check, source);
    this.#users[same]++;
    this.#references++;
    return same;
  }

  read(place: number, target: Uint8Array): void {
    this.inner.read(place, target);
  }

  /** One user less. */
  leave(place: number): void {
    this.#references--;
    if (--this.#users[place] > 0) return;
    const check = this.#checks[place];
    const others = this.#byCheck.get(check)?.filter((each) => each !== place) ?? [];
    if (others.length > 0) this.#byCheck.set(check, others);
    else this.#byCheck.delete(check);
    this.inner.punch(place, 1);
    this.#free.push(place);
  }

  #add(check: number, source: Uint8Array): number {
    const place = this.#free.pop() ?? this.#next++;
    if (place >= this.inner.pageCount) this.#grow();
    try {
      this.inner.write(place, source);
    } catch (error) {
      this.#free.push(place);
      throw error;
    }
    this.#checks[place] = check;
    this.#byCheck.set(check, [...(this.#byCheck.get(check) ?? []), place]);
    return place;
  }

  #grow(): void {
    const pageCount = Math.max(16, 2 * this.inner.pageCount);
    this.inner.resize(pageCount);
    this.#checks = grown(this.#checks, pageCount);
    this.#users = grown(this.#users, pageCount);
  }

  /** Equal checks are a hint only. */
  #isSame(place: number, source: Uint8Array): boolean {
    const candidate = this.#candidate;
    this.inner.read(place, candidate);
    for (let n = 0; n < pageSize; n++) if (candidate[n] !== source[n]) return false;
    return true;
  }
}

/** About what an entry of a Map and its list take. */
const bytesPerCheck = 80;

export class SharedPages extends KeptPages {
  readonly #store: SharedStore;
  /** Of each page: its place in the store + 1; 0 is a hole. */
  #places: Int32Array;
  #held = 0;

  constructor(pageCount: number, store: SharedStore) {
    super(`shared:${store.inner.kind}`, pageCount);
    this.#store = store;
    this.#places = new Int32Array(pageCount);
  }

  has(page: number): boolean {
    return this.#places[page] !== 0;
  }

  protected load(page: number, target: Uint8Array): void {
    this.#store.read(this.#places[page] - 1, target);
  }

  protected store(page: number, source: Uint8Array): void {
    const place = this.#store.put(source);
    if (this.has(page)) this.drop(page);
    this.#places[page] = place + 1;
    this.#held++;
  }

  protected drop(page: number): void {
    this.#store.leave(this.#places[page] - 1);
    this.#places[page] = 0;
    this.#held--;
  }

  protected override isInMemory(): boolean {
    return true;
  }

  protected override resized(pageCount: number): void {
    this.#places = grown(this.#places, pageCount);
  }

  /** Of what the store takes, the part of its users that are here. */
  protected kept(): KeptStats {
    const { distinct, references, hostBytes } = this.#store;
    const part = references === 0 ? 1 : this.#held / references;
    return {
      pagesHeld: this.#held,
      hostBytes: this.#places.byteLength + Math.round(hostBytes * part),
      own: { distinctPages: distinct, mergedPages: references - distinct },
    };
  }

  override flush(): void {
    this.#store.inner.flush();
  }

  /** The store lives on. */
  override [Symbol.dispose](): void {
    for (let page = 0; page < this.pageCount; page++) if (this.has(page)) this.drop(page);
  }
}
