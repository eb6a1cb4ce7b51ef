/**
 * Pages that repeat one word of 32 bits are kept as that word, pages of zeros not at all; all others go to the inner object.
 * Most cold pages of a guest are such ones.
 */
import { pageSize } from "#address";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import type { MemoryObject } from "./memory-object.ts";

/** The word that a page repeats; undefined for one with other bytes. */
export function repeatedWord(page: Uint8Array): number | undefined {
  const aligned = page.byteOffset % 4 === 0 ? page : page.slice();
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, pageSize / 4);
  const first = words[0];
  for (let n = 1; n < words.length; n++) if (words[n] !== first) return undefined;
  return page[0] | (page[1] << 8) | (page[2] << 16) | (page[3] << 24);
}

/** Fills a page with a word, low byte first. */
export function repeatWord(page: Uint8Array, word: number): void {
  for (let n = 0; n < 4; n++) page[n] = word >>> (8 * n);
  for (let done = 4; done < page.length; done *= 2) page.copyWithin(done, 0, done);
}

export class SameFilledPages extends KeptPages {
  readonly #inner: MemoryObject;
  readonly #words = new Map<number, number>();

  constructor(inner: MemoryObject) {
    super("zero", inner.pageCount, inner);
    this.#inner = inner;
  }

  has(page: number): boolean {
    return this.#words.has(page) || this.#inner.has(page);
  }

  begin(page: number): boolean {
    return this.#words.has(page) || (this.#inner.begin?.(page) ?? true);
  }

  protected load(page: number, target: Uint8Array): void {
    const word = this.#words.get(page);
    if (word === undefined) this.#inner.read(page, target);
    else repeatWord(target, word);
  }

  protected store(page: number, source: Uint8Array): void {
    const word = repeatedWord(source);
    if (word === undefined) {
      this.#inner.write(page, source);
      this.#words.delete(page);
      return;
    }
    if (this.#inner.has(page)) this.#inner.punch(page, 1);
    if (word === 0) this.#words.delete(page);
    else this.#words.set(page, word);
  }

  protected drop(page: number): void {
    if (!this.#words.delete(page)) this.#inner.punch(page, 1);
  }

  protected override isInMemory(page: number): boolean {
    return this.#words.has(page) || super.isInMemory(page);
  }

  protected override resized(pageCount: number): void {
    this.#inner.resize(pageCount);
  }

  protected kept(): KeptStats {
    const { pagesHeld } = this.#inner.stats();
    return {
      pagesHeld: pagesHeld + this.#words.size,
      hostBytes: this.#words.size * bytesPerWord,
      own: { sameFilled: this.#words.size },
    };
  }
}

/** About what an entry of a Map takes. */
const bytesPerWord = 32;
