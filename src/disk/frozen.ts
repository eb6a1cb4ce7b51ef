/**
 * A disk as a snapshot keeps it: the parts that differ from the files below, with a checksum each, in the snapshot's own file; never
 * written to.
 *
 * The index, at the place that `SavedDisk` names, has three u32 words for each part of 64 KiB: its number, ascending; the low word of its
 * bytes' XXH64; its place in the file, counted in pages of 4096 bytes, or 0 for a part of zeros.
 */
import { xxh64Low } from "#base";
import type { SavedDisk } from "#devices";
import type { Disk } from "./disk.ts";
import { DiskError, type DiskWriter, type SnapshotFile } from "./file.ts";

const partBytes = 1 << 16;
const pageBytes = 4096;
const entryWords = 3;

interface Part {
  readonly check: number;
  readonly place: number;
}

export class FrozenDisk implements Disk {
  readonly sizeBytes: number;
  readonly readOnly = true;
  readonly physicalBlockBytes = 4096;
  readonly below: Disk | undefined;
  readonly files = [];
  readonly #file: SnapshotFile;
  readonly #parts = new Map<number, Part>();
  /** The part read last. */
  #last = -1;
  readonly #bytes = new Uint8Array(partBytes);

  /** Throws `DiskError` where the index is not what was saved. */
  constructor(file: SnapshotFile, { sizeBytes, index }: SavedDisk, below: Disk | undefined) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.below = below;
    if (index === undefined) return;
    const words = readIndex(file, index);
    for (let n = 0; n < words.length; n += entryWords)
      this.#parts.set(words[n], { check: words[n + 1], place: words[n + 2] });
  }

  *held(): Iterable<DiskRange> {
    for (const number of this.#parts.keys()) yield { offset: number * partBytes, length: partBytes };
  }

  read(offset: number, targets: readonly Uint8Array[]): void {
    let at = offset;
    for (const target of targets) {
      for (let done = 0; done < target.length; ) {
        const start = at % partBytes;
        const length = Math.min(target.length - done, partBytes - start);
        this.#read((at - start) / partBytes, start, target.subarray(done, done + length));
        done += length;
        at += length;
      }
    }
  }

  write(): never {
    throw new DiskError(`${this.#file.name}: a snapshot is not written to`);
  }
  discard(): void {}
  writeZeroes(): void {}
  flush(): void {}

  close(): void {
    this.#file.close();
    this.below?.close();
  }

  #read(number: number, start: number, target: Uint8Array): void {
    const part = this.#parts.get(number);
    if (part === undefined) {
      if (this.below) readWithin(this.below, number * partBytes + start, target);
      else target.fill(0);
    } else if (part.place === 0) target.fill(0);
    else {
      if (this.#last !== number) this.#load(number, part);
      target.set(this.#bytes.subarray(start, start + target.length));
    }
  }

  #load(number: number, part: Part): void {
    this.#last = -1;
    readPart(this.#file, number, part, this.#bytes);
    this.#last = number;
  }
}

/** Bytes of a disk. */
export interface DiskRange {
  readonly offset: number;
  readonly length: number;
}

/** Where the frozen disk lies, and where the file ends now. */
export interface Frozen {
  readonly index: NonNullable<SavedDisk["index"]>;
  readonly end: number;
}

/**
 * Writes what `disk` has that `base` has not, or all of it, from `offset` on, which is a multiple of 4096. Requires: nobody writes to
 * the disk meanwhile.
 */
export function freeze(disk: Disk, base: Disk | undefined, into: DiskWriter, offset: number): Frozen {
  const numbers = new Set<number>();
  for (let layer: Disk | undefined = disk; layer !== undefined && layer !== base; layer = layer.below) {
    for (const range of layer.held()) {
      const end = Math.min(range.offset + range.length, disk.sizeBytes);
      for (let number = Math.floor(range.offset / partBytes); number * partBytes < end; number++) numbers.add(number);
    }
  }
  const words: number[] = [];
  const bytes = new Uint8Array(partBytes);
  let at = offset;
  for (const number of [...numbers].sort((a, b) => a - b)) {
    bytes.fill(0);
    disk.read(number * partBytes, [bytes.subarray(0, Math.min(partBytes, disk.sizeBytes - number * partBytes))]);
    if (isZero(bytes)) {
      if (base !== undefined) words.push(number, 0, 0);
      continue;
    }
    words.push(number, xxh64Low(bytes), at / pageBytes);
    into.writeAt(at, bytes);
    at += partBytes;
  }
  return writeIndex(Uint32Array.from(words), into, at);
}

/** Writes what `file` has of a disk into another file, likewise. Throws `DiskError` where it is damaged. */
export function copyFrozen(file: SnapshotFile, index: Frozen["index"], into: DiskWriter, offset: number): Frozen {
  const words = readIndex(file, index);
  const bytes = new Uint8Array(partBytes);
  let at = offset;
  for (let n = 0; n < words.length; n += entryWords) {
    const [number, check, place] = words.subarray(n, n + entryWords);
    if (place === 0) continue;
    readPart(file, number, { check, place }, bytes);
    into.writeAt(at, bytes);
    words[n + 2] = at / pageBytes;
    at += partBytes;
  }
  return writeIndex(words, into, at);
}

function readIndex(file: SnapshotFile, { offset, count, check }: Frozen["index"]): Uint32Array {
  const words = new Uint32Array(entryWords * count);
  const bytes = new Uint8Array(words.buffer);
  file.read(offset, bytes);
  if (xxh64Low(bytes) !== check) throw new DiskError(`${file.name}: the index of a disk in the snapshot is damaged`);
  return words;
}

function writeIndex(words: Uint32Array, into: DiskWriter, offset: number): Frozen {
  const index = new Uint8Array(words.buffer);
  const end = Math.ceil((offset + index.length) / pageBytes) * pageBytes;
  const padded = new Uint8Array(end - offset);
  padded.set(index);
  into.writeAt(offset, padded);
  return { index: { offset, count: words.length / entryWords, check: xxh64Low(index) }, end };
}

function readPart(file: SnapshotFile, number: number, { check, place }: Part, target: Uint8Array): void {
  file.read(place * pageBytes, target);
  if (xxh64Low(target) !== check)
    throw new DiskError(`${file.name}: the snapshot is damaged where it has a disk's part ${number}`);
}

function isZero(bytes: Uint8Array): boolean {
  return new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8).every((word) => word === 0n);
}

/** A disk below may be shorter. */
function readWithin(below: Disk, offset: number, target: Uint8Array): void {
  const there = Math.max(0, Math.min(target.length, below.sizeBytes - offset));
  if (there > 0) below.read(offset, [target.subarray(0, there)]);
  target.fill(0, there);
}
