/** 256 bits, one a vector: what IRR, ISR and TMR are. Views a record's 32 bytes; holds nothing itself. */
export class VectorBitmap {
  readonly #words: Uint32Array;

  /** Requires: `bytes` is 32 long and has its buffer to itself. */
  constructor(bytes: Uint8Array) {
    this.#words = new Uint32Array(bytes.buffer);
  }

  has(vector: number): boolean {
    return ((this.#words[vector >> 5] >>> (vector & 31)) & 1) !== 0;
  }

  set(vector: number): void {
    this.#words[vector >> 5] |= 1 << (vector & 31);
  }

  clear(vector: number): void {
    this.#words[vector >> 5] &= ~(1 << (vector & 31));
  }

  reset(): void {
    this.#words.fill(0);
  }

  /** 32 vectors from `32 * index` on, as the APIC's registers show them. */
  word(index: number): number {
    return this.#words[index];
  }

  /** The highest vector that is set; -1: none. */
  highest(): number {
    for (let index = 7; index >= 0; index--) {
      const word = this.#words[index];
      if (word !== 0) return index * 32 + 31 - Math.clz32(word);
    }
    return -1;
  }
}
