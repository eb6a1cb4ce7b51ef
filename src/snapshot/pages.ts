/**
 * The pages of an open snapshot, read when they are wanted: in pieces, since neighbours are often wanted next, or as planned where it is
 * known what will be. What a differential snapshot has not is in its base.
 */
import { pageSize } from "#address";
import { KeptPages, type KeptStats, MemoryObjectError, type PageKernels } from "#memory";
import { mostPages, type Opened, type PageIndex, type SnapshotSource } from "./format.ts";

/** Pages read at once, with no plan; places of the file between two that are wanted, for which it pays to read on; the most in a piece. */
const piecePages = 16;
const widestGap = 8;
const longestPiece = 256;

/** Places in the file, one after the other. */
interface Piece {
  readonly first: number;
  readonly count: number;
}
const nothing: Piece = { first: 0, count: 0 };

/** The index of a snapshot, and the file behind it. */
export class SnapshotReader {
  readonly source: SnapshotSource;
  /** The file's header: what no other snapshot begins with. */
  readonly header: Uint8Array;
  readonly base: SnapshotReader | undefined;
  readonly #index: PageIndex;
  /** Of each page: its number in the index + 1, below zero where it is zeros; 0 where the index has it not. */
  readonly #numbers: Int32Array;
  #piece = nothing;
  #bytes = new Uint8Array(piecePages * pageSize);
  /** Pieces to come, the next one last. */
  #plan: Piece[] = [];

  constructor(source: SnapshotSource, { header, index }: Opened, base?: SnapshotReader) {
    this.source = source;
    this.header = header;
    this.base = base;
    this.#index = index;
    this.#numbers = new Int32Array(index.count === 0 ? 0 : index.gfn(index.count - 1) + 1);
    for (let n = 0; n < index.count; n++) this.#numbers[index.gfn(n)] = index.place(n) === 0 ? ~n : n + 1;
  }

  /** Pages that the file itself has. */
  get pageCount(): number {
    return this.#index.count;
  }

  get hostBytes(): number {
    return 12 * this.#index.count + this.#numbers.byteLength + this.#bytes.length + (this.base?.hostBytes ?? 0);
  }

  /** Above the number of every page that is here. */
  get end(): number {
    return Math.max(this.#numbers.length, this.base?.end ?? 0);
  }

  /** Whether the page holds anything but zeros. */
  has(gfn: number): boolean {
    const number = gfn < this.#numbers.length ? this.#numbers[gfn] : 0;
    return number === 0 ? (this.base?.has(gfn) ?? false) : number > 0;
  }

  /** As of a memory object. An index is short beside a guest's memory. */
  eachHeld(first: number, end: number, see: (gfn: number) => void): void {
    if (this.base === undefined) return this.#eachOwn(first, end, see);
    for (let gfn = first; gfn < Math.min(end, this.end); gfn++) if (this.has(gfn)) see(gfn);
  }

  #eachOwn(first: number, end: number, see: (gfn: number) => void): void {
    const index = this.#index;
    for (let n = 0; n < index.count; n++) {
      const gfn = index.gfn(n);
      if (gfn >= first && gfn < end && index.place(n) !== 0) see(gfn);
    }
  }

  /** The checksum of a page that is here; undefined for one of zeros. */
  checkOf(gfn: number): number | undefined {
    const n = this.#numberOf(gfn);
    if (n < 0) return this.base?.checkOf(gfn);
    return this.#index.place(n) === 0 ? undefined : this.#index.check(n);
  }

  /** The bytes of a page that is here, until the next call; whether they are those that were saved its check tells. */
  bytesOf(gfn: number): Uint8Array {
    const n = this.#numberOf(gfn);
    if (n < 0) return (this.base as SnapshotReader).bytesOf(gfn);
    const place = this.#index.place(n);
    if (!holds(this.#piece, place)) this.#readPiece(place);
    const at = (place - this.#piece.first) * pageSize;
    return this.#bytes.subarray(at, at + pageSize);
  }

  /** Reads anew what it has read. */
  forget(): void {
    this.#piece = nothing;
    this.base?.forget();
  }

  /** Of these pages, those that are here will be read next, in this order, that of their numbers. */
  expect(gfns: readonly number[] | Uint32Array): void {
    const plan: { first: number; count: number }[] = [];
    for (const gfn of gfns) {
      const n = this.#numberOf(gfn);
      const place = n < 0 ? 0 : this.#index.place(n);
      if (place === 0) continue;
      const last = plan.at(-1);
      const gap = last && place - last.first - last.count;
      if (last && gap !== undefined && gap >= 0 && gap < widestGap && place - last.first < longestPiece)
        last.count = place + 1 - last.first;
      else plan.push({ first: place, count: 1 });
    }
    this.#plan = plan.reverse();
    this.base?.expect(gfns);
  }

  /** In the index; below zero where that has it not. */
  #numberOf(gfn: number): number {
    const number = gfn < this.#numbers.length ? this.#numbers[gfn] : 0;
    return number < 0 ? ~number : number - 1;
  }

  #readPiece(place: number): void {
    const planned = this.#plan.findLast((piece) => holds(piece, place));
    if (planned) this.#plan.length = this.#plan.lastIndexOf(planned);
    const wanted = planned ?? { first: place - (place % piecePages), count: piecePages };
    if (this.#bytes.length < wanted.count * pageSize) this.#bytes = new Uint8Array(wanted.count * pageSize);
    this.#piece = nothing;
    const bytes = this.#bytes.subarray(0, wanted.count * pageSize);
    const got = this.source.read(wanted.first * pageSize, bytes);
    const piece = { first: wanted.first, count: Math.floor(got / pageSize) };
    if (!holds(piece, place)) throw new MemoryObjectError(`${this.source.name}: the snapshot is truncated`);
    this.#piece = piece;
  }
}

const holds = ({ first, count }: Piece, place: number): boolean => place >= first && place < first + count;

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

  eachHeld(first: number, end: number, see: (gfn: number) => void): void {
    this.#reader.eachHeld(first, end, see);
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
