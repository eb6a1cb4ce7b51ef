/**
 * What is written goes to the upper object, all else is read from the lower one, which never changes: a snapshot that a machine
 * goes on from, with somewhere for what it evicts; a file that is mapped copy-on-write.
 */
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import type { MemoryObject, MemoryObjectStats } from "./memory-object.ts";

export class OverlayPages extends KeptPages {
  readonly #upper: MemoryObject;
  readonly #lower: MemoryObject;
  /** Pages whose bytes in the lower object no longer count. */
  readonly #hidden: Uint8Array;
  #held: number;

  /** As long as the upper one. Seals the lower one. */
  constructor(upper: MemoryObject, lower: MemoryObject) {
    super("overlay", upper.pageCount, upper);
    this.#upper = upper;
    this.#lower = lower;
    lower.seal();
    this.#hidden = new Uint8Array(Math.ceil(lower.pageCount / 8));
    this.#held = 0;
    for (let page = 0; page < this.pageCount; page++) if (this.has(page)) this.#held++;
  }

  has(page: number): boolean {
    return this.#upper.has(page) || this.#isBelow(page);
  }

  override stats(): MemoryObjectStats & { readonly lower: MemoryObjectStats } {
    return { ...super.stats(), lower: this.#lower.stats() };
  }

  begin(page: number): boolean {
    return !this.#upper.has(page) || (this.#upper.begin?.(page) ?? true);
  }

  protected load(page: number, target: Uint8Array): void {
    if (this.#upper.has(page)) this.#upper.read(page, target);
    else this.#lower.read(page, target);
  }

  protected store(page: number, source: Uint8Array): void {
    const had = this.has(page);
    this.#upper.write(page, source);
    this.#hide(page);
    this.#held += Number(this.has(page)) - Number(had);
  }

  protected drop(page: number): void {
    this.#upper.punch(page, 1);
    this.#hide(page);
    this.#held--;
  }

  protected override isInMemory(page: number): boolean {
    return this.#upper.has(page) && super.isInMemory(page);
  }

  protected override resized(pageCount: number): void {
    // Pages that come back are holes.
    this.#upper.resize(pageCount);
  }

  protected kept(): KeptStats {
    return { pagesHeld: this.#held, hostBytes: this.#hidden.length };
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#lower[Symbol.dispose]();
  }

  #isBelow(page: number): boolean {
    if (page >= this.#lower.pageCount || (this.#hidden[page >> 3] & (1 << (page & 7))) !== 0) return false;
    return this.#lower.has(page);
  }

  #hide(page: number): void {
    if (page < this.#lower.pageCount) this.#hidden[page >> 3] |= 1 << (page & 7);
  }
}
