/**
 * Bytes on their way to the peer: those that it has not acknowledged, then those not yet sent.
 *
 * A small ring; a larger one while there is more than fits, which is given back when the queue is empty. So a connection costs about
 * what it holds, and one that is often busy does not allot memory each time: larger rings are kept for the next that wants one.
 * Law: never more than `limit` bytes.
 */

const smallBytes = 8 * 1024;
/** Each ring is so many times as long as the next smaller one. */
const growth = 8;
/** Given back, by size. */
const spares = new Map<number, Uint8Array[]>();
const mostSpares = 16;

export class SendQueue {
  readonly limit: number;
  #data: Uint8Array = new Uint8Array(0);
  #head = 0;
  #length = 0;

  /** `limit`: a power of two, above the small ring's. */
  constructor(limit: number) {
    this.limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends as much as fits, and gives how much that was. */
  append(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, this.limit - this.#length);
    if (count === 0) return 0;
    this.#reserve(this.#length + count);
    const start = (this.#head + this.#length) & (this.#data.length - 1);
    const first = Math.min(count, this.#data.length - start);
    this.#data.set(bytes.subarray(0, first), start);
    this.#data.set(bytes.subarray(first, count), 0);
    this.#length += count;
    return count;
  }

  /** Copies `[offset, offset + length)`, counted from the first byte, to `target` at `at`. Requires: it is there. */
  copy(offset: number, length: number, target: Uint8Array, at: number): void {
    let next = at;
    for (const view of this.views(offset, length)) {
      target.set(view, next);
      next += view.length;
    }
  }

  /** The same as it lies here, in up to two pieces: good until the queue changes. */
  views(offset: number, length: number): readonly Uint8Array[] {
    if (length === 0) return [];
    const start = (this.#head + offset) & (this.#data.length - 1);
    const first = Math.min(length, this.#data.length - start);
    const view = this.#data.subarray(start, start + first);
    return first === length ? [view] : [view, this.#data.subarray(0, length - first)];
  }

  /** Forgets the first `count` bytes. Requires: there are as many. */
  discard(count: number): void {
    this.#length -= count;
    if (this.#length === 0) this.clear();
    else this.#head = (this.#head + count) & (this.#data.length - 1);
  }

  clear(): void {
    this.#length = 0;
    this.#head = 0;
    if (this.#data.length <= smallBytes) return;
    giveBack(this.#data);
    this.#data = new Uint8Array(0);
  }

  #reserve(wanted: number): void {
    if (wanted <= this.#data.length) return;
    let size = smallBytes;
    while (size < wanted) size = Math.min(this.limit, size * growth);
    const grown = size === smallBytes ? new Uint8Array(size) : takeRing(size);
    this.copy(0, this.#length, grown, 0);
    if (this.#data.length > smallBytes) giveBack(this.#data);
    this.#data = grown;
    this.#head = 0;
  }
}

const takeRing = (bytes: number): Uint8Array => spares.get(bytes)?.pop() ?? new Uint8Array(bytes);

function giveBack(ring: Uint8Array): void {
  const list = spares.get(ring.length) ?? [];
  spares.set(ring.length, list);
  if (list.length < mostSpares) list.push(ring);
}
