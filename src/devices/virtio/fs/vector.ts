/** Bytes that lie in several pieces: a request in the guest's memory, or the room for its answer. */
export class ByteVector {
  readonly #pieces: readonly Uint8Array[];
  readonly length: number;

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces;
    this.length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** Views of `length` bytes from `offset` on, or of as many as there are. */
  slice(offset: number, length: number): Uint8Array[] {
    const views: Uint8Array[] = [];
    let skip = offset;
    let left = length;
    for (const piece of this.#pieces) {
      if (left <= 0) break;
      if (skip >= piece.length) {
        skip -= piece.length;
        continue;
      }
      const view = piece.subarray(skip, skip + left);
      views.push(view);
      left -= view.length;
      skip = 0;
    }
    return views;
  }

  /** A copy of `length` bytes from `offset` on, or of as many as there are. */
  copy(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.length - offset)));
    let done = 0;
    for (const view of this.slice(offset, bytes.length)) {
      bytes.set(view, done);
      done += view.length;
    }
    return bytes;
  }

  /** Puts `bytes` at `offset`, as far as there is room; how many there was room for. */
  put(offset: number, bytes: Uint8Array): number {
    let done = 0;
    for (const view of this.slice(offset, bytes.length)) {
      view.set(bytes.subarray(done, done + view.length));
      done += view.length;
    }
    return done;
  }
}
