/**
 * A directory that the guest has open, read from front to back.
 *
 * Law: an offset that a guest was given stands for the same entry as long as it goes forward, or back within the last answer. Held:
 * the entries since the offset that was asked for last.
 */
import { type Dir, type Dirent, opendirSync } from "node:fs";
import type { DirectoryEntry } from "#devices";

export class OpenDirectory {
  readonly #open: () => Dir;
  #dir: Dir;
  /** Offset of the first entry that is kept. */
  #first = 0;
  #kept: DirectoryEntry[] = [];
  #ended = false;

  /** `path`: asked for again when the directory is read from its start once more. */
  constructor(path: () => Buffer) {
    // Names are bytes; the type of `encoding` knows fewer than there are.
    this.#open = () => opendirSync(path(), { encoding: "latin1", bufferSize: 64 });
    this.#dir = this.#open();
  }

  read(offset: number, take: (entry: DirectoryEntry) => boolean): void {
    if (offset < this.#first) this.#rewind();
    const gone = Math.min(offset - this.#first, this.#kept.length);
    this.#kept.splice(0, gone);
    this.#first += gone;
    for (; this.#first < offset; this.#first++) if (this.#next() === undefined) return;
    for (let n = 0; ; n++) {
      const entry = this.#kept[n] ?? this.#keepNext(offset + n);
      if (entry === undefined || !take(entry)) return;
    }
  }

  close(): void {
    this.#dir.closeSync();
  }

  #rewind(): void {
    this.#dir.closeSync();
    this.#dir = this.#open();
    this.#kept = [];
    this.#first = 0;
    this.#ended = false;
  }

  #keepNext(offset: number): DirectoryEntry | undefined {
    const entry = this.#next();
    if (entry === undefined) return undefined;
    const kept = { name: entry.name, type: typeOf(entry), next: offset + 1 };
    this.#kept.push(kept);
    return kept;
  }

  #next(): Dirent | undefined {
    if (this.#ended) return undefined;
    const entry = this.#dir.readSync() ?? undefined;
    this.#ended = entry === undefined;
    return entry;
  }
}

/** DT_*. */
function typeOf(entry: Dirent): number {
  if (entry.isFile()) return 8;
  if (entry.isDirectory()) return 4;
  if (entry.isSymbolicLink()) return 10;
  if (entry.isFIFO()) return 1;
  if (entry.isCharacterDevice()) return 2;
  if (entry.isBlockDevice()) return 6;
  return entry.isSocket() ? 12 : 0;
}
