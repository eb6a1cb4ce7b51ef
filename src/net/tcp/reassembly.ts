/**
 * What has arrived out of order, kept until the gap before it is filled.
 *
 * Positions count bytes of the stream and do not wrap.
 * Law: pieces are disjoint and in order; together they are at most `limit` bytes and `maxPieces` pieces. What does not fit is
 * dropped: it has not been acknowledged, so the peer sends it again.
 */

interface Piece {
  readonly from: number;
  readonly bytes: Uint8Array;
}

const maxPieces = 256;

export class Reassembly {
  readonly #limit: number;
  #pieces: Piece[] = [];
  #bytes = 0;
  /** The piece that grew last: the first that a SACK option names (RFC 2018, 4). */
  #latest = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Keeps a copy of the parts that are new. */
  insert(from: number, bytes: Uint8Array): void {
    const end = from + bytes.length;
    const gaps: Piece[] = [];
    let at = from;
    for (const piece of this.#pieces) {
      if (piece.from >= end) break;
      const pieceEnd = piece.from + piece.bytes.length;
      if (pieceEnd <= at) continue;
      if (piece.from > at) gaps.push({ from: at, bytes: bytes.subarray(at - from, piece.from - from) });
      at = pieceEnd;
    }
    if (at < end) gaps.push({ from: at, bytes: bytes.subarray(at - from) });
    for (const gap of gaps) this.#keep(gap);
    this.#latest = from;
  }

  /** The bytes that follow `next` without a gap, in one or more calls of `deliver`; gives the position behind them. */
  take(next: number, deliver: (bytes: Uint8Array) => void): number {
    let at = next;
    while (this.#pieces.length > 0 && this.#pieces[0].from <= at) {
      const { from, bytes } = this.#pieces.shift() as Piece;
      this.#bytes -= bytes.length;
      const known = at - from;
      if (known >= bytes.length) continue;
      deliver(bytes.subarray(known));
      at = from + bytes.length;
    }
    return at;
  }

  /** Up to `most` runs of bytes that are here, the one that grew last first. */
  runs(most: number): (readonly [from: number, to: number])[] {
    const runs: [number, number][] = [];
    for (const { from, bytes } of this.#pieces) {
      const last = runs.at(-1);
      if (last !== undefined && last[1] === from) last[1] += bytes.length;
      else runs.push([from, from + bytes.length]);
    }
    const latest = runs.findIndex(([from, to]) => this.#latest >= from && this.#latest < to);
    if (latest > 0) runs.unshift(...runs.splice(latest, 1));
    return runs.slice(0, most);
  }

  #keep({ from, bytes }: Piece): void {
    if (this.#bytes + bytes.length > this.#limit || this.#pieces.length >= maxPieces) return;
    const after = this.#pieces.findIndex((piece) => piece.from > from);
    this.#pieces.splice(after < 0 ? this.#pieces.length : after, 0, { from, bytes: bytes.slice() });
    this.#bytes += bytes.length;
  }
}
