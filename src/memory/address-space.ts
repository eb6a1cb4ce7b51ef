/**
 * A VM's guest-physical address space: memslots of RAM, and the two-level table that finds a frame in O(1).
 *
 * Frames come at first touch, from the Wasm runtime that keeps their list. Law: what no memslot covers is no memory,
 * for the guest's page walks and for devices alike.
 */
import { type Gfn, type Gpa, gfnOf, gpaOf, hpa, offsetIn, pageSize } from "#address";
import { assert } from "#base";
import type { Arena } from "./arena.ts";
import { entryFlags, spaceFields } from "./arena-layout.ts";
import type { ArenaRange, DeviceMemory, GuestRange, Pinned } from "./device-memory.ts";
import { DirtyTracker } from "./dirty-log.ts";
import { type AgeCounts, oldestAge } from "./page-ages.ts";
import { PageSet } from "./page-set.ts";
import { entriesPerTable, gfnEnd, listWords, SpaceTable } from "./space-table.ts";
import { Swap } from "./swap.ts";

/** What the address space needs of the runtime. */
export interface FrameSource {
  /** HPA of the frame behind a guest frame, allotted at first touch, `flags` noted; 0 where there is none to give. */
  frame_of(space: number, gfn: number, flags: number): number;
  /** Looks at guest frames [gfn, end) (src/runtime/memory/survey.ts). */
  survey_pages(space: number, gfn: number, end: number, list: number, room: number): number;
  /** Forgets code translated from a frame, whose bytes have changed. */
  invalidate_frame(frame: number): void;
  /** Makes the new address space `to` a copy of `from`; all frames are both's. */
  fork_space(from: number, to: number): void;
  /** Where `to` has a guest frame in its object only, it gets that of `from`, in common. */
  share_frame(from: number, to: number, gfn: number): void;
  /** Gives back all frames of an address space. */
  leave_space(space: number): void;
  /** Takes the frames of the `count` guest frames whose numbers are the words at `list`; how many there were. */
  release_frames(space: number, list: number, count: number): number;
  /** These guest frames are no memory any more. */
  unplug_frames(space: number, gfn: number, count: number): void;
  /** See src/runtime/memory/logs.ts. */
  harvest_flags(space: number, flags: number, bitmap: number): number;
  harvest_ring(space: number, list: number): number;
  /** See src/runtime/memory/ages.ts. */
  age_pages(space: number, ages: number, step: number, counts: number): void;
  list_aged(
    space: number,
    ages: number,
    gfn: number,
    least: number,
    unused: number,
    list: number,
    room: number,
  ): number;
  count_pages(space: number, list: number): void;
  count_zeros(space: number): number;
  /** See src/runtime/memory/evict.ts. */
  begin_eviction(): number;
  evict_frames(space: number, list: number, count: number): void;
  end_eviction(): void;
  /** Nonzero for a page of zeros. */
  is_zero(page: number): number;
  /** A frame that is nobody's yet; 0 where there is none to give. */
  allot_frame(): number;
  /** Takes it back. */
  give_back(frame: number): void;
  /** The frame, whose bytes are there, becomes the guest frame's; `kept`: its object has them still. */
  install_frame(space: number, gfn: number, frame: number, kept: number): void;
}

export interface Memslot {
  readonly gpa: Gpa;
  readonly sizeBytes: number;
  /** What is stored there is dropped. */
  readonly readOnly?: boolean;
  /** No memory, but where `plug` made it so. Begins and ends at a multiple of `plugBytes`. */
  readonly pluggable?: boolean;
}

/** What of a memslot is plugged and unplugged at a time: what one second-level table is for. */
export const plugBytes = entriesPerTable * pageSize;

/** Words of counts by age, and of a list that ends with where to go on. */
const ageCounts = 2 * (oldestAge + 1);
const ageBatch = listWords - 1;
/** Three words each, and one, where `release` has its list. */
const surveyBatch = Math.floor((listWords - 1) / 3);
const written = entryFlags.E_PRESENT | entryFlags.E_ACCESSED | entryFlags.E_DIRTY;
const read = entryFlags.E_PRESENT | entryFlags.E_ACCESSED;

export class AddressSpace implements DeviceMemory {
  readonly #arena: Arena;
  readonly #frames: FrameSource;
  readonly #table: SpaceTable;
  /** Which pages are stored to. */
  readonly dirty: DirtyTracker;
  /** Where pages are that have no frame. */
  readonly swap: Swap;
  /** How often each frame is pinned. */
  readonly #pins = new Map<number, number>();
  readonly memslots: readonly Memslot[];
  readonly sizeBytes: number;

  /** `header`: of an address space that another thread made, with the same memslots. */
  constructor(arena: Arena, frames: FrameSource, memslots: readonly Memslot[], header?: number) {
    this.#arena = arena;
    this.#frames = frames;
    this.memslots = memslots;
    this.sizeBytes = memslots.reduce((sum, slot) => sum + slot.sizeBytes, 0);
    this.#table = new SpaceTable(arena, memslots, header);
    if (header === undefined) for (const slot of memslots) this.#enter(slot);
    this.dirty = new DirtyTracker(arena, frames, this, this.#table.gfnEnd, this.#table.tracker);
    this.swap = new Swap(arena, frames, this.#table, (gfn) => this.#isPinned(gfn));
  }

  /** Arena offset of the header (spaceFields). */
  get header(): number {
    return this.#table.header;
  }

  /**
   * An address space that holds what this one holds, frame by frame the same, until one of them writes. Requires: one thread runs the
   * vCPUs of both, and nothing of this one is pinned.
   */
  fork(): AddressSpace {
    assert(this.#pins.size === 0, "nobody else works on what is forked");
    const fork = new AddressSpace(this.#arena, this.#frames, this.memslots);
    this.swap.fork(fork.swap);
    this.#frames.fork_space(this.header, fork.header);
    return fork;
  }

  /** Gives all of it back to the arena. Requires: no vCPU runs in it any more. */
  [Symbol.dispose](): void {
    this.swap[Symbol.dispose]();
    this.#frames.leave_space(this.header);
    this.#table[Symbol.dispose]();
  }

  /** Frames that this VM has. */
  get framesTouched(): number {
    return this.#arena.i32[(this.header + spaceFields.S_FRAMES) >> 2];
  }

  read(gpa: Gpa, target: Uint8Array): boolean {
    if (!this.isRam(gpa, target.length)) return false;
    this.#pieces(gpa, target.length, (entry, gfn, offset, done, length) => {
      // An absent frame that nothing backs reads as zeros and stays absent.
      if ((entry & (entryFlags.E_PRESENT | entryFlags.E_BACKED)) === 0) target.fill(0, done, done + length);
      else {
        const frame = this.#frames.frame_of(this.header, gfn, entryFlags.E_ACCESSED) >>> 0;
        target.set(this.#arena.u8.subarray(frame + offset, frame + offset + length), done);
      }
      return true;
    });
    return true;
  }

  /** As `read`, and leaves no trace: no page comes in, none counts as used. Throws `MemoryObjectError`. */
  look(gpa: Gpa, target: Uint8Array): boolean {
    if (!this.isRam(gpa, target.length)) return false;
    return this.#pieces(gpa, target.length, (entry, gfn, offset, done, length) => {
      const { E_PRESENT, E_BACKED } = entryFlags;
      if ((entry & (E_PRESENT | E_BACKED)) === 0) target.fill(0, done, done + length);
      else {
        const page = (entry & E_PRESENT) === 0 ? this.swap.peek(gfn) : (entry & ~0xfff) >>> 0;
        target.set(this.frameBytes(page + offset, length), done);
      }
      return true;
    });
  }

  write(gpa: Gpa, source: Uint8Array): boolean {
    return this.#change(gpa, source.length, (at, done, length) => {
      this.#arena.u8.set(source.subarray(done, done + length), at);
    });
  }

  /** As `write` of so many zeros; pages that nothing is kept of stay so. */
  clear(gpa: Gpa, length: number): boolean {
    return this.#change(gpa, length, (at, _, size) => void this.#arena.u8.fill(0, at, at + size), true);
  }

  isRam(gpa: Gpa, length: number): boolean {
    return this.#slotOf(gpa, length) !== undefined;
  }

  load16(gpa: Gpa): number {
    const at = this.#wordAt(gpa);
    return at === 0 ? 0 : Atomics.load(this.#arena.u16, at >>> 1);
  }

  load32(gpa: Gpa): number {
    const at = this.#wordAt(gpa);
    return at === 0 ? 0 : Atomics.load(this.#arena.i32, at >>> 2) >>> 0;
  }

  store16(gpa: Gpa, value: number): void {
    const frame = this.#frameToWrite(gpa);
    if (frame === 0) return;
    Atomics.store(this.#arena.u16, (frame + offsetIn(gpa)) >>> 1, value);
    this.#frames.invalidate_frame(frame);
  }

  store32(gpa: Gpa, value: number): void {
    const frame = this.#frameToWrite(gpa);
    if (frame === 0) return;
    Atomics.store(this.#arena.i32, (frame + offsetIn(gpa)) >>> 2, value | 0);
    this.#frames.invalidate_frame(frame);
  }

  pin(ranges: readonly GuestRange[], write: boolean): Pinned | undefined {
    const found = this.#framesOf(ranges, write);
    if (found === undefined) return undefined;
    const { pieces, frames } = found;
    for (const frame of frames) this.#pins.set(frame, (this.#pins.get(frame) ?? 0) + 1);
    return {
      pieces,
      release: () => {
        // A harvest of the dirty log may have come before the last of what was written.
        if (write) this.#framesOf(ranges, write);
        this.#unpin(frames, write);
      },
    };
  }

  access<T>(ranges: readonly GuestRange[], write: boolean, use: (pieces: Uint8Array[]) => T): T | undefined {
    const found = this.#framesOf(ranges, write);
    if (found === undefined) return undefined;
    try {
      return use(found.pieces.map((piece) => this.frameBytes(piece.hpa, piece.length)));
    } finally {
      if (write) for (const frame of found.frames) this.#frames.invalidate_frame(frame);
    }
  }

  release(gfns: readonly Gfn[]): number {
    const free = gfns.filter((gfn) => this.isRam(gpaOf(gfn), pageSize) && !this.#isPinned(gfn));
    let released = 0;
    for (let done = 0; done < free.length; done += listWords) {
      const batch = free.slice(done, done + listWords);
      this.#arena.i32.set(batch, this.#table.list >> 2);
      released += this.#frames.release_frames(this.header, this.#table.list, batch.length);
      for (const gfn of batch) this.swap.forget(gfn);
    }
    return released;
  }

  /** Blocks of a pluggable memslot are memory from now on, of zeros where nothing else is said. Requires: whole blocks. */
  plug(gpa: Gpa, sizeBytes: number): void {
    this.#eachPluggable(gpa, sizeBytes, (at) => void Atomics.or(this.#arena.i32, at, entryFlags.E_RAM));
  }

  /**
   * They are none any more, and their frames are free. False, and nothing done, where a device works on one of their pages. Requires: as
   * `plug`.
   */
  unplug(gpa: Gpa, sizeBytes: number): boolean {
    let pinned = false;
    this.#eachPluggable(gpa, sizeBytes, (_, gfn) => (pinned ||= this.#isPinned(gfn)));
    if (pinned) return false;
    this.#frames.unplug_frames(this.header, gfnOf(gpa), sizeBytes / pageSize);
    this.#eachPluggable(gpa, sizeBytes, (_, gfn) => this.swap.forget(gfn));
    return true;
  }

  /** What is memory now: the memslots, but of pluggable ones only what is plugged in. */
  get ram(): readonly Memslot[] {
    return this.memslots.flatMap((slot) => (slot.pluggable ? this.#pluggedIn(slot) : [slot]));
  }

  #pluggedIn({ gpa, sizeBytes }: Memslot): Memslot[] {
    const runs: { gpa: Gpa; sizeBytes: number }[] = [];
    for (let at = gpa; at < gpa + sizeBytes; at = (at + plugBytes) as Gpa) {
      const last = runs.at(-1);
      if (!this.#isPlugged(at)) continue;
      if (last && last.gpa + last.sizeBytes === at) last.sizeBytes += plugBytes;
      else runs.push({ gpa: at, sizeBytes: plugBytes });
    }
    return runs;
  }

  #eachPluggable(gpa: Gpa, sizeBytes: number, act: (at: number, gfn: Gfn) => void): void {
    const slot = this.memslots.find((each) => gpa >= each.gpa && gpa + sizeBytes <= each.gpa + each.sizeBytes);
    assert(
      slot?.pluggable === true && gpa % plugBytes === 0 && sizeBytes % plugBytes === 0,
      "blocks that can be plugged",
    );
    const first = gfnOf(gpa);
    for (let gfn = first; gfn < first + sizeBytes / pageSize; gfn++) act(this.#table.indexOf(gfn), gfn);
  }

  /** Whether the block around an address of a pluggable memslot is memory. */
  #isPlugged(gpa: Gpa): boolean {
    return (this.#table.entry(gfnOf(gpa)) & entryFlags.E_RAM) !== 0;
  }

  /**
   * The pages that have any of these flags (E_DIRTY, E_ACCESSED), which they lose; then no TLB has what would keep them from getting
   * them again (runtime/memory/logs.ts). For the dirty log there is `dirty`, which has several readers.
   */
  harvest(flags: number): PageSet {
    const pages = new PageSet(this.#table.gfnEnd);
    if (this.#frames.harvest_flags(this.header, flags, this.#table.bitmap) === 0) return pages;
    const from = this.#table.bitmap >>> 2;
    const words = this.#arena.i32.subarray(from, from + pages.bitmap.length);
    pages.bitmap.set(words);
    words.fill(0);
    return pages;
  }

  /** Forgets all ages: everything is as if it had been used now. */
  beginAges(): void {
    this.harvest(entryFlags.E_ACCESSED);
    this.#arena.u8.fill(0, this.#table.ages, this.#table.ages + this.#table.gfnEnd);
  }

  /** Takes E_ACCESSED from all pages; those that did not have it are older by `step`. For `PageAges`. */
  agePages(step: number): AgeCounts {
    const counts = this.#table.list >>> 2;
    this.#arena.i32.fill(0, counts, counts + ageCounts);
    this.#frames.age_pages(this.header, this.#table.ages, step, this.#table.list);
    const words = new Uint32Array(this.#arena.i32.slice(counts, counts + ageCounts).buffer);
    return { again: words.subarray(0, oldestAge + 1), held: words.subarray(oldestAge + 1) };
  }

  ageOf(gfn: Gfn): number {
    return gfn < this.#table.gfnEnd ? this.#arena.u8[this.#table.ages + gfn] : 0;
  }

  /**
   * Pages with a frame of their own that are `age` old or older, from `gfn` on, some at a time; `unused`: nobody has used them since the
   * last scan. With the guest frame to go on from, which is past the last one when there are no more.
   */
  agedPages(gfn: Gfn, age: number, unused: boolean): { readonly gfns: Int32Array; readonly next: Gfn } {
    const count = this.#frames.list_aged(
      this.header,
      this.#table.ages,
      gfn,
      age,
      unused ? 1 : 0,
      this.#table.list,
      ageBatch,
    );
    const from = this.#table.list >>> 2;
    const words = this.#arena.i32;
    return { gfns: words.slice(from, from + count), next: words[from + count] as Gfn };
  }

  /** Pages with a frame of their own, with one that a fork uses too, and with none but an object that has them. */
  countPages(): { readonly own: number; readonly shared: number; readonly stored: number } {
    this.#frames.count_pages(this.header, this.#table.list);
    const [own, shared, stored] = this.#arena.i32.slice(this.#table.list >>> 2, (this.#table.list >>> 2) + 3);
    return { own, shared, stored };
  }

  /** Frames of nothing but zeros. Looks at all of them. */
  countZeros(): number {
    return this.#frames.count_zeros(this.header);
  }

  /** Whether somebody has used the page since the flag was last harvested. */
  wasUsed(gfn: Gfn): boolean {
    return (this.#table.entry(gfn) & entryFlags.E_ACCESSED) !== 0;
  }

  /** Whether there is anything that the page's bytes are kept in; otherwise it is zeros. */
  holds(gfn: Gfn): boolean {
    return (this.#table.entry(gfn) & (entryFlags.E_PRESENT | entryFlags.E_BACKED)) !== 0;
  }

  /** Calls `see` for each page of RAM that may hold something, in order of address: with its HPA, or 0 where only its object has it, and its entry. */
  forEachPage(see: (gfn: number, frame: number, entry: number) => void): void {
    for (const slot of this.memslots) {
      const first = gfnOf(slot.gpa);
      this.#table.eachRun(first, first + slot.sizeBytes / pageSize, (at, gfn, count) => {
        for (let n = 0; n < count; n++) {
          const entry = this.#arena.i32[at + n];
          if ((entry & entryFlags.E_PRESENT) !== 0) see(gfn + n, (entry & ~0xfff) >>> 0, entry);
          else if ((entry & entryFlags.E_BACKED) !== 0) see(gfn + n, 0, entry);
        }
      });
    }
  }

  /**
   * Calls `see` for each page in [first, end) that may hold anything but zeros, in order of address: with its HPA and the low 32 bits of its
   * bytes' XXH64, or 0 and 0 where only its object has it.
   */
  survey(first: Gfn, end: Gfn, see: (gfn: Gfn, frame: number, check: number) => void): void {
    for (let gfn = first; gfn < end; ) {
      const count = this.#frames.survey_pages(this.header, gfn, end, this.#table.list, surveyBatch);
      const from = this.#table.list >>> 2;
      const records = new Uint32Array(this.#arena.i32.slice(from, from + 3 * count + 1).buffer);
      for (let n = 0; n < 3 * count; n += 3) see(records[n] as Gfn, records[n + 1], records[n + 2]);
      gfn = records[3 * count] as Gfn;
    }
  }

  /** Calls `see` for each page of RAM that has a frame, in order of address. */
  forEachPresent(see: (gfn: number, bytes: Uint8Array) => void): void {
    this.forEachPage((gfn, frame) => {
      if (frame !== 0) see(gfn, this.#arena.u8.subarray(frame, frame + pageSize));
    });
  }

  /** The bytes of frames, as they are; for as long as none is allotted. */
  frameBytes(frame: number, length: number): Uint8Array {
    return this.#table.frameBytes(frame, length);
  }

  /** The bytes of a page's frame, for as long as none is allotted; undefined where it has none. */
  presentBytes(gfn: Gfn): Uint8Array | undefined {
    const entry = this.#table.entry(gfn);
    return (entry & entryFlags.E_PRESENT) === 0 ? undefined : this.frameBytes((entry & ~0xfff) >>> 0, pageSize);
  }

  /** The memslot that all of these bytes are in. */
  #slotOf(gpa: Gpa, length: number): Memslot | undefined {
    if (!Number.isSafeInteger(gpa)) return undefined;
    const end = gpa + Math.max(length, 1);
    const slot = this.memslots.find((each) => gpa >= each.gpa && end <= each.gpa + each.sizeBytes);
    if (slot?.pluggable)
      for (let at = gpa; at < end; at = (at - (at % plugBytes) + plugBytes) as Gpa)
        if (!this.#isPlugged(at)) return undefined;
    return slot;
  }

  #mayWrite(gpa: Gpa, length: number): boolean {
    const slot = this.#slotOf(gpa, length);
    return slot !== undefined && !slot.readOnly;
  }

  /** Has bytes in frames changed, piece by piece: at an HPA, how many were before, and how many they are. `onlyHeld`: no page that is absent. */
  #change(
    gpa: Gpa,
    length: number,
    change: (at: number, done: number, length: number) => void,
    onlyHeld = false,
  ): boolean {
    if (!this.#mayWrite(gpa, length)) return false;
    return this.#pieces(gpa, length, (entry, gfn, offset, done, size) => {
      if (onlyHeld && (entry & (entryFlags.E_PRESENT | entryFlags.E_BACKED)) === 0) return true;
      const frame = this.#frames.frame_of(this.header, gfn, entryFlags.E_ACCESSED | entryFlags.E_DIRTY) >>> 0;
      if (frame === 0) return false;
      change(frame + offset, done, size);
      this.#frames.invalidate_frame(frame);
      return true;
    });
  }

  #enter(slot: Memslot): void {
    assert(offsetIn(slot.gpa) === 0 && slot.sizeBytes % pageSize === 0, "a memslot is made of whole pages");
    const end = gfnOf(slot.gpa) + slot.sizeBytes / pageSize;
    assert(end <= gfnEnd, "a memslot ends below the end of guest-physical addresses");
    if (slot.pluggable) return;
    const flags = entryFlags.E_RAM | (slot.readOnly ? entryFlags.E_READONLY : 0);
    this.#table.eachRun(gfnOf(slot.gpa), end, (at, _, count) => void this.#arena.i32.fill(flags, at, at + count));
  }

  #isPinned(gfn: Gfn): boolean {
    if (this.#pins.size === 0) return false;
    const entry = this.#table.entry(gfn);
    return (entry & entryFlags.E_PRESENT) !== 0 && this.#pins.has((entry & ~0xfff) >>> 0);
  }

  /** The frames behind ranges of RAM, allotted where they are not there yet, and the bytes in them that are meant. */
  #framesOf(ranges: readonly GuestRange[], write: boolean): { pieces: ArenaRange[]; frames: number[] } | undefined {
    const pieces: ArenaRange[] = [];
    const frames: number[] = [];
    for (const range of ranges) {
      if (!(write ? this.#mayWrite(range.gpa, range.length) : this.isRam(range.gpa, range.length))) return undefined;
      const whole = this.#pieces(range.gpa, range.length, (entry, gfn, offset, _done, length) => {
        // A frame that others use could become theirs alone meanwhile.
        const own = write || (entry & entryFlags.E_COW) !== 0;
        const flags = own ? entryFlags.E_ACCESSED | entryFlags.E_DIRTY : entryFlags.E_ACCESSED;
        const frame = this.#frames.frame_of(this.header, gfn, flags) >>> 0;
        if (frame === 0) return false;
        frames.push(frame);
        append(pieces, frame + offset, length);
        return true;
      });
      if (!whole) return undefined;
    }
    return { pieces, frames };
  }

  #unpin(frames: readonly number[], written: boolean): void {
    for (const frame of frames) {
      const left = (this.#pins.get(frame) ?? 1) - 1;
      if (left === 0) this.#pins.delete(frame);
      else this.#pins.set(frame, left);
      if (written) this.#frames.invalidate_frame(frame);
    }
  }

  /** HPA of a word that is read; 0 while no frame holds it, and it is zero. */
  #wordAt(gpa: Gpa): number {
    const entry = this.#table.entry(gfnOf(gpa));
    if ((entry & (entryFlags.E_PRESENT | entryFlags.E_BACKED)) === 0) return 0;
    const known = (entry & read) === read ? entry & ~0xfff : 0;
    const frame = known || this.#frames.frame_of(this.header, gfnOf(gpa), entryFlags.E_ACCESSED);
    return (frame >>> 0) + offsetIn(gpa);
  }

  /** The frame that a device's store goes to, or 0. */
  #frameToWrite(gpa: Gpa): number {
    const entry = this.#table.entry(gfnOf(gpa));
    const { E_BACKED, E_COW, E_READONLY } = entryFlags;
    if ((entry & E_READONLY) !== 0) return 0;
    if ((entry & (written | E_BACKED | E_COW)) === written) return (entry & ~0xfff) >>> 0;
    return this.#frames.frame_of(this.header, gfnOf(gpa), entryFlags.E_ACCESSED | entryFlags.E_DIRTY) >>> 0;
  }

  /** Cuts a range at page boundaries; stops, and gives false, when `visit` does. */
  #pieces(
    gpa: Gpa,
    length: number,
    visit: (entry: number, gfn: number, offset: number, done: number, length: number) => boolean,
  ): boolean {
    let done = 0;
    while (done < length) {
      const at = (gpa + done) as Gpa;
      const offset = offsetIn(at);
      const part = Math.min(length - done, pageSize - offset);
      const gfn = gfnOf(at);
      if (!visit(this.#table.entry(gfn), gfn, offset, done, part)) return false;
      done += part;
    }
    return true;
  }
}

/** Adds a piece, to the last one where it follows it. */
function append(pieces: ArenaRange[], at: number, length: number): void {
  const last = pieces.at(-1);
  if (last !== undefined && last.hpa + last.length === at)
    pieces[pieces.length - 1] = { hpa: last.hpa, length: last.length + length };
  else pieces.push({ hpa: hpa(at), length });
}
