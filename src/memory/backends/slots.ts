/**
 * Pieces of host memory, all of one size, outside the arena: taken and given back in any order.
 *
 * They come from chunks. A chunk of which nothing is taken goes back to the host.
 */
import { assert } from "#base";

const chunkBytes = 256 * 1024;

interface Chunk {
  readonly bytes: Uint8Array;
  /** Its pieces that are free. */
  readonly free: number[];
}

export class Slots {
  readonly slotBytes: number;
  readonly #perChunk: number;
  readonly #chunks: (Chunk | undefined)[] = [];
  /** Chunks that have a free piece, and places where a chunk was. */
  readonly #open = new Set<number>();
  readonly #gone: number[] = [];
  #taken = 0;

  constructor(slotBytes: number) {
    this.slotBytes = slotBytes;
    this.#perChunk = Math.floor(chunkBytes / slotBytes);
  }

  get taken(): number {
    return this.#taken;
  }

  get hostBytes(): number {
    return (this.#chunks.length - this.#gone.length) * chunkBytes;
  }

  /** A piece, whose bytes are anything. */
  take(): number {
    const n = this.#open.values().next().value ?? this.#newChunk();
    const { free } = this.#chunks[n] as Chunk;
    const place = free.pop() as number;
    if (free.length === 0) this.#open.delete(n);
    this.#taken++;
    return n * this.#perChunk + place;
  }

  bytes(slot: number): Uint8Array {
    const chunk = this.#chunks[Math.floor(slot / this.#perChunk)];
    assert(chunk !== undefined, "a piece that is used was taken");
    const start = (slot % this.#perChunk) * this.slotBytes;
    return chunk.bytes.subarray(start, start + this.slotBytes);
  }

  give(slot: number): void {
    const n = Math.floor(slot / this.#perChunk);
    const chunk = this.#chunks[n];
    assert(chunk !== undefined, "a piece that is given back was taken");
    chunk.free.push(slot % this.#perChunk);
    this.#taken--;
    if (chunk.free.length < this.#perChunk) {
      this.#open.add(n);
      return;
    }
    this.#open.delete(n);
    this.#chunks[n] = undefined;
    this.#gone.push(n);
  }

  #newChunk(): number {
    const n = this.#gone.pop() ?? this.#chunks.length;
    const free = Array.from({ length: this.#perChunk }, (_, place) => this.#perChunk - 1 - place);
    this.#chunks[n] = { bytes: new Uint8Array(chunkBytes), free };
    this.#open.add(n);
    return n;
  }
}

/** A word for each page of an object; 0 at first. */
export function grown<Words extends Int32Array | Float64Array>(words: Words, length: number): Words {
  const longer = new (words.constructor as new (length: number) => Words)(length);
  longer.set(words.subarray(0, length));
  return longer;
}
