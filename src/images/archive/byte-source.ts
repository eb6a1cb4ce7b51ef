/** Bytes that arrive in pieces, read in the sizes that a parser asks for. */
export type ByteStream = AsyncIterable<Uint8Array>;

/** All of a stream in one piece. */
export async function collect(stream: ByteStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(stream: ByteStream) {
    this.#pieces = stream[Symbol.asyncIterator]();
  }

  /** Exactly `count` bytes, fewer only where the stream ends. */
  async read(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    let filled = 0;
    while (filled < count && (await this.#more())) {
      const part = this.#take(count - filled);
      bytes.set(part, filled);
      filled += part.length;
    }
    return filled === count ? bytes : bytes.subarray(0, filled);
  }

  /** Leaves out `count` bytes; gives back how many there were. */
  async skip(count: number): Promise<number> {
    let skipped = 0;
    while (skipped < count && (await this.#more())) skipped += this.#take(count - skipped).length;
    return skipped;
  }

  /** Tells the producer that nobody reads on. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  #take(atMost: number): Uint8Array {
    const part = this.#piece.subarray(this.#at, this.#at + atMost);
    this.#at += part.length;
    return part;
  }

  async #more(): Promise<boolean> {
    while (this.#at >= this.#piece.length) {
      const next = await this.#pieces.next();
      if (next.done) return false;
      this.#piece = next.value;
      this.#at = 0;
    }
    return true;
  }
}
