/** A set of guest frame numbers, as a bitmap: bit n % 32 of word n / 32 for each n below an end. */
export class PageSet implements Iterable<number> {
  readonly bitmap: Uint32Array;

  /** `end`: above all that can be in the set. */
  constructor(end: number) {
    this.bitmap = new Uint32Array(Math.ceil(end / 32));
  }

  /** How many there are. Takes time. */
  get size(): number {
    let size = 0;
    for (const word of this.bitmap) size += bitsOf(word);
    return size;
  }

  has(gfn: number): boolean {
    return (((this.bitmap[gfn >>> 5] ?? 0) >>> (gfn & 31)) & 1) === 1;
  }

  add(gfn: number): void {
    this.bitmap[gfn >>> 5] |= 1 << (gfn & 31);
  }

  /** Adds all of another set with the same end. */
  addAll({ bitmap }: PageSet): void {
    for (let n = 0; n < bitmap.length; n++) this.bitmap[n] |= bitmap[n];
  }

  /** In ascending order. */
  [Symbol.iterator](): Generator<number> {
    return this.within(0, 32 * this.bitmap.length);
  }

  /** Of these numbers. Requires: multiples of 32. */
  *within(first: number, end: number): Generator<number> {
    for (let n = first / 32; n < end / 32; n++) {
      const word = this.bitmap[n] ?? 0;
      for (let left = word; left !== 0; left &= left - 1) yield n * 32 + (31 - Math.clz32(left & -left));
    }
  }
}

function bitsOf(word: number): number {
  let bits = 0;
  for (let left = word; left !== 0; left &= left - 1) bits++;
  return bits;
}
