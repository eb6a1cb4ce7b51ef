/** The bytes between the agent and us: a serial line or a virtio port, sent no further ahead than the line can hold. */
export interface AgentLine {
  onOutput(receive: (bytes: Uint8Array) => void): () => void;
  /** Sends to the guest; resolved when the line has taken all of it. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolved when the guest has all that was written. */
  drained(): Promise<void>;
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
  /** Sent while the line is held. */
  #later: Uint8Array[] | undefined;
  #empty: PromiseWithResolvers<void> | undefined;

  constructor(line: AgentLine, window: number) {
    this.#line = line;
    this.#window = window;
  }

  send(bytes: Uint8Array): void {
    if (this.#later) {
      this.#later.push(bytes);
      return;
    }
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
    this.#sent();
  }

  /** Resolved when the guest has all that was sent before; what is sent from now on waits for `release`. */
  async hold(): Promise<void> {
    this.#later ??= [];
    if (this.#queue.length > 0) {
      this.#empty ??= Promise.withResolvers<void>();
      await this.#empty.promise;
    }
    await this.#line.drained();
  }

  release(): void {
    const later = this.#later ?? [];
    this.#later = undefined;
    for (const bytes of later) this.send(bytes);
  }

  #sent(): void {
    this.#empty?.resolve();
    this.#empty = undefined;
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
    if (this.#queue.length === 0) this.#sent();
  }
}
