/** Buffers, one after the other, taken from the front. */
export class Pieces {
  readonly #buffers: readonly Uint8Array[];
  #buffer = 0;
  #offset = 0;
  #left: number;

  constructor(buffers: readonly Uint8Array[]) {
    this.#buffers = buffers;
    this.#left = buffers.reduce((sum, each) => sum + each.length, 0);
  }

  /** Bytes not taken yet. */
  get length(): number {
    return this.#left;
  }

  /** The next `length` bytes. Requires: there are as many. */
  take(length: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (let left = length; left > 0; ) {
      const buffer = this.#buffers[this.#buffer] as Uint8Array;
      const part = Math.min(left, buffer.length - this.#offset);
      if (part > 0) taken.push(buffer.subarray(this.#offset, this.#offset + part));
      left -= part;
      this.#offset += part;
      if (this.#offset === buffer.length) {
        this.#buffer++;
        this.#offset = 0;
      }
    }
    this.#left -= length;
    return taken;
  }
}
