/**
 * The dirty log: which pages were stored to since they were last asked for, by the guest, its page walks, or devices.
 *
 * A log is opened and then harvested, epoch by epoch; several may be open at once, for different purposes, and each hears of every
 * page. Law: who reads harvested pages after the harvest misses no store. A page is in a harvest without a store in that
 * epoch only where a device held it to write to (`pin`).
 *
 * Nothing on the guest's fast path knows of logs (runtime/memory/logs.ts): a harvest empties the write TLBs, and the first store to
 * each page fills them again.
 */
import { assert } from "#base";
import type { FrameSource } from "./address-space.ts";
import type { Arena } from "./arena.ts";
import { entryFlags, spaceFields } from "./arena-layout.ts";
import { PageSet } from "./page-set.ts";

/** As bitmaps. */
export interface DirtyLog extends Disposable {
  /** Ends an epoch: the pages stored to since the last one, or since the log was opened. */
  harvest(): PageSet;
  /** The same of an epoch that goes on. */
  soFar(): PageSet;
}

/** As lists, made as pages become dirty: a harvest takes as long as there are dirty pages. */
export interface DirtyRing extends Disposable {
  harvest(): DirtyRingHarvest;
}

export interface DirtyRingHarvest {
  /** Guest frame numbers, each once, in the order of their first stores. */
  readonly gfns: readonly number[];
  /** There were more pages than the ring has room for. They are all here, in ascending order. */
  readonly overflowed: boolean;
}

/** What the tracker asks of its address space. */
interface Space {
  readonly header: number;
  /** Takes the flags from the pages that have any of them: which those were. */
  harvest(flags: number): PageSet;
}

/** The epoch of a log that is open. */
interface Epoch {
  /** So far. */
  pages: PageSet;
  /** Of a ring: the same in the order they came, no more than `room`. */
  gfns: number[];
  readonly room: number;
  overflowed: boolean;
}

/** `harvest_ring` in runtime/memory/logs.ts. */
const tooMany = -1;
const maxRoom = 4096;
const wordBytes = 4;
/** Bytes of the arena that a tracker needs. */
export const trackerBytes = wordBytes * 2 * maxRoom;

export class DirtyTracker {
  readonly #arena: Arena;
  readonly #frames: FrameSource;
  readonly #space: Space;
  readonly #open = new Set<Epoch>();
  #ring: Epoch | undefined;
  /** Arena offsets: of the runtime's ring, and of what is taken out of it. */
  readonly #ringAt: number;
  readonly #listAt: number;
  /** Above all guest frames. */
  readonly #gfnEnd: number;

  /** `at`: arena offset of `trackerBytes` zeros. */
  constructor(arena: Arena, frames: FrameSource, space: Space, gfnEnd: number, at: number) {
    this.#arena = arena;
    this.#frames = frames;
    this.#space = space;
    this.#ringAt = at;
    this.#listAt = at + wordBytes * maxRoom;
    this.#gfnEnd = gfnEnd;
  }

  /** From now on. */
  open(): DirtyLog {
    const epoch = this.#begin(0);
    return {
      harvest: () => this.#end(epoch).pages,
      soFar: () => this.#soFar(epoch),
      [Symbol.dispose]: () => void this.#open.delete(epoch),
    };
  }

  /** From now on; one ring at a time. `room`: pages that it can list in an epoch. */
  openRing(room: number): DirtyRing {
    if (!(room >= 1 && room <= maxRoom)) throw new RangeError(`a dirty ring has room for 1 to ${maxRoom} pages`);
    assert(this.#ring === undefined, "one dirty ring is open at a time");
    const epoch = this.#begin(room);
    this.#ring = epoch;
    this.#setRing(this.#ringAt, room);
    return {
      harvest: () => {
        const { pages, gfns, overflowed } = this.#end(epoch);
        return { gfns: overflowed ? [...pages] : gfns, overflowed };
      },
      [Symbol.dispose]: () => {
        if (!this.#open.delete(epoch)) return;
        this.#ring = undefined;
        this.#setRing(0, 0);
      },
    };
  }

  #begin(room: number): Epoch {
    this.#collect();
    const epoch = { pages: this.#noPages(), gfns: [], room, overflowed: false };
    this.#open.add(epoch);
    return epoch;
  }

  #soFar(epoch: Epoch): PageSet {
    assert(this.#open.has(epoch), "a log that is harvested is open");
    this.#collect();
    const pages = this.#noPages();
    pages.addAll(epoch.pages);
    return pages;
  }

  /** What the epoch has; the next one begins. */
  #end(epoch: Epoch): Readonly<Epoch> {
    assert(this.#open.has(epoch), "a log that is harvested is open");
    this.#collect();
    const ended = { ...epoch };
    epoch.pages = this.#noPages();
    epoch.gfns = [];
    epoch.overflowed = false;
    return ended;
  }

  /** Tells every open log of the pages that are dirty now; then none is. */
  #collect(): void {
    if (!this.#ring || !this.#collectRing(this.#ring)) this.#collectFlags();
  }

  #collectFlags(): void {
    const dirty = this.#space.harvest(entryFlags.E_DIRTY);
    for (const { pages } of this.#open) pages.addAll(dirty);
  }

  /** False where the ring has not all of them. */
  #collectRing(ring: Epoch): boolean {
    const count = this.#frames.harvest_ring(this.#space.header, this.#listAt);
    if (count === tooMany) {
      ring.overflowed = true;
      return false;
    }
    for (const gfn of this.#arena.i32.subarray(this.#listAt >>> 2, (this.#listAt >>> 2) + count)) {
      if (ring.gfns.length === ring.room) ring.overflowed = true;
      else if (!ring.pages.has(gfn)) ring.gfns.push(gfn);
      for (const { pages } of this.#open) pages.add(gfn);
    }
    return true;
  }

  #setRing(at: number, room: number): void {
    const words = this.#arena.i32;
    const { header } = this.#space;
    Atomics.store(words, (header + spaceFields.S_DIRTY_ROOM) >>> 2, room);
    Atomics.store(words, (header + spaceFields.S_DIRTY_COUNT) >>> 2, 0);
    Atomics.store(words, (header + spaceFields.S_DIRTY_RING) >>> 2, at);
  }

  #noPages(): PageSet {
    return new PageSet(this.#gfnEnd);
  }
}
