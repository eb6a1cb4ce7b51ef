/**
 * The table of an address space, in two levels: guest frame number → entry, in O(1). Beside it, in one piece of the arena, lies what calls of
 * the runtime about many pages want room for.
 */
import { type Gfn, gfnOf, pageSize } from "#address";
import type { Memslot } from "./address-space.ts";
import type { Arena } from "./arena.ts";
import { spaceFields } from "./arena-layout.ts";
import { trackerBytes } from "./dirty-log.ts";

/** Of a second-level table. */
export const entriesPerTable = 1024;
/** Guest-physical addresses end here: 64 GiB. */
export const gfnEnd = 1 << 24;
/** Words of the list. */
export const listWords = 1024;

const headerBytes = 4096;
const firstTableBytes = (gfnEnd / entriesPerTable) * 4;
const tableBytes = entriesPerTable * 4;

export class SpaceTable implements Disposable {
  readonly #arena: Arena;
  readonly #first: number;
  readonly #pieceBytes: number;
  /** Arena offset of the header (spaceFields). */
  readonly header: number;
  /** Above all guest frames of the memslots; a multiple of 1024. */
  readonly gfnEnd: number;
  /** Arena offset of `listWords` words, in which a call of the runtime is given pages, or gives them. */
  readonly list: number;
  /** Of `trackerBytes`, for the dirty log. */
  readonly tracker: number;
  /** Of a bit for each guest frame, which are zeros between two calls. */
  readonly bitmap: number;
  /** Of a byte for each guest frame: its age. */
  readonly ages: number;

  /** `header`: of a table that another thread made, for the same memslots. */
  constructor(arena: Arena, memslots: readonly Memslot[], header?: number) {
    this.#arena = arena;
    const tables = tablesOf(memslots);
    this.gfnEnd = (Math.max(...tables) + 1) * entriesPerTable;
    const room = 4 * listWords + trackerBytes + this.gfnEnd / 8 + this.gfnEnd;
    const fixedBytes = headerBytes + firstTableBytes + room;
    this.#pieceBytes = header === undefined ? fixedBytes + tables.length * tableBytes : 0;
    this.header = header ?? arena.lend(this.#pieceBytes);
    this.#first = this.header + headerBytes;
    this.list = this.#first + firstTableBytes;
    this.tracker = this.list + 4 * listWords;
    this.bitmap = this.tracker + trackerBytes;
    this.ages = this.bitmap + this.gfnEnd / 8;
    if (header !== undefined) return;
    const words = arena.i32;
    words[(this.header + spaceFields.S_TABLE) >> 2] = this.#first;
    words[(this.header + spaceFields.S_GFN_END) >> 2] = gfnEnd;
    for (const [n, table] of tables.entries())
      words[(this.#first >> 2) + table] = this.header + fixedBytes + n * tableBytes;
  }

  /** Gives it back to the arena, if it was made here. */
  [Symbol.dispose](): void {
    this.#arena.takeBack(this.header, this.#pieceBytes);
  }

  /** 0 where no memslot is near. */
  entry(gfn: Gfn): number {
    const at = this.indexOf(gfn);
    return at === 0 ? 0 : this.#arena.i32[at];
  }

  /** Index of an entry in the arena's words; 0 where no memslot is near. */
  indexOf(gfn: Gfn): number {
    if (gfn >= gfnEnd) return 0;
    const second = this.#arena.i32[(this.#first >> 2) + Math.floor(gfn / entriesPerTable)];
    return second === 0 ? 0 : (second >> 2) + (gfn % entriesPerTable);
  }

  /** Calls `see` for runs of guest frames whose entries follow each other from index `at` of the arena's words on. Requires: a memslot has them. */
  eachRun(first: Gfn, end: Gfn, see: (at: number, gfn: Gfn, count: number) => void): void {
    for (let gfn = first; gfn < end; ) {
      const count = Math.min(end - gfn, entriesPerTable - (gfn % entriesPerTable));
      see(this.indexOf(gfn), gfn, count);
      gfn = (gfn + count) as Gfn;
    }
  }

  /** The bytes of frames, or of the list, as they are; for as long as no frame is allotted. */
  frameBytes(frame: number, length: number): Uint8Array {
    return this.#arena.u8.subarray(frame, frame + length);
  }
}

/** Which second-level tables these memslots need. */
function tablesOf(memslots: readonly Memslot[]): readonly number[] {
  const tables = new Set<number>();
  for (const { gpa, sizeBytes } of memslots) {
    const last = Math.floor((gfnOf(gpa) + sizeBytes / pageSize - 1) / entriesPerTable);
    for (let table = Math.floor(gfnOf(gpa) / entriesPerTable); table <= last; table++) tables.add(table);
  }
  return [...tables];
}
