/**
 * Where the pages of an address space are that no frame holds: memslots are mapped onto memory objects (docs/memory.md). Pages are evicted
 * to them and brought back.
 *
 * Law: of a page that is present and not backed, what its object has is old, and nobody reads it.
 */
import { type Gfn, gfnOf, pageSize } from "#address";
import { assert } from "#base";
import type { FrameSource, Memslot } from "./address-space.ts";
import { type Arena, ArenaError } from "./arena.ts";
import { entryFlags } from "./arena-layout.ts";
import type { MemoryObject } from "./backends/memory-object.ts";
import type { SpaceTable } from "./space-table.ts";

/** A run of guest frames whose bytes are in a memory object while no frame holds them. */
interface Mapping {
  readonly gfn: Gfn;
  readonly end: Gfn;
  readonly object: MemoryObject;
  /** Page of the object that the first one is. */
  readonly firstPage: number;
}

/** Other vCPUs stand still for so many pages at a time. */
const evictBatch = 128;
/** In the list of `evict_frames`: the object has the page. */
const keptInList = 0x80000000 | 0;

export class Swap implements Disposable {
  readonly #arena: Arena;
  readonly #frames: FrameSource;
  readonly #table: SpaceTable;
  /** Whether a device works on the page. */
  readonly #isPinned: (gfn: Gfn) => boolean;
  /** Those of address spaces that frames may be shared with, this one among them. */
  #family = new Set<Swap>([this]);
  readonly #mappings: Mapping[] = [];
  #evictions = 0;
  #faults = 0;

  constructor(arena: Arena, frames: FrameSource, table: SpaceTable, isPinned: (gfn: Gfn) => boolean) {
    this.#arena = arena;
    this.#frames = frames;
    this.#table = table;
    this.#isPinned = isPinned;
  }

  /** That of a fork, which has no mappings yet, goes on as this one. Afterwards the frames are forked. */
  fork(fork: Swap): void {
    fork.#family = this.#family;
    this.#family.add(fork);
    for (const mapping of this.#mappings) {
      // What is written to it from now on is this one's alone; the fork is mapped onto one of its own.
      if (!mapping.object.sealed) this.#leave(mapping);
      else fork.#mappings.push(mapping);
    }
  }

  /** It shares frames with nobody any more. */
  [Symbol.dispose](): void {
    this.#family.delete(this);
  }

  /** Brings all in that only the object has. What the object keeps of it is old. */
  #leave({ gfn, end }: Mapping): void {
    for (let n = gfn; n < end; n++) {
      this.bringIn(n);
      this.#arena.i32[this.#table.indexOf(n)] &= ~entryFlags.E_BACKED;
    }
  }

  /**
   * Maps a memslot onto an object, from its page `firstPage` on: what the object has is there from now on, and what is evicted
   * goes to it. Requires: nothing was touched that the object has, and the memslot is mapped onto none.
   */
  map(slot: Memslot, object: MemoryObject, firstPage: number): void {
    const gfn = gfnOf(slot.gpa);
    const end = gfn + slot.sizeBytes / pageSize;
    assert(firstPage + (end - gfn) <= object.pageCount, "a memslot is no longer than its object");
    this.#mappings.push({ gfn, end, object, firstPage });
    const words = this.#arena.i32;
    const mark = (page: number): void =>
      void (words[this.#table.indexOf(gfn + page - firstPage)] |= entryFlags.E_BACKED);
    if (object.eachHeld) return object.eachHeld(firstPage, firstPage + (end - gfn), mark);
    for (let page = firstPage; page < firstPage + (end - gfn); page++) if (object.has(page)) mark(page);
  }

  /**
   * What is mapped onto `object` is mapped onto `over` in its place from now on. Requires: that has the same pages; the old one
   * is sealed.
   */
  cover(object: MemoryObject, over: MemoryObject): void {
    for (const [n, mapping] of this.#mappings.entries())
      if (mapping.object === object) this.#mappings[n] = { ...mapping, object: over };
  }

  /** What the page's memslot is mapped onto. */
  objectAt(gfn: Gfn): MemoryObject | undefined {
    return this.#mappingOf(gfn)?.object;
  }

  /** What the memslots are mapped onto. */
  get objects(): readonly MemoryObject[] {
    return [...new Set(this.#mappings.map(({ object }) => object))];
  }

  /** Pages evicted so far, and brought back. */
  get counts(): { readonly out: number; readonly in: number } {
    return { out: this.#evictions, in: this.#faults };
  }

  /**
   * Gives a guest frame that only its object has a frame, for the runtime. Throws `MemoryObjectError` where the object has lost its
   * bytes, `ArenaError` where there is no frame to give: the machine cannot go on.
   */
  fault(gfn: Gfn): void {
    const { object, page } = this.#place(gfn);
    const frame = this.#frames.allot_frame() >>> 0;
    if (frame === 0) throw new ArenaError("there is no memory left in the arena of this machine and its forks");
    let kept: boolean;
    try {
      kept = object.take(page, this.#table.frameBytes(frame, pageSize));
    } catch (error) {
      this.#frames.give_back(frame);
      throw error;
    }
    this.#frames.install_frame(this.#table.header, gfn, frame, kept ? 1 : 0);
    this.#faults++;
    if (this.#family.size > 1) this.#shareFault(gfn);
  }

  /** Those of the family that would read the page from the same place have this frame in common. */
  #shareFault(gfn: Gfn): void {
    const mapping = this.#mappingOf(gfn);
    if (mapping?.object.sealed !== true) return;
    for (const other of this.#family)
      if (other !== this && other.#mappingOf(gfn) === mapping)
        this.#frames.share_frame(this.#table.header, other.#table.header, gfn);
  }

  /**
   * As `fault`, where the page has no frame. Where it would have to be waited for and `wait` is false, it is only asked for: false, and the
   * caller tries again.
   */
  bringIn(gfn: Gfn, wait = true): boolean {
    if (!wait && !this.begin(gfn)) return false;
    if (this.#isAway(gfn)) this.fault(gfn);
    return true;
  }

  #isAway(gfn: Gfn): boolean {
    const { E_PRESENT, E_BACKED } = entryFlags;
    return (this.#table.entry(gfn) & (E_PRESENT | E_BACKED)) === E_BACKED;
  }

  /** Whether `bringIn` would not wait; else the page has been asked for, where there was room to. */
  begin(gfn: Gfn): boolean {
    if (!this.#isAway(gfn)) return true;
    const { object, page } = this.#place(gfn);
    return object.begin?.(page) ?? true;
  }

  /** Arena offset of the bytes of a page that only its object has, until the next call of anything here; it stays there. */
  peek(gfn: Gfn): number {
    const { object, page } = this.#place(gfn);
    object.read(page, this.#table.frameBytes(this.#table.list, pageSize));
    return this.#table.list;
  }

  /**
   * Takes the frames of these pages; their bytes go to the memory object that their memslot is mapped onto, unless they are zeros or the
   * object has them still. Stays: what has no frame or no object, what is pinned or shared with a fork. How many went: none where
   * a vCPU waits in the middle of an instruction, which is over soon.
   *
   * Throws `MemoryObjectError` where the object cannot keep one: that page and those after it stay.
   */
  evict(gfns: readonly Gfn[]): number {
    let evicted = 0;
    for (let done = 0; done < gfns.length; done += evictBatch) {
      if (this.#frames.begin_eviction() === 0) break;
      try {
        evicted += this.#evictStanding(gfns.slice(done, done + evictBatch));
      } finally {
        this.#frames.end_eviction();
      }
    }
    return evicted;
  }

  /** What the object still has of a page is old. */
  forget(gfn: Gfn): void {
    const mapping = this.#mappingOf(gfn);
    if (mapping === undefined || mapping.object.sealed) return;
    const page = mapping.firstPage + gfn - mapping.gfn;
    if (mapping.object.has(page)) mapping.object.punch(page, 1);
  }

  /** Requires: all vCPUs stand still. */
  #evictStanding(gfns: readonly Gfn[]): number {
    const words: number[] = [];
    const taken = new Set<Gfn>();
    try {
      for (const gfn of gfns) {
        if (taken.has(gfn) || !this.#isEvictable(gfn)) continue;
        words.push(this.#keep(gfn) ? gfn | keptInList : gfn);
        taken.add(gfn);
      }
    } finally {
      this.#arena.i32.set(words, this.#table.list >> 2);
      this.#frames.evict_frames(this.#table.header, this.#table.list, words.length);
      this.#evictions += words.length;
    }
    return words.length;
  }

  #isEvictable(gfn: Gfn): boolean {
    const entry = this.#table.entry(gfn);
    const { E_PRESENT, E_RAM, E_COW } = entryFlags;
    if ((entry & (E_PRESENT | E_RAM | E_COW)) !== (E_PRESENT | E_RAM)) return false;
    const object = this.#mappingOf(gfn)?.object;
    return object !== undefined && !this.#isPinned(gfn) && (!object.sealed || (entry & entryFlags.E_BACKED) !== 0);
  }

  /** Sees to it that the object has the page, if it is more than zeros; whether it has it. */
  #keep(gfn: Gfn): boolean {
    const entry = this.#table.entry(gfn);
    if ((entry & entryFlags.E_BACKED) !== 0) return true;
    const frame = (entry & ~0xfff) >>> 0;
    if (this.#frames.is_zero(frame) !== 0) {
      this.forget(gfn);
      return false;
    }
    const { object, page } = this.#place(gfn);
    object.write(page, this.#table.frameBytes(frame, pageSize));
    return true;
  }

  #mappingOf(gfn: Gfn): Mapping | undefined {
    return this.#mappings.find((each) => gfn >= each.gfn && gfn < each.end);
  }

  /** Where a page is that is marked as backed. */
  #place(gfn: Gfn): { readonly object: MemoryObject; readonly page: number } {
    const mapping = this.#mappingOf(gfn);
    assert(mapping !== undefined, "a page that is marked as backed has an object");
    return { object: mapping.object, page: mapping.firstPage + gfn - mapping.gfn };
  }
}
