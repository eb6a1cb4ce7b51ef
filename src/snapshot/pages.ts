/**
 * The pages of an open snapshot, read when they are wanted: in pieces, since neighbours are often wanted next, or as planned where it is
 * known what will be.
 */
import { pageSize } from "#address";
import { KeptPages, type KeptStats, MemoryObjectError, type PageKernels } from "#memory";
import { mostPages, type Opened, type SnapshotSource } from "./format.ts";

/** Pages read at once, with no plan; places of the file between two that are wanted, for which it pays to read on; the most in a piece. */
const piecePages = 16;
const widestGap = 8;
const longestPiece = 256;

/** Places in the index, one after the other. */
interface Piece {
  readonly first: number;
  readonly count: number;
}
const nothing: Piece = { first: 0, count: 0 };

/** The index of a snapshot, and the file behind it. */
export class SnapshotReader {
  readonly source: SnapshotSource;
  /** The file's header: what no other snapshot begins with. */
  readonly identity: Uint8Array;
  readonly pageCount: number;
  readonly #index: Uint32Array;
  /** Of each page: its place in the index + 1; 0 is a hole. */
  readonly #places: Int32Array;
  readonly #pagesAt: number;
  #piece = nothing;
  #bytes = new Uint8Array(piecePages * pageSize);
  /** Pieces to come, in order. */
  #plan: Piece[] = [];

  constructor(source: SnapshotSource, { head, index, layout }: Opened) {
    const count = index.length / 2;
    this.source = source;
    this.identity = head;
    this.pageCount = count;
    this.#index = index;
    this.#pagesAt = layout.pages;
    this.#places = new Int32Array(count === 0 ? 0 : index[2 * count - 2] + 1);
    for (let place = 0; place < count; place++) this.#places[index[2 * place]] = place + 1;
  }

  get hostBytes(): number {
    return this.#index.byteLength + this.#places.byteLength + this.#bytes.length;
  }

  has(gfn: number): boolean {
    return gfn < this.#places.length && this.#places[gfn] !== 0;
  }

  /** The checksum of a page; undefined for one that is not here. */
  checkOf(gfn: number): number | undefined {
    return this.has(gfn) ? this.#index[2 * (this.#places[gfn] - 1) + 1] : undefined;
  }

  /** The bytes of a page that is here, until the next call; whether they are those that were saved its check tells. */
  bytesOf(gfn: number): Uint8Array {
    const place = this.#places[gfn] - 1;
    if (!holds(this.#piece, place)) this.#readPiece(place);
    const at = (place - this.#piece.first) * pageSize;
    return this.#bytes.subarray(at, at + pageSize);
  }

  /** Reads anew what it has read. */
  forget(): void {
    this.#piece = nothing;
  }

  /** Of these pages, those that are here will be read next, in this order, that of their numbers. */
  expect(gfns: Iterable<number>): void {
    const plan: { first: number; count: number }[] = [];
    for (const gfn of gfns) {
      if (!this.has(gfn)) continue;
      const place = this.#places[gfn] - 1;
      const last = plan.at(-1);
      if (last !== undefined && place - last.first < longestPiece && place - last.first - last.count < widestGap)
        last.count = place + 1 - last.first;
      else plan.push({ first: place, count: 1 });
    }
    this.#plan = plan.reverse();
  }

  #readPiece(place: number): void {
    while (endOf(this.#plan.at(-1)) <= place) this.#plan.pop();
    const planned = this.#plan.at(-1);
    const piece = planned && holds(planned, place) ? planned : this.#around(place);
    if (this.#bytes.length < piece.count * pageSize) this.#bytes = new Uint8Array(piece.count * pageSize);
    const bytes = this.#bytes.subarray(0, piece.count * pageSize);
    this.#piece = nothing;
    if (this.source.read(this.#pagesAt + piece.first * pageSize, bytes) !== bytes.length)
      throw new MemoryObjectError(`${this.source.name}: the snapshot is truncated`);
    this.#piece = piece;
  }

  #around(place: number): Piece {
    const first = place - (place % piecePages);
    return { first, count: Math.min(piecePages, this.pageCount - first) };
  }
}

const holds = ({ first, count }: Piece, place: number): boolean => place >= first && place < first + count;
const endOf = (piece: Piece | undefined): number => (piece ? piece.first + piece.count : Number.POSITIVE_INFINITY);

/** As a memory object: page n is guest frame n. */
export class SnapshotPages extends KeptPages {
  readonly #reader: SnapshotReader;
  readonly #kernels: PageKernels;

  constructor(reader: SnapshotReader, kernels: PageKernels) {
    super("snapshot", mostPages);
    this.#reader = reader;
    this.#kernels = kernels;
    this.seal();
  }

  has(gfn: number): boolean {
    return this.#reader.has(gfn);
  }

  protected load(gfn: number, target: Uint8Array): void {
    target.set(this.#reader.bytesOf(gfn));
    if (this.#kernels.check(target) === this.#reader.checkOf(gfn)) return;
    this.#reader.forget();
    const { name } = this.#reader.source;
    throw new MemoryObjectError(`${name}: the page of guest frame 0x${gfn.toString(16)} is damaged`);
  }

  protected store(): void {}
  protected drop(): void {}

  protected kept(): KeptStats {
    const { pageCount, hostBytes, source } = this.#reader;
    return { pagesHeld: pageCount, hostBytes, fileBytes: source.sizeBytes };
  }
}
