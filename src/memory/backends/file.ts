/**
 * Pages in a file of the host: page n is at n times 4096.
 *
 * A file that was there before has all its pages from the beginning, read when they are wanted; under an overlay it is mapped
 * copy-on-write. What is written here is checked when it is read. Holes are given back to the host's file system where it can.
 */
import { pageSize } from "#address";
import type { PageKernels } from "../page-kernels.ts";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import { MemoryObjectError } from "./memory-object.ts";
import { grown } from "./slots.ts";

/** A file of whatever host. Each call throws an Error that says what is wrong with it. */
export interface MemoryFile extends Disposable {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Fills `target` from `offset` on; gives how many bytes there were. */
  read(offset: number, target: Uint8Array): number;
  write(offset: number, source: Uint8Array): void;
  /** Gives its blocks back, so that it reads as zeros there; false where that cannot be done. */
  punch(offset: number, length: number): boolean;
  truncate(sizeBytes: number): void;
  /** What was written is on the disk. */
  sync(): void;
}

/** Of a page: a hole; one that the file had before; or 2 + its check. */
const hole = 0;
const asFound = 1;

export class FilePages extends KeptPages {
  readonly #file: MemoryFile;
  readonly #kernels: PageKernels;
  #pages: Float64Array;
  #held = 0;

  /** What the file has counts as its first pages; an empty one has none. */
  constructor(pageCount: number, file: MemoryFile, kernels: PageKernels) {
    super("file", pageCount);
    this.#file = file;
    this.#kernels = kernels;
    this.#pages = new Float64Array(pageCount);
    this.#held = Math.min(pageCount, Math.ceil(file.sizeBytes / pageSize));
    this.#pages.fill(asFound, 0, this.#held);
  }

  has(page: number): boolean {
    return this.#pages[page] !== hole;
  }

  protected load(page: number, target: Uint8Array): void {
    const got = this.#attempt(() => this.#file.read(page * pageSize, target));
    const kept = this.#pages[page];
    if (kept === asFound) {
      // The last page of what was there before may be a part of one.
      target.fill(0, got);
    } else if (got !== pageSize || this.#kernels.check(target) !== kept - 2)
      throw new MemoryObjectError(`${this.#file.name}: page ${page} is not what was written to it`);
  }

  protected store(page: number, source: Uint8Array): void {
    const check = this.#kernels.check(source);
    try {
      this.#attempt(() => this.#file.write(page * pageSize, source));
    } catch (error) {
      // A part of it may have been written.
      if (this.has(page)) this.#held--;
      this.#pages[page] = hole;
      throw error;
    }
    if (!this.has(page)) this.#held++;
    this.#pages[page] = 2 + check;
  }

  protected drop(page: number): void {
    this.#attempt(() => this.#file.punch(page * pageSize, pageSize));
    this.#pages[page] = hole;
    this.#held--;
  }

  protected override resized(pageCount: number): void {
    this.#pages = grown(this.#pages, pageCount);
    if (this.#file.sizeBytes > pageCount * pageSize) this.#attempt(() => this.#file.truncate(pageCount * pageSize));
  }

  override flush(): void {
    this.#attempt(() => this.#file.sync());
  }

  protected kept(): KeptStats {
    return { pagesHeld: this.#held, hostBytes: this.#pages.byteLength, fileBytes: this.#file.sizeBytes };
  }

  override [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #attempt<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw new MemoryObjectError(error instanceof Error ? error.message : String(error));
    }
  }
}
