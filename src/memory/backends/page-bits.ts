/** A bit for each page of an object, and how many are set. */
export class PageBits {
  #bytes: Uint8Array;
  #count = 0;

  constructor(pageCount: number) {
    this.#bytes = new Uint8Array(Math.ceil(pageCount / 8));
  }

  get count(): number {
    return this.#count;
  }

  get hostBytes(): number {
    return this.#bytes.length;
  }

  has(page: number): boolean {
    return (this.#bytes[page >> 3] & (1 << (page & 7))) !== 0;
  }

  set(page: number, on: boolean): void {
    if (this.has(page) === on) return;
    this.#bytes[page >> 3] ^= 1 << (page & 7);
    this.#count += on ? 1 : -1;
  }

  /** Requires: no bit past the end is set. */
  resize(pageCount: number): void {
    const bytes = new Uint8Array(Math.ceil(pageCount / 8));
    bytes.set(this.#bytes.subarray(0, bytes.length));
    this.#bytes = bytes;
  }
}
