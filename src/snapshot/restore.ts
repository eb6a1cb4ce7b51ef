/** A machine read from a snapshot: its state at once, its pages when they are wanted. */
import { pageSize } from "#address";
import type { Value } from "#base";
import { KeptPages, type KeptStats, MemoryObjectError, type PageKernels } from "#memory";
import type { MachineState, Resume } from "#vm";
import { mostPages, openSnapshot, SnapshotError, type SnapshotSource } from "./format.ts";

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
    resume: {
      state: machine as unknown as MachineState,
      memory: (kernels) => new SnapshotPages(source, index, layout.pages, kernels),
    },
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

/** Page n is guest frame n. */
class SnapshotPages extends KeptPages {
  readonly #source: SnapshotSource;
  readonly #index: Uint32Array;
  /** Of each page: its place in the index + 1; 0 is a hole. */
  readonly #places: Int32Array;
  readonly #pages: number;
  readonly #kernels: PageKernels;
  readonly #piece = new Uint8Array(piecePages * pageSize);
  /** Place in the index of the piece's first page; -1: none was read. */
  #first = -1;

  constructor(source: SnapshotSource, index: Uint32Array, pages: number, kernels: PageKernels) {
    super("snapshot", mostPages);
    const count = index.length / 2;
    this.#source = source;
    this.#index = index;
    this.#pages = pages;
    this.#kernels = kernels;
    this.#places = new Int32Array(count === 0 ? 0 : index[2 * count - 2] + 1);
    for (let place = 0; place < count; place++) this.#places[index[2 * place]] = place + 1;
    this.seal();
  }

  has(gfn: number): boolean {
    return gfn < this.#places.length && this.#places[gfn] !== 0;
  }

  protected load(gfn: number, target: Uint8Array): void {
    const place = this.#places[gfn] - 1;
    const first = place - (place % piecePages);
    if (first !== this.#first) this.#readPiece(first);
    const at = (place - first) * pageSize;
    target.set(this.#piece.subarray(at, at + pageSize));
    if (this.#kernels.check(target) !== this.#index[2 * place + 1]) {
      this.#first = -1;
      throw new MemoryObjectError(`${this.#source.name}: the page of guest frame 0x${gfn.toString(16)} is damaged`);
    }
  }

  protected store(): void {}
  protected drop(): void {}

  protected kept(): KeptStats {
    const hostBytes = this.#index.byteLength + this.#places.byteLength + this.#piece.length;
    return { pagesHeld: this.#index.length / 2, hostBytes, fileBytes: this.#source.sizeBytes };
  }

  #readPiece(first: number): void {
    const count = Math.min(piecePages, this.#index.length / 2 - first);
    const bytes = this.#piece.subarray(0, count * pageSize);
    this.#first = -1;
    if (this.#source.read(this.#pages + first * pageSize, bytes) !== bytes.length)
      throw new MemoryObjectError(`${this.#source.name}: the snapshot is truncated`);
    this.#first = first;
  }
}
