/**
 * A machine's memory as its thread looks at it from time to time: which pages are used and how long ago, which were stored to, and
 * which frames are free for the host.
 *
 * Ages are kept from the first question about them until nobody has asked for a minute: a scan costs a walk over all entries of the
 * address space, and the vCPUs their TLBs.
 */
import { pageSize } from "#address";
import { type MmioSlot, type PluggedMemory, plugBlockBytes } from "#devices";
import {
  type AddressSpace,
  type Arena,
  type DirtyLog,
  entryFlags,
  type FreeFrameStats,
  type FreeFrames,
  freeFrames,
  type MemoryObjectStats,
  oldestAge,
  PageAges,
  Reclaimer,
  type ReclaimOptions,
  type ReclaimStats,
} from "#memory";

import {
  type MemorySlot,
  MemoryView,
  type PageRange,
  rangesOf,
  type ViewAnswers,
  type ViewQuestion,
} from "./memory-view.ts";

/** Counts are of pages of 4096 bytes. */
export interface MemoryStats {
  /** RAM and devices. */
  readonly slots: readonly MemorySlot[];
  /** Where the bytes of pages are kept that no frame holds. */
  readonly objects: readonly MemoryObjectStats[];
  readonly pages: PageCounts;
  /** Of the machine and its forks together. */
  readonly freeFrames: FreeFrameStats;
  readonly ages: AgeHistogram;
  /** Of a machine whose cold pages are taken. */
  readonly reclaim?: ReclaimStats;
  /** Pages with a frame that were used in the last minute, or since they are watched. */
  readonly workingSet: number;
}

/** Every page of the memslots is one of the first four. */
export interface PageCounts {
  /** They have a frame that nobody else uses, */
  readonly own: number;
  /** one that a fork uses, too, */
  readonly shared: number;
  /** no frame, but a memory object that has them, */
  readonly stored: number;
  /** or neither: they read as zeros. */
  readonly untouched: number;
  /** Of those with a frame: nothing but zeros is in it. */
  readonly zero: number;
  /** In the balloon: the guest does without them. */
  readonly ballooned: number;
  /** Of the memslots, no memory now: they are not plugged in. */
  readonly unplugged: number;
}

/** Of a machine whose memory can be more, and less again. */
export interface MemorySize {
  readonly bytes: number;
  /** What the guest is asked to come to. */
  readonly wantedBytes: number;
  readonly leastBytes: number;
  readonly mostBytes: number;
}

/** How many pages with a frame were last used when. */
export interface AgeHistogram {
  readonly scanMs: number;
  readonly scans: number;
  /** `pages[n]`: not used for `sinceMs[n]`, but for less than the next one. */
  readonly sinceMs: readonly number[];
  readonly pages: readonly number[];
}

/** The memslots' pages in order of address, some at a time. */
export interface HeatMap {
  /** A power of two. */
  readonly pagesPerCell: number;
  /** Of each cell, 0 to 255: how much of it has frames, */
  readonly present: readonly number[];
  /** and how hot these are: 255 where all were used since the last scan, half of that two scans later. */
  readonly heat: readonly number[];
}

/** What can be asked of a machine's memory. */
export type MemoryQuestion =
  | { readonly about: "stats" }
  | { readonly about: "heat"; readonly cells: number }
  /** Answered by the pages stored to since it was last asked, or that it was asked first. */
  | { readonly about: "dirty" }
  /** With `wantedBytes` the guest is asked to have so much. */
  | { readonly about: "size"; readonly wantedBytes?: number }
  | ViewQuestion;

interface MemoryAnswers extends ViewAnswers {
  readonly stats: MemoryStats;
  readonly heat: HeatMap;
  readonly dirty: readonly PageRange[];
  readonly size: MemorySize;
}

/** What it is answered by. */
export type MemoryAnswer<Q extends MemoryQuestion> = MemoryAnswers[Q["about"]];

const scanMs = 1000;
const forgottenNs = 60e9;
const workingSetScans = 60;
const halfLifeScans = 2;
const mostCells = 1 << 16;

/** What it has of its machine. */
export interface MemoryParts {
  readonly arena: Arena;
  readonly space: AddressSpace;
  /** Absent where the host takes nothing back. */
  readonly freeFrames: FreeFrames | undefined;
  /** Absent where pages are left alone. */
  readonly reclaim?: ReclaimOptions;
  /** Of a machine that can be resized: what it begins with, and the device that has the rest. */
  readonly size?: { readonly memoryBytes: number; readonly plugged: () => PluggedMemory | undefined };
  /** Once for each pressure that begins. */
  notice(line: string): void;
  isZero(frame: number): boolean;
  /** What devices have claimed of the guest's addresses. */
  deviceSlots(): readonly MmioSlot[];
  balloonedPages(): number;
  now(): number;
}

export class MachineMemory {
  readonly #parts: MemoryParts;
  #ages: PageAges | undefined;
  #nextScan = 0;
  #lastAsked = 0;
  #dirty: DirtyLog | undefined;

  readonly #reclaimer: Reclaimer | undefined;
  readonly #view: MemoryView;

  constructor(parts: MemoryParts) {
    this.#parts = parts;
    this.#view = new MemoryView(parts.space, () => parts.deviceSlots());
    if (parts.reclaim === undefined) return;
    this.#ages = new PageAges(parts.space);
    this.#reclaimer = new Reclaimer(parts.space, this.#ages, parts.reclaim);
  }

  /** Does what is due at `nowNs`; `idle`: the guest sleeps. */
  look(nowNs: number, idle: boolean): void {
    this.#parts.freeFrames?.look(nowNs, idle);
    if (this.#ages !== undefined && nowNs >= this.#nextScan) this.#scan(this.#ages, nowNs);
    this.#reclaim();
  }

  #scan(ages: PageAges, nowNs: number): void {
    this.#nextScan = nowNs + scanMs * 1e6;
    if (this.#reclaimer) this.#reclaimer.scanned(ages.scan());
    else if (nowNs > this.#lastAsked + forgottenNs) this.#ages = undefined;
    else ages.scan();
  }

  #reclaim(): void {
    if (this.#reclaimer === undefined) return;
    const before = this.#reclaimer.stats.pressure;
    this.#reclaimer.work();
    const { pressure } = this.#reclaimer.stats;
    if (pressure === "full" && before !== "full")
      this.#parts.notice("memory: the guest has more than its limit, and no page can be taken from it");
  }

  /** Throws an Error, which says what to do, for a size that the machine cannot have. */
  answer(question: MemoryQuestion): MemoryAnswer<MemoryQuestion> {
    switch (question.about) {
      case "stats":
        return this.#stats(this.#watched());
      case "heat":
        return this.#heat(this.#watched(), Math.min(Math.max(1, Math.floor(question.cells)), mostCells));
      case "dirty":
        return this.#dirtyPages();
      case "size":
        return this.#size(question.wantedBytes);
      default:
        return this.#view.answer(question);
    }
  }

  #watched(): PageAges {
    const now = this.#parts.now();
    this.#lastAsked = now;
    if (this.#ages === undefined) this.#nextScan = now + scanMs * 1e6;
    this.#ages ??= new PageAges(this.#parts.space);
    return this.#ages;
  }

  #size(wantedBytes: number | undefined): MemorySize {
    const { size } = this.#parts;
    const plugged = size?.plugged();
    if (size === undefined || plugged === undefined)
      throw new Error("this machine keeps its size: start it with a memory it can grow to (memoryMax)");
    const { memoryBytes } = size;
    const mostBytes = memoryBytes + plugged.regionBytes;
    if (wantedBytes !== undefined) plugged.request(checkSize(wantedBytes, memoryBytes, mostBytes) - memoryBytes);
    return {
      bytes: memoryBytes + plugged.pluggedBytes,
      wantedBytes: memoryBytes + plugged.requestedBytes,
      leastBytes: memoryBytes,
      mostBytes,
    };
  }

  #stats(ages: PageAges): MemoryStats {
    const { arena, space } = this.#parts;
    const histogram = ages.histogram();
    return {
      slots: this.#view.slots,
      objects: space.objects.map((object) => object.stats()),
      pages: this.#count(),
      ...(this.#reclaimer && { reclaim: this.#reclaimer.stats }),
      freeFrames: freeFrames(arena),
      ages: {
        scanMs,
        scans: ages.scans,
        sinceMs: ageBounds.map((bound) => bound * scanMs),
        pages: ageBounds.map((bound, n) => sum(histogram.subarray(bound, ageBounds[n + 1]))),
      },
      workingSet: sum(histogram.subarray(0, Math.min(ages.scans, workingSetScans))),
    };
  }

  #count(): PageCounts {
    const { space, isZero, balloonedPages } = this.#parts;
    let own = 0;
    let shared = 0;
    let stored = 0;
    let zero = 0;
    space.forEachPage((_, frame, entry) => {
      if (frame === 0) stored++;
      else if ((entry & entryFlags.E_COW) !== 0) shared++;
      else own++;
      if (frame !== 0 && isZero(frame)) zero++;
    });
    const ram = space.ram.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / pageSize;
    const unplugged = space.sizeBytes / pageSize - ram;
    const untouched = ram - own - shared - stored;
    return { own, shared, stored, untouched, zero, ballooned: balloonedPages(), unplugged };
  }

  #heat(ages: PageAges, cells: number): HeatMap {
    const { space } = this.#parts;
    const pages = space.sizeBytes / pageSize;
    const pagesPerCell = 2 ** Math.ceil(Math.log2(Math.max(1, pages / cells)));
    const present = new Float64Array(Math.ceil(pages / pagesPerCell));
    const heat = new Float64Array(present.length);
    const placeOf = placesOf(space);
    space.forEachPage((gfn, frame) => {
      if (frame === 0) return;
      const cell = Math.floor(placeOf(gfn) / pagesPerCell);
      present[cell]++;
      heat[cell] += 0.5 ** (ages.ageOf(gfn) / halfLifeScans);
    });
    return {
      pagesPerCell,
      present: Array.from(present, (count) => Math.ceil((255 * count) / pagesPerCell)),
      heat: Array.from(heat, (warmth, cell) => (present[cell] === 0 ? 0 : Math.round((255 * warmth) / present[cell]))),
    };
  }

  #dirtyPages(): readonly PageRange[] {
    if (this.#dirty === undefined) {
      this.#dirty = this.#parts.space.dirty.open();
      return [];
    }
    return rangesOf(this.#dirty.harvest());
  }
}

function checkSize(bytes: number, least: number, most: number): number {
  const mib = (of: number): string => `${of / 2 ** 20} MiB`;
  if (!(bytes >= least && bytes <= most))
    throw new Error(`this machine has ${mib(least)} to ${mib(most)} of memory: ${mib(bytes)} is none of that`);
  if ((bytes - least) % plugBlockBytes !== 0)
    throw new Error(
      `memory is plugged in pieces of ${mib(plugBlockBytes)}, over the first ${mib(least)}: ${mib(bytes)} is in between`,
    );
  return bytes;
}

/** In scans: 0, 1, 2, 4, ... and no age beyond. */
const ageBounds = [0, ...Array.from({ length: Math.log2(oldestAge + 1) }, (_, n) => 2 ** n)];

const sum = (counts: Uint32Array): number => counts.reduce((total, count) => total + count, 0);

/** The place of a guest frame among all pages of the memslots. */
function placesOf({ memslots }: AddressSpace): (gfn: number) => number {
  let before = 0;
  const slots = memslots.map(({ gpa, sizeBytes }) => {
    const slot = { first: gpa / pageSize, before };
    before += sizeBytes / pageSize;
    return slot;
  });
  return (gfn) => {
    const slot = slots.findLast(({ first }) => gfn >= first);
    return slot === undefined ? 0 : gfn - slot.first + slot.before;
  };
}
