/**
 * Where parts of a disk lie in files that its service lends, as far as its answers have told.
 *
 * Law: a place is right from the answer that tells of it until a step that may move it is sent to the service: a write, a discard or
 * zeros for a part of it. Nobody else changes the disk. An answer that such a step has overtaken is not believed.
 */
import type { Place } from "./protocol.ts";

/** Bytes of a lent file, one after the other. */
export interface Run {
  readonly file: number;
  readonly at: number;
  readonly length: number;
}

/** Smaller units are not worth it. */
const leastUnit = 4096;
const mostUnits = 1 << 16;

export class Places {
  readonly #unitBytes: number;
  /** Of a disk that is a file, byte by byte. */
  readonly #whole: Place | undefined;
  readonly #units = new Map<number, Place>();
  #moves = 0;

  /** `unitBytes`: parts of the disk that are multiples of it move as one. */
  constructor(unitBytes: number, whole?: Place) {
    this.#unitBytes = unitBytes;
    this.#whole = whole;
  }

  /** How often something may have moved: with it, an answer is known to be of now. */
  get moves(): number {
    return this.#moves;
  }

  /** `moves`: when what this answers was sent. */
  learn(place: Place, moves: number): void {
    const unit = this.#unitBytes;
    if (moves !== this.#moves || unit < leastUnit) return;
    if (this.#units.size >= mostUnits) this.#units.clear();
    const end = Math.floor((place.from + place.length) / unit);
    for (let n = Math.ceil(place.from / unit); n < end; n++) this.#units.set(n, place);
  }

  /** A step that may move this is about to be sent. */
  mayMove(offset: number, length: number): void {
    this.#moves++;
    if (length / this.#unitBytes > this.#units.size) this.#units.clear();
    const end = Math.ceil((offset + length) / this.#unitBytes);
    for (let n = Math.floor(offset / this.#unitBytes); this.#units.size > 0 && n < end; n++) this.#units.delete(n);
  }

  /** Where all of it lies; undefined when a part is not known, or is not to be written. */
  find(offset: number, length: number, write: boolean): Run[] | undefined {
    const runs: Run[] = [];
    for (let done = 0; done < length; ) {
      const here = offset + done;
      const place = this.#whole ?? this.#units.get(Math.floor(here / this.#unitBytes));
      if (place === undefined || (write && !place.writable)) return undefined;
      const unitEnd = (Math.floor(here / this.#unitBytes) + 1) * this.#unitBytes;
      const end = this.#whole === undefined ? unitEnd : place.from + place.length;
      const part = Math.min(length - done, end - here);
      const at = place.at + here - place.from;
      const last = runs.at(-1);
      if (last !== undefined && last.file === place.file && last.at + last.length === at)
        runs[runs.length - 1] = { ...last, length: last.length + part };
      else runs.push({ file: place.file, at, length: part });
      done += part;
    }
    return runs;
  }
}
