/** Pages as they are, in host memory outside the arena. */
import { pageSize } from "#address";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import { grown, Slots } from "./slots.ts";

export class PlainPages extends KeptPages {
  readonly #slots = new Slots(pageSize);
  /** Of each page: its slot + 1; 0 is a hole. */
  #places: Int32Array;

  constructor(pageCount: number) {
    super("plain", pageCount);
    this.#places = new Int32Array(pageCount);
  }

  has(page: number): boolean {
    return this.#places[page] !== 0;
  }

  protected load(page: number, target: Uint8Array): void {
    target.set(this.#slots.bytes(this.#places[page] - 1));
  }

  protected store(page: number, source: Uint8Array): void {
    this.#places[page] ||= this.#slots.take() + 1;
    this.#slots.bytes(this.#places[page] - 1).set(source);
  }

  protected drop(page: number): void {
    this.#slots.give(this.#places[page] - 1);
    this.#places[page] = 0;
  }

  protected override isInMemory(): boolean {
    return true;
  }

  protected override resized(pageCount: number): void {
    this.#places = grown(this.#places, pageCount);
  }

  protected kept(): KeptStats {
    const { taken, hostBytes } = this.#slots;
    return { pagesHeld: taken, hostBytes: hostBytes + this.#places.byteLength };
  }
}
