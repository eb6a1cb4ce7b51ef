/** Pages that nobody wants soon, many in one piece: each piece is compressed as a whole. */
import { pageSize } from "#address";
import { type MemoryObject, MemoryObjectError } from "./memory-object.ts";

/** Compresses well and slowly; given from outside. */
export interface BatchCodec {
  compress(bytes: Uint8Array): Uint8Array;
  /** Throws, or gives something else, where the bytes are not what `compress` gave. */
  decompress(bytes: Uint8Array, sizeBytes: number): Uint8Array;
}

interface Batch {
  /** Its pages; those that are gone are -1. */
  readonly pages: number[];
  live: number;
  readonly size: number;
  /** Without an inner object. */
  readonly bytes?: Uint8Array;
  /** Pages of the inner object. */
  readonly places: readonly number[];
}

const batchPages = 16;
/** A batch with fewer of its pages left is given up. */
const leastLive = 4;

export class ColdBatches {
  readonly batchPages = batchPages;
  readonly #codec: BatchCodec;
  readonly #inner: MemoryObject | undefined;
  readonly #batchOf = new Map<number, Batch>();
  readonly #batches = new Set<Batch>();
  /** Pages of the inner object that were given back; those from `#next` on were never used. */
  readonly #free: number[] = [];
  #next = 0;
  #bytes = 0;
  /** What was read last: neighbours are often wanted next. */
  #last: { readonly batch: Batch; readonly bytes: Uint8Array } | undefined;

  constructor(codec: BatchCodec, inner: MemoryObject | undefined) {
    this.#codec = codec;
    this.#inner = inner;
  }

  get isInMemory(): boolean {
    return this.#inner === undefined;
  }

  /** False where there is no room; then nothing was put. */
  put(pages: readonly number[], bytes: Uint8Array): boolean {
    const packed = this.#codec.compress(bytes);
    const smaller = packed.length < bytes.length ? packed : bytes;
    const places = this.#inner ? this.#write(this.#inner, smaller) : [];
    if (places === undefined) return false;
    const batch: Batch = {
      pages: [...pages],
      live: pages.length,
      size: smaller.length,
      places,
      ...(!this.#inner && { bytes: smaller.slice() }),
    };
    for (const page of pages) this.#batchOf.set(page, batch);
    this.#batches.add(batch);
    this.#bytes += batch.size;
    return true;
  }

  read(page: number, target: Uint8Array): void {
    const batch = this.#batchOf.get(page) as Batch;
    const at = batch.pages.indexOf(page) * pageSize;
    target.set(this.#open(batch).subarray(at, at + pageSize));
  }

  /** Forgets a page. What is left of its batch, where that is given up. */
  drop(page: number): readonly { readonly page: number; readonly bytes: Uint8Array }[] {
    const batch = this.#batchOf.get(page) as Batch;
    this.#batchOf.delete(page);
    batch.pages[batch.pages.indexOf(page)] = -1;
    batch.live--;
    if (batch.live >= leastLive) return [];
    const left = batch.pages.flatMap((each, n) => (each < 0 ? [] : [{ page: each, at: n * pageSize }]));
    if (left.length === 0) {
      this.#remove(batch);
      return [];
    }
    let bytes: Uint8Array;
    try {
      bytes = this.#open(batch);
    } catch (error) {
      // Who wants one of the others is told.
      if (error instanceof MemoryObjectError) return [];
      throw error;
    }
    this.#remove(batch);
    for (const each of left) this.#batchOf.delete(each.page);
    return left.map((each) => ({ page: each.page, bytes: bytes.subarray(each.at, each.at + pageSize) }));
  }

  stats(): { readonly pages: number; readonly batches: number; readonly bytes: number; readonly hostBytes: number } {
    return {
      pages: this.#batchOf.size,
      batches: this.#batches.size,
      bytes: this.#bytes,
      hostBytes:
        (this.#inner ? 0 : this.#bytes) + this.#batches.size * bytesPerBatch + this.#batchOf.size * bytesPerPage,
    };
  }

  #open(batch: Batch): Uint8Array {
    if (this.#last?.batch === batch) return this.#last.bytes;
    const packed = batch.bytes ?? this.#readBack(batch);
    const bytes = batch.size === batchPages * pageSize ? packed : this.#decompress(packed);
    this.#last = { batch, bytes };
    return bytes;
  }

  #decompress(packed: Uint8Array): Uint8Array {
    try {
      const bytes = this.#codec.decompress(packed, batchPages * pageSize);
      if (bytes.length === batchPages * pageSize) return bytes;
    } catch {
      // Said below.
    }
    throw new MemoryObjectError("compressed: a batch of cold pages is not what was compressed");
  }

  /** Pages of the inner object that have the bytes now; undefined where there is no room for them. */
  #write(inner: MemoryObject, bytes: Uint8Array): number[] | undefined {
    const places: number[] = [];
    const page = new Uint8Array(pageSize);
    try {
      for (let done = 0; done < bytes.length; done += pageSize) {
        const place = this.#free.pop() ?? this.#next++;
        places.push(place);
        if (place >= inner.pageCount) inner.resize(Math.max(2 * inner.pageCount, batchPages));
        page.fill(0);
        page.set(bytes.subarray(done, done + pageSize));
        inner.write(place, page);
      }
      return places;
    } catch (error) {
      this.#free.push(...places);
      if (error instanceof MemoryObjectError) return undefined;
      throw error;
    }
  }

  #readBack(batch: Batch): Uint8Array {
    const bytes = new Uint8Array(batch.places.length * pageSize);
    for (const [n, place] of batch.places.entries())
      this.#inner?.read(place, bytes.subarray(n * pageSize, (n + 1) * pageSize));
    return bytes.subarray(0, batch.size);
  }

  #remove(batch: Batch): void {
    this.#batches.delete(batch);
    this.#bytes -= batch.size;
    if (this.#last?.batch === batch) this.#last = undefined;
    for (const place of batch.places) this.#inner?.punch(place, 1);
    this.#free.push(...batch.places);
  }
}

/** About what their entries in maps take. */
const bytesPerBatch = 256;
const bytesPerPage = 40;
