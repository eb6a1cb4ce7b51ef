/**
 * Pages that the inner object has encrypted, each with an integrity tag: it, and whoever can read or change where it keeps them, learns
 * nothing of them but which there are, and when they were written.
 *
 * Laws: what is read is what was last written to that page, or the read throws. The tag and the version of each page are here, in
 * the host's memory, so that neither another page's bytes, nor what the page was before, nor a page that went away pass for it.
 * A nonce is a version, and no two writes under one key have the same.
 */
import { pageSize } from "#address";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import { type MemoryObject, MemoryObjectError } from "./memory-object.ts";
import { grown } from "./slots.ts";

/** Authenticated encryption of pages under one key, made for this object alone; given from outside. */
export interface PageCipher {
  /** For people: "AES-256-GCM". */
  readonly name: string;
  readonly tagBytes: number;
  /** Fills `target` and `tag`. Requires: no other call had this `version`. */
  seal(page: number, version: number, source: Uint8Array, target: Uint8Array, tag: Uint8Array): void;
  /** False where source, tag, page or version are not those of `seal`; then `target` is anything. */
  open(page: number, version: number, source: Uint8Array, tag: Uint8Array, target: Uint8Array): boolean;
}

export class EncryptedPages extends KeptPages {
  readonly #inner: MemoryObject;
  readonly #cipher: PageCipher;
  readonly #sealed = new Uint8Array(pageSize);
  /** Of each page: which write it was; 0 is a hole. */
  #versions: Float64Array;
  #tags: Uint8Array;
  #version = 0;
  #held = 0;

  constructor(inner: MemoryObject, cipher: PageCipher) {
    super("encrypted", inner.pageCount, inner);
    this.#inner = inner;
    this.#cipher = cipher;
    this.#versions = new Float64Array(inner.pageCount);
    this.#tags = new Uint8Array(inner.pageCount * cipher.tagBytes);
  }

  has(page: number): boolean {
    return this.#versions[page] !== 0;
  }

  begin(page: number): boolean {
    return this.#inner.begin?.(page) ?? true;
  }

  protected load(page: number, target: Uint8Array): void {
    const sealed = this.#sealed;
    this.#inner.read(page, sealed);
    if (this.#cipher.open(page, this.#versions[page], sealed, this.#tagOf(page), target)) return;
    target.fill(0);
    throw new MemoryObjectError(
      `${this.kind}: page ${page} is not what was written to it: somebody has changed it, or put an old one in its place`,
    );
  }

  protected store(page: number, source: Uint8Array): void {
    const tag = new Uint8Array(this.#cipher.tagBytes);
    const version = ++this.#version;
    this.#cipher.seal(page, version, source, this.#sealed, tag);
    try {
      this.#inner.write(page, this.#sealed);
    } catch (error) {
      // It may have what was there before, or a hole.
      if (this.has(page)) this.drop(page);
      throw error;
    }
    if (!this.has(page)) this.#held++;
    this.#versions[page] = version;
    this.#tagOf(page).set(tag);
  }

  protected drop(page: number): void {
    this.#inner.punch(page, 1);
    this.#versions[page] = 0;
    this.#held--;
  }

  protected override resized(pageCount: number): void {
    this.#inner.resize(pageCount);
    this.#versions = grown(this.#versions, pageCount);
    const tags = new Uint8Array(pageCount * this.#cipher.tagBytes);
    tags.set(this.#tags.subarray(0, tags.length));
    this.#tags = tags;
  }

  protected kept(): KeptStats {
    return { pagesHeld: this.#held, hostBytes: this.#versions.byteLength + this.#tags.length };
  }

  #tagOf(page: number): Uint8Array {
    const { tagBytes } = this.#cipher;
    return this.#tags.subarray(page * tagBytes, (page + 1) * tagBytes);
  }
}
