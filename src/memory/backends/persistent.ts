/**
 * A file of the host whose pages are the object's: what is written is in the file, and after `flush` on the host's disk.
 *
 * Law: what was flushed survives the process and the host. Between flushes what was written survives the process, being in the
 * host's page cache. Pages past the file's end are holes until one beyond them is written.
 */
import { pageSize } from "#address";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import { MemoryObjectError } from "./memory-object.ts";
import { PageBits } from "./page-bits.ts";

/** A file, as the host gives it. Its errors are Errors whose message is for a person. */
export interface PageFile {
  readonly name: string;
  /** Grows with what is written. */
  readonly sizeBytes: number;
  /** What lies past the end reads as zeros. */
  read(offset: number, target: Uint8Array): void;
  write(offset: number, source: Uint8Array): void;
  /** What was written before is on the host's disk when this returns. */
  flush(): void;
  resize(sizeBytes: number): void;
  close(): void;
}

export class PersistentPages extends KeptPages {
  readonly #file: PageFile;
  readonly #held: PageBits;

  /** The file's first pages; the last of them may be cut short. The object closes it. */
  constructor(file: PageFile, pageCount = Math.ceil(file.sizeBytes / pageSize)) {
    super("persistent", pageCount);
    this.#file = file;
    this.#held = new PageBits(pageCount);
    const inFile = Math.min(pageCount, Math.ceil(file.sizeBytes / pageSize));
    for (let page = 0; page < inFile; page++) this.#held.set(page, true);
  }

  has(page: number): boolean {
    return this.#held.has(page);
  }

  override flush(): void {
    this.#attempt(() => this.#file.flush());
  }

  protected load(page: number, target: Uint8Array): void {
    this.#attempt(() => this.#file.read(page * pageSize, target));
  }

  protected store(page: number, source: Uint8Array): void {
    this.#attempt(() => this.#file.write(page * pageSize, source));
    this.#held.set(page, true);
  }

  protected drop(page: number): void {
    this.#attempt(() => this.#file.write(page * pageSize, zeros));
    this.#held.set(page, false);
  }

  /** The file ends where the object does. */
  protected override resized(pageCount: number): void {
    this.#attempt(() => this.#file.resize(pageCount * pageSize));
    this.#held.resize(pageCount);
  }

  protected kept(): KeptStats {
    return { pagesHeld: this.#held.count, hostBytes: this.#held.hostBytes, fileBytes: this.#file.sizeBytes };
  }

  override [Symbol.dispose](): void {
    this.#file.close();
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      throw new MemoryObjectError(error instanceof Error ? error.message : String(error));
    }
  }
}

const zeros = new Uint8Array(pageSize);
