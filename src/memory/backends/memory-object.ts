/**
 * A memory object: pages of 4096 bytes, by number, kept somewhere. It is to guest memory what a file is to mmap.
 *
 * Laws, which laws.ts checks of every kind and every stack of two: `read` gives what was last written; what was never
 * written, or punched since, is a hole and reads as zeros; a sealed object keeps what it has; where `write` or `read` throws,
 * the other pages are what they were.
 * Objects stack: a constructor takes the inner one, which is then its alone, and is disposed of with it.
 *
 * Not for several threads. Bytes to be read or written may lie in shared memory that nobody changes meanwhile.
 */
export interface MemoryObject extends Disposable {
  /** For people and statistics; of a stack, the outer one first: "encrypted:plain". */
  readonly kind: string;
  readonly pageCount: number;
  readonly sealed: boolean;
  /** False: a hole. A page of zeros may be kept as one. */
  has(page: number): boolean;
  /** Sees each page from `first` on, before `end`, that is no hole. Absent: who wants to know asks of each. */
  eachHeld?(first: number, end: number, see: (page: number) => void): void;
  /**
   * Fills `target`, 4096 bytes; may block the thread. Throws `MemoryObjectError` when the bytes are not to be had, or are not those
   * that were written.
   */
  read(page: number, target: Uint8Array): void;
  /**
   * As `read`, for who keeps the bytes from now on: an object that would keep them a second time in the host's memory makes a hole.
   * False: it did.
   */
  take(page: number, target: Uint8Array): boolean;
  /** Throws `MemoryObjectError` where they cannot be kept: the page is then what it was, or a hole. */
  write(page: number, source: Uint8Array): void;
  /** Makes holes of `count` pages from `first` on. */
  punch(first: number, count: number): void;
  /** Cuts the last pages off, or adds holes. */
  resize(pageCount: number): void;
  /** From then on `write`, `punch` and `resize` throw. */
  seal(): void;
  /** What was written survives what the kind promises to survive. */
  flush(): void;
  stats(): MemoryObjectStats;
  watch(listener: (event: MemoryEvent) => void): Disposable;
  /**
   * Of objects that are far away: asks for a page before it is needed. True: `read` does not wait for it; false: it is on its way, and the
   * event "ready" may follow, or there was no room to ask now.
   */
  begin?(page: number): boolean;
}

export interface MemoryObjectStats {
  readonly kind: string;
  readonly pageCount: number;
  /** Pages that are no holes. */
  readonly pagesHeld: number;
  /** What keeping them takes of the host's memory, inner objects included. */
  readonly hostBytes: number;
  /** And of its files. */
  readonly fileBytes: number;
  readonly reads: number;
  readonly writes: number;
  /** What only this kind counts. */
  readonly own: Readonly<Record<string, number>>;
  readonly inner?: MemoryObjectStats;
}

export type MemoryEvent =
  | { readonly type: "punched"; readonly first: number; readonly count: number }
  | { readonly type: "resized"; readonly pageCount: number }
  | { readonly type: "sealed" }
  /** A page that `begin` has asked for is here. */
  | { readonly type: "ready"; readonly page: number }
  /** A `read` or `write` of the page threw. */
  | { readonly type: "failed"; readonly page: number; readonly error: MemoryObjectError };

/** A page that cannot be read or kept; the message says of what object, and why. */
export class MemoryObjectError extends Error {
  override name = "MemoryObjectError";
}
