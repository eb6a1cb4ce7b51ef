/** The bytes between the agent and us: a serial line or a virtio port, sent no further ahead than the line can hold. */
export interface AgentLine {
  onOutput(receive: (bytes: Uint8Array) => void): () => void;
  /** Sends to the guest; resolved when the line has taken all of it. */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Law: bytes go out in the order of the calls to `send`, and never more than `window` that the agent has not told of. A serial
 * line needs that: what its driver cannot hold it drops.
 */
export class SendQueue {
  readonly #line: AgentLine;
  readonly #window: number;
  #queue: Uint8Array[] = [];
  #unread = 0;

  constructor(line: AgentLine, window: number) {
    this.#line = line;
    this.#window = window;
  }

  send(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#pump();
  }

  /** The agent has read so many more. */
  onRead(count: number): void {
    this.#unread = Math.max(0, this.#unread - count);
    this.#pump();
  }

  /** The agent at the other end is a new one. */
  reset(): void {
    this.#queue = [];
    this.#unread = 0;
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#unread < this.#window) {
      const first = this.#queue[0];
      const part = first.subarray(0, this.#window - this.#unread);
      if (part.length === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(part.length);
      this.#unread += part.length;
      void this.#line.write(part);
    }
  }
}
