/** Bytes that have arrived on a stream and wait to be consumed; tells the sender of what was, in few messages. */
import { streamWindow } from "./wire.ts";

export class Incoming {
  readonly #credit: (bytes: number) => void;
  #chunks: Uint8Array[] = [];
  /** Consumed of the first chunk. */
  #offset = 0;
  #available = 0;
  #unsaid = 0;

  constructor(credit: (bytes: number) => void) {
    this.#credit = credit;
  }

  get available(): number {
    return this.#available;
  }

  put(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#available += bytes.length;
  }

  /** Copies to the start of `target` what there is, and gives how many bytes that were. */
  take(target: Uint8Array): number {
    let done = 0;
    while (done < target.length && this.#chunks.length > 0) {
      const first = this.#chunks[0];
      const count = Math.min(first.length - this.#offset, target.length - done);
      target.set(first.subarray(this.#offset, this.#offset + count), done);
      done += count;
      this.#offset += count;
      if (this.#offset === first.length) this.#dropFirst();
    }
    this.#consumed(done);
    return done;
  }

  /** The next chunk as it came; nothing when there is none. Its credit is the caller's to give back by `consumed`. */
  next(): Uint8Array | undefined {
    const first = this.#chunks[0]?.subarray(this.#offset);
    if (first !== undefined) this.#dropFirst();
    return first;
  }

  /** A chunk that `next` gave is done with. */
  consumed(bytes: number): void {
    this.#consumed(bytes);
  }

  #dropFirst(): void {
    this.#chunks.shift();
    this.#offset = 0;
  }

  #consumed(bytes: number): void {
    this.#available -= bytes;
    this.#unsaid += bytes;
    if (this.#unsaid === 0) return;
    if (this.#unsaid < streamWindow / 4 && this.#available > 0) return;
    this.#credit(this.#unsaid);
    this.#unsaid = 0;
  }
}
