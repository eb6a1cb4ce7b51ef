/** A machine read from a snapshot: its state at once, its pages when they are wanted. */
import { pageSize } from "#address";
import type { Value } from "#base";
import type { Backing } from "#memory";
import type { MachineState, Resume } from "#vm";
import { indexEntryBytes, openSnapshot, SnapshotError, type SnapshotSource } from "./format.ts";

export interface Snapshot {
  readonly resume: Resume;
  /** As given to `writeSnapshot`. */
  readonly owner: Value;
}

/** Throws `SnapshotError` for a file that is no snapshot, or a damaged one. */
export function readSnapshot(source: SnapshotSource): Snapshot {
  const { description, index, layout } = openSnapshot(source);
  const { machine, owner } = description as { machine?: Value; owner?: Value };
  if (!isState(machine)) throw new SnapshotError(`${source.name}: the snapshot does not describe a machine`);
  return {
    resume: { state: machine as unknown as MachineState, memory: new SnapshotPages(source, index, layout.pages) },
    owner: owner ?? {},
  };
}

/** That the parts are there; whether they fit is for their owners to say. */
function isState(value: Value | undefined): boolean {
  const state = value as Partial<Record<keyof MachineState, unknown>> | undefined;
  return (
    typeof state?.memoryBytes === "number" &&
    typeof state.timeNs === "number" &&
    Array.isArray(state.vcpus) &&
    Array.isArray(state.msrs) &&
    typeof state.devices === "object"
  );
}

/** The file is read in pieces of so many pages: neighbours are often wanted next. */
const piecePages = 16;

class SnapshotPages implements Backing {
  readonly #source: SnapshotSource;
  readonly #index: Uint32Array;
  readonly #pages: number;
  readonly #piece = new Uint8Array(piecePages * pageSize);
  /** Place in the index of the piece's first page; -1: none was read. */
  #first = -1;

  constructor(source: SnapshotSource, index: Uint32Array, pages: number) {
    this.#source = source;
    this.#index = index;
    this.#pages = pages;
  }

  get gfns(): Iterable<number> {
    const index = this.#index;
    return (function* () {
      for (let at = 0; at < index.length; at += indexEntryBytes / 4) yield index[at];
    })();
  }

  read(gfn: number, target: Uint8Array, check: () => number): void {
    const place = this.#placeOf(gfn);
    const first = place - (place % piecePages);
    if (first !== this.#first) this.#readPiece(first);
    const at = (place - first) * pageSize;
    target.set(this.#piece.subarray(at, at + pageSize));
    if (check() !== this.#index[2 * place + 1]) {
      this.#first = -1;
      throw new SnapshotError(`${this.#source.name}: the page of guest frame 0x${gfn.toString(16)} is damaged`);
    }
  }

  #readPiece(first: number): void {
    const count = Math.min(piecePages, this.#index.length / 2 - first);
    const bytes = this.#piece.subarray(0, count * pageSize);
    this.#first = -1;
    if (this.#source.read(this.#pages + first * pageSize, bytes) !== bytes.length)
      throw new SnapshotError(`${this.#source.name}: the snapshot is truncated`);
    this.#first = first;
  }

  /** Where in the index; the frame is there, since only its frames are marked. */
  #placeOf(gfn: number): number {
    let low = 0;
    let high = this.#index.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#index[2 * middle] < gfn) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
