/**
 * A stream of bytes from a producer that is told what was read: `for await` takes it, one reader at a time.
 *
 * What is held is bounded by the producer's window; a reader that leaves early frees what comes later at once.
 */
export class ByteQueue implements AsyncIterable<Uint8Array> {
  readonly #onRead: (count: number) => void;
  #chunks: Uint8Array[] = [];
  #ended = false;
  #error: Error | undefined;
  #discarding = false;
  #wake: (() => void) | undefined;

  constructor(onRead: (count: number) => void) {
    this.#onRead = onRead;
  }

  push(bytes: Uint8Array): void {
    if (this.#discarding) return this.#onRead(bytes.length);
    this.#chunks.push(bytes);
    this.#wake?.();
  }

  end(error?: Error): void {
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  /** Nobody wants what is there and what will come. */
  discard(): void {
    this.#discarding = true;
    for (const chunk of this.#chunks.splice(0)) this.#onRead(chunk.length);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk) {
          yield chunk;
          // What was read counts when the reader comes back for more.
          this.#onRead(chunk.length);
        } else if (this.#error) throw this.#error;
        else if (this.#ended) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.discard();
    }
  }
}
