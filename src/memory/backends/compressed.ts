/**
 * Pages as LZ4 blocks in pieces of host memory of few sizes; what does not get smaller is kept as it is.
 *
 * Pages that have been here for long are *cold*: many at a time become one batch, which a slower codec makes smaller than the pages
 * alone, and which goes to the inner object where there is one. A page that is wanted of a batch costs all of it, so that what is left
 * of a batch when most of it is gone becomes warm again.
 */
import { pageSize } from "#address";
import { assert } from "#base";
import type { PageKernels } from "../page-kernels.ts";
import { type BatchCodec, ColdBatches } from "./cold-batches.ts";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import { type MemoryObject, MemoryObjectError } from "./memory-object.ts";
import { grown, Slots } from "./slots.ts";

export interface CompressedOptions {
  readonly kernels: PageKernels;
  /** For cold pages; without one, all stay warm. */
  readonly codec?: BatchCodec;
  /** Where batches of cold pages go; without one, into host memory. Requires: a codec. */
  readonly inner?: MemoryObject;
  /** A page is cold when so many were written after it. */
  readonly coldAfter?: number;
}

interface Write {
  readonly page: number;
  readonly stamp: number;
}

/** Sizes of pieces: multiples of so many bytes, and a whole page. */
const step = 128;
/** A block that saves less than a quarter is not worth its decompression. */
const largestBlock = 3072 - 2;
const wholePage = largestBlock + 2 + step;
const classes = wholePage / step;
const classBits = 5;
const defaultColdAfter = 16384;

export class CompressedPages extends KeptPages {
  readonly #kernels: PageKernels;
  /** By class: of size (class + 1) * step; the last one has whole pages. A block stands behind its size, u16. */
  readonly #slots: readonly Slots[];
  readonly #cold: ColdBatches | undefined;
  readonly #coldAfter: number;
  /** Of each page: its slot and class, + 1; -1: in a batch; 0 is a hole. */
  #places: Int32Array;
  /** Of each page that is warm: which write it was. */
  #stamps: Float64Array;
  /** Pages and stamps in the order of their writes; those that have another stamp by now do not count. */
  #queue: Write[] = [];
  #queueStart = 0;
  /** Cold ones, fewer than a batch takes. */
  #due: Write[] = [];
  #clock = 0;
  #warm = 0;
  #blockBytes = 0;

  constructor(pageCount: number, { kernels, codec, inner, coldAfter = defaultColdAfter }: CompressedOptions) {
    super("compressed", pageCount, inner);
    assert(inner === undefined || codec !== undefined, "what goes to an inner object are batches");
    this.#kernels = kernels;
    this.#coldAfter = coldAfter;
    this.#slots = Array.from({ length: classes }, (_, n) => new Slots(n === classes - 1 ? pageSize : (n + 1) * step));
    this.#places = new Int32Array(pageCount);
    this.#stamps = new Float64Array(pageCount);
    if (codec) this.#cold = new ColdBatches(codec, inner);
  }

  has(page: number): boolean {
    return this.#places[page] !== 0;
  }

  protected load(page: number, target: Uint8Array): void {
    const place = this.#places[page];
    if (place > 0) this.#loadWarm(place - 1, target);
    else this.#cold?.read(page, target);
  }

  protected store(page: number, source: Uint8Array): void {
    const place = this.#putWarm(source);
    if (this.has(page)) this.drop(page);
    this.#enter(page, place);
    this.#cool();
  }

  protected drop(page: number): void {
    const place = this.#places[page];
    this.#places[page] = 0;
    if (place > 0) this.#giveWarm(place - 1);
    else this.#warmUp(this.#cold?.drop(page) ?? []);
  }

  protected override isInMemory(page: number): boolean {
    return this.#places[page] > 0 || this.#cold?.isInMemory === true;
  }

  protected override resized(pageCount: number): void {
    this.#places = grown(this.#places, pageCount);
    this.#stamps = grown(this.#stamps, pageCount);
  }

  protected kept(): KeptStats {
    const cold = this.#cold?.stats() ?? { pages: 0, batches: 0, bytes: 0, hostBytes: 0 };
    const slots = this.#slots.reduce((sum, each) => sum + each.hostBytes, 0);
    return {
      pagesHeld: this.#warm + cold.pages,
      hostBytes: slots + this.#places.byteLength + this.#stamps.byteLength + cold.hostBytes,
      own: {
        warmPages: this.#warm,
        warmBytes: this.#blockBytes,
        incompressible: this.#slots[classes - 1].taken,
        coldPages: cold.pages,
        coldBytes: cold.bytes,
        coldBatches: cold.batches,
      },
    };
  }

  #enter(page: number, place: number): void {
    this.#places[page] = place + 1;
    this.#stamps[page] = ++this.#clock;
    if (this.#cold) this.#queue.push({ page, stamp: this.#clock });
  }

  #putWarm(source: Uint8Array): number {
    const block = this.#kernels.compress(source, largestBlock);
    const size = block ? block.length + 2 : pageSize;
    const number = block ? Math.ceil(size / step) - 1 : classes - 1;
    const slots = this.#slots[number];
    const slot = slots.take();
    const bytes = slots.bytes(slot);
    if (block) {
      bytes[0] = block.length & 255;
      bytes[1] = block.length >> 8;
      bytes.set(block, 2);
    } else bytes.set(source);
    this.#warm++;
    this.#blockBytes += size;
    return (slot << classBits) | number;
  }

  #loadWarm(place: number, target: Uint8Array): void {
    const number = place & ((1 << classBits) - 1);
    const bytes = this.#slots[number].bytes(place >> classBits);
    if (number === classes - 1) target.set(bytes);
    else if (!this.#kernels.decompress(bytes.subarray(2, 2 + sizeIn(bytes)), target))
      throw new MemoryObjectError(`${this.kind}: a page is not what was compressed`);
  }

  #giveWarm(place: number): void {
    const number = place & ((1 << classBits) - 1);
    const slots = this.#slots[number];
    const slot = place >> classBits;
    this.#blockBytes -= number === classes - 1 ? pageSize : sizeIn(slots.bytes(slot)) + 2;
    slots.give(slot);
    this.#warm--;
  }

  /** Makes a batch of the oldest pages, if they are cold and enough for one. */
  #cool(): void {
    if (this.#cold === undefined) return;
    while (this.#clock - (this.#queue[this.#queueStart]?.stamp ?? this.#clock) >= this.#coldAfter) {
      const write = this.#queue[this.#queueStart++];
      if (this.#counts(write)) this.#due.push(write);
    }
    if (this.#queueStart > this.#queue.length / 2) {
      this.#queue = this.#queue.slice(this.#queueStart);
      this.#queueStart = 0;
    }
    const { batchPages } = this.#cold;
    if (this.#due.length < batchPages) return;
    this.#due = this.#due.filter((write) => this.#counts(write));
    if (this.#due.length < batchPages) return;
    const pages = this.#due.splice(0, batchPages).map(({ page }) => page);
    const bytes = new Uint8Array(pages.length * pageSize);
    for (const [n, page] of pages.entries())
      this.#loadWarm(this.#places[page] - 1, bytes.subarray(n * pageSize, (n + 1) * pageSize));
    // Where there is no room for it, they stay warm.
    if (!this.#cold.put(pages, bytes)) return;
    for (const page of pages) {
      this.#giveWarm(this.#places[page] - 1);
      this.#places[page] = -1;
    }
  }

  /** The page is warm, and was not written since. */
  #counts({ page, stamp }: Write): boolean {
    return page < this.pageCount && this.#places[page] > 0 && this.#stamps[page] === stamp;
  }

  /** Pages of a batch that is no more. */
  #warmUp(pages: readonly { readonly page: number; readonly bytes: Uint8Array }[]): void {
    for (const { page, bytes } of pages) this.#enter(page, this.#putWarm(bytes));
  }
}

const sizeIn = (bytes: Uint8Array): number => bytes[0] | (bytes[1] << 8);
