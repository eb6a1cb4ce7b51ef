/**
 * From the host's byte sources to the UARTs, as fast as these take it.
 *
 * Law: bytes arrive in order and none is lost; what a UART does not take waits, at most a chunk of it outside the source.
 */
import type { ByteSource } from "./machine-host.ts";

/** A UART's receiving side: gives how many bytes it took. */
export interface Receiver {
  receive(bytes: Uint8Array): number;
}

const chunkBytes = 64;

export class SerialInput {
  readonly #source: ByteSource;
  readonly #receiver: () => Receiver;
  /** Taken from the source, not yet by the UART. */
  #waiting = new Uint8Array(0);

  /** `receiver`: asked for when there are bytes, since it is made later than its input. */
  constructor(source: ByteSource, receiver: () => Receiver) {
    this.#source = source;
    this.#receiver = receiver;
  }

  /** Hands over what the UART takes of the bytes that are there. */
  feed(): void {
    for (;;) {
      if (this.#waiting.length === 0) {
        if (this.#source.available === 0) return;
        const bytes = new Uint8Array(Math.min(this.#source.available, chunkBytes));
        this.#waiting = bytes.subarray(0, this.#source.read(bytes));
        continue;
      }
      const taken = this.#receiver().receive(this.#waiting);
      const all = taken === this.#waiting.length;
      this.#waiting = this.#waiting.subarray(taken);
      if (!all) return;
    }
  }
}
