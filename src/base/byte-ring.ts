/**
 * A byte queue between two threads: one writes, one reads, neither locks.
 *
 * Layout of the shared buffer: i32 `read`, i32 `written` (both count bytes since the start and wrap at 2^32), then the
 * data, a power of two long, so that a count's low bits are its place in the data.
 *
 * Law: 0 <= written - read <= capacity. The writer alone moves `written`, after the bytes are in place; the reader alone
 * moves `read`, after it has copied them. Each moves its count with an atomic store, which orders the copies around it.
 * Law: what is read is what was written, in order.
 *
 * Each side notifies waiters on its own count, so a full writer may wait on `read` and an empty reader on `written`.
 */
import { assert } from "./assert.ts";

const headerBytes = 8;
const readIndex = 0;
const writtenIndex = 1;

const counters = (shared: SharedArrayBuffer) => new Int32Array(shared, 0, 2);

/** Shared memory for a ring that holds `capacity` bytes; a power of two. */
export function allocateByteRing(capacity: number): SharedArrayBuffer {
  assert(
    capacity > 0 && capacity <= 2 ** 30 && (capacity & (capacity - 1)) === 0,
    "a ring's capacity is a power of two",
  );
  return new SharedArrayBuffer(headerBytes + capacity);
}

/** The end that puts bytes in. Requires: one writer a ring. */
export class ByteRingWriter {
  readonly #counts: Int32Array;
  readonly #data: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.#counts = counters(shared);
    this.#data = new Uint8Array(shared, headerBytes);
  }

  /** Bytes that can be written now. */
  get free(): number {
    return this.#data.length - fill(this.#counts);
  }

  /** Puts in as much of `bytes` as fits, and gives how many that were. */
  write(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, this.free);
    if (count === 0) return 0;
    const written = Atomics.load(this.#counts, writtenIndex);
    const start = written & (this.#data.length - 1);
    const first = Math.min(count, this.#data.length - start);
    this.#data.set(bytes.subarray(0, first), start);
    this.#data.set(bytes.subarray(first, count), 0);
    Atomics.store(this.#counts, writtenIndex, written + count);
    Atomics.notify(this.#counts, writtenIndex);
    return count;
  }

  /** Whether all that was written was read. */
  get isEmpty(): boolean {
    return this.free === this.#data.length;
  }

  /** Resolves when the reader has read something, or all, at the latest after `timeoutMs`. */
  async progress(timeoutMs: number): Promise<void> {
    const read = Atomics.load(this.#counts, readIndex);
    if (this.isEmpty) return;
    const waiting = Atomics.waitAsync(this.#counts, readIndex, read, timeoutMs);
    if (waiting.async) await waiting.value;
  }

  /** Resolves when there may be room for `bytes` more, at the latest after `timeoutMs`. Never blocks the thread. */
  async room(timeoutMs: number, bytes = 1): Promise<void> {
    const read = Atomics.load(this.#counts, readIndex);
    if (this.free >= bytes) return;
    const waiting = Atomics.waitAsync(this.#counts, readIndex, read, timeoutMs);
    if (waiting.async) await waiting.value;
  }
}

/** The end that takes bytes out. Requires: one reader a ring. */
export class ByteRingReader {
  readonly #counts: Int32Array;
  readonly #data: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.#counts = counters(shared);
    this.#data = new Uint8Array(shared, headerBytes);
  }

  /** Bytes that can be read now. */
  get available(): number {
    return fill(this.#counts);
  }

  /** Fills `target` from the start with what there is, and gives how many bytes that were. */
  read(target: Uint8Array): number {
    const count = Math.min(target.length, this.available);
    if (count === 0) return 0;
    const read = Atomics.load(this.#counts, readIndex);
    const start = read & (this.#data.length - 1);
    const first = Math.min(count, this.#data.length - start);
    target.set(this.#data.subarray(start, start + first), 0);
    target.set(this.#data.subarray(0, count - first), first);
    this.#advance(read, count);
    return count;
  }

  /** The next byte, or -1. */
  readByte(): number {
    if (this.available === 0) return -1;
    const read = Atomics.load(this.#counts, readIndex);
    const byte = this.#data[read & (this.#data.length - 1)] as number;
    this.#advance(read, 1);
    return byte;
  }

  #advance(read: number, count: number): void {
    Atomics.store(this.#counts, readIndex, read + count);
    Atomics.notify(this.#counts, readIndex);
  }
}

// The counts are i32 and wrap; their difference modulo 2^32 is the fill.
const fill = (counts: Int32Array): number =>
  (Atomics.load(counts, writtenIndex) - Atomics.load(counts, readIndex)) >>> 0;
