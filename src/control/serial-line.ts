/**
 * The owner's end of one serial line of a machine: subscribers to what the guest sends, and a writer that never drops.
 *
 * Law: bytes go to the guest in the order of the calls to `write`; what the ring cannot take yet waits here.
 */
import { ByteRingWriter } from "#base";
import type { SerialPort } from "./vm-api.ts";

/** A lost wake-up costs no more than this. */
const roomTimeoutMs = 250;

type Receive = (bytes: Uint8Array) => void | Promise<void>;

export class SerialLine implements SerialPort {
  readonly #ring: ByteRingWriter;
  readonly #ringBell: () => void;
  readonly #receivers = new Set<Receive>();
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(input: SharedArrayBuffer, ringBell: () => void) {
    this.#ring = new ByteRingWriter(input);
    this.#ringBell = ringBell;
  }

  onOutput(receive: Receive): () => void {
    this.#receivers.add(receive);
    return () => this.#receivers.delete(receive);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#last = this.#last.then(() => this.#writeNow(bytes));
    return this.#last;
  }

  /** Resolved when the guest's UART has all that was written. */
  async drained(): Promise<void> {
    await this.#last;
    while (!this.#ring.isEmpty && !this.#closed) await this.#ring.progress(roomTimeoutMs);
  }

  /** Hands on what the guest sent; undefined when all receivers were done with it at once. */
  deliver(bytes: Uint8Array): Promise<unknown> | undefined {
    const open = [...this.#receivers].map((receive) => receive(bytes)).filter((result) => result instanceof Promise);
    return open.length > 0 ? Promise.allSettled(open) : undefined;
  }

  /** The machine ended: nothing is written any more, and writers do not wait. */
  close(): void {
    this.#closed = true;
  }

  async #writeNow(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0 && !this.#closed) {
      const taken = this.#ring.write(rest);
      rest = rest.subarray(taken);
      if (taken > 0) this.#ringBell();
      else await this.#ring.room(roomTimeoutMs);
    }
  }
}
