/**
 * A queue of messages between two threads: one sends, one receives, neither locks, neither waits.
 *
 * Layout of the shared buffer: i32 `read`, i32 `written` (bytes since the start, wrapping at 2^32), i32 `wantsRoom`, then the
 * data, a power of two long. A message is a u32 length, its bytes, and padding to a multiple of 4, so that no length wraps.
 *
 * Laws: a message is seen whole or not at all; what is received is what was sent, in order. The other side is woken when it
 * may be asleep: the receiver at the first message after it has read all others, the sender when half of the ring is free after
 * `send` said that there was no room: not for each message, since being woken costs as much as sending some. (Each side stores its count before it looks at the other's, so one of two always sees.)
 */
import { assert } from "./assert.ts";

const headerBytes = 12;
const readIndex = 0;
const writtenIndex = 1;
const wantsRoomIndex = 2;
const lengthBytes = 4;

/** Shared memory for a ring of `capacity` bytes, a power of two. A message takes 4 bytes and its length rounded up to 4. */
export function allocateMessageRing(capacity: number): SharedArrayBuffer {
  assert(
    capacity >= 64 && capacity <= 2 ** 28 && (capacity & (capacity - 1)) === 0,
    "a ring's capacity is a power of two",
  );
  return new SharedArrayBuffer(headerBytes + capacity);
}

/** How many bytes a message takes in a ring. */
const taken = (length: number): number => lengthBytes + ((length + 3) & ~3);

export class MessageSender {
  readonly #counts: Int32Array;
  readonly #data: Uint8Array;
  readonly #lengths: Int32Array;
  readonly #wake: () => void;

  /** `wake`: the receiver is to look. */
  constructor(shared: SharedArrayBuffer, wake: () => void) {
    this.#counts = new Int32Array(shared, 0, 3);
    this.#data = new Uint8Array(shared, headerBytes);
    this.#lengths = new Int32Array(shared, headerBytes);
    this.#wake = wake;
  }

  /** The longest message that ever fits. */
  get maxBytes(): number {
    return this.#data.length - lengthBytes;
  }

  /** Sends a message made of `parts`; false, and nothing is sent, where there is no room: then its receiver will tell. */
  send(...parts: readonly Uint8Array[]): boolean {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    assert(length <= this.maxBytes, "a message fits its ring");
    if (!this.#hasRoom(taken(length))) {
      Atomics.store(this.#counts, wantsRoomIndex, 1);
      if (!this.#hasRoom(taken(length))) return false;
      Atomics.store(this.#counts, wantsRoomIndex, 0);
    }
    const before = Atomics.load(this.#counts, writtenIndex);
    this.#lengths[(before & (this.#data.length - 1)) >> 2] = length;
    let at = before + lengthBytes;
    for (const part of parts) {
      this.#copy(at, part);
      at += part.length;
    }
    Atomics.store(this.#counts, writtenIndex, (before + taken(length)) | 0);
    if (Atomics.load(this.#counts, readIndex) === before) this.#wake();
    return true;
  }

  #hasRoom(bytes: number): boolean {
    const used = (Atomics.load(this.#counts, writtenIndex) - Atomics.load(this.#counts, readIndex)) >>> 0;
    return this.#data.length - used >= bytes;
  }

  #copy(at: number, part: Uint8Array): void {
    const start = at & (this.#data.length - 1);
    const first = Math.min(part.length, this.#data.length - start);
    if (first === part.length) return this.#data.set(part, start);
    this.#data.set(part.subarray(0, first), start);
    this.#data.set(part.subarray(first), 0);
  }
}

export class MessageReceiver {
  readonly #counts: Int32Array;
  readonly #data: Uint8Array;
  readonly #lengths: Int32Array;
  readonly #wake: () => void;

  /** `wake`: the sender is to look, there is room again. */
  constructor(shared: SharedArrayBuffer, wake: () => void) {
    this.#counts = new Int32Array(shared, 0, 3);
    this.#data = new Uint8Array(shared, headerBytes);
    this.#lengths = new Int32Array(shared, headerBytes);
    this.#wake = wake;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#counts, readIndex) === Atomics.load(this.#counts, writtenIndex);
  }

  /** The next message, in memory of its own; undefined when there is none. */
  receive(): Uint8Array<ArrayBuffer> | undefined {
    if (this.isEmpty) return undefined;
    const { start, length } = this.#next();
    const message = this.#copy(start, length);
    this.#taken(length);
    return message;
  }

  /**
   * Shows the next message, where it lies in the ring if it lies there in one piece: the view is good during the call only. It stays
   * the next one unless `take` gives true. False when there is none, or it was not taken.
   */
  receiveInPlace(take: (message: Uint8Array) => boolean): boolean {
    if (this.isEmpty) return false;
    const { start, length } = this.#next();
    const whole = start + length <= this.#data.length;
    if (!take(whole ? this.#data.subarray(start, start + length) : this.#copy(start, length))) return false;
    this.#taken(length);
    return true;
  }

  #next(): { readonly start: number; readonly length: number } {
    const before = Atomics.load(this.#counts, readIndex);
    const length = this.#lengths[(before & (this.#data.length - 1)) >> 2] as number;
    return { start: (before + lengthBytes) & (this.#data.length - 1), length };
  }

  #copy(start: number, length: number): Uint8Array<ArrayBuffer> {
    const message = new Uint8Array(length);
    const first = Math.min(length, this.#data.length - start);
    message.set(this.#data.subarray(start, start + first));
    if (first < length) message.set(this.#data.subarray(0, length - first), first);
    return message;
  }

  /** The next message is over: its room is the sender's again. */
  #taken(length: number): void {
    const after = (Atomics.load(this.#counts, readIndex) + taken(length)) | 0;
    Atomics.store(this.#counts, readIndex, after);
    const used = (Atomics.load(this.#counts, writtenIndex) - after) >>> 0;
    if (used <= this.#data.length / 2 && Atomics.exchange(this.#counts, wantsRoomIndex, 0) !== 0) this.#wake();
  }
}
