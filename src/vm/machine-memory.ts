/**
 * A machine's memory as its thread looks at it from time to time: which pages are used and how long ago, which were stored to,
 * which frames are free for the host, and which pages go because frames are short (memory-pressure.ts).
 *
 * Ages are kept while pages are taken, and from the first question about them until nobody has asked for a minute: a scan costs a walk over
 * all entries of the address space, and the vCPUs their TLBs.
 */
import { pageSize } from "#address";
import { type MmioSlot, type PluggedMemory, plugBlockBytes } from "#devices";
import {
  type AddressSpace,
  type Arena,
  type DirtyLog,
  type FreeFrameStats,
  type FreeFrames,
  freeFrames,
  type MemoryObject,
  type MemoryObjectStats,
  oldestAge,
  PageAges,
  Reclaimer,
  type ReclaimOptions,
  type ReclaimStats,
} from "#memory";
import type { MachineHost } from "./machine-host.ts";
import type { MachineRoom } from "./machine-room.ts";
import { type MemoryPressure, PressureWatch } from "./memory-pressure.ts";
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
  /** Of a machine whose pages are taken. */
  readonly reclaim?: ReclaimStats;
  readonly pressure: MemoryPressure;
  /** What the machine may have in frames, where there is a limit. */
  readonly limitBytes?: number;
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
  /** Since when accesses are watched. */
  readonly watchedMs: number;
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
  /** From now on the machine may have so much in frames, or as much as it likes. Answered by nothing. */
  | { readonly about: "limit"; readonly bytes?: number }
  /** Whether what is cold is taken from now on; meanwhile what is known of ages stays. Answered by nothing. */
  | { readonly about: "reclaim"; readonly on: boolean }
  | ViewQuestion;

interface MemoryAnswers extends ViewAnswers {
  readonly stats: MemoryStats;
  readonly heat: HeatMap;
  readonly dirty: readonly PageRange[];
  readonly size: MemorySize;
  readonly limit: null;
  readonly reclaim: null;
}

/** What it is answered by. */
export type MemoryAnswer<Q extends MemoryQuestion> = MemoryAnswers[Q["about"]];

const secondNs = 1e9;
/** While somebody looks, or frames are short; and else, while what is cold is taken. */
const scanNs = { close: 1 * secondNs, far: 4 * secondNs };
const forgottenNs = 60 * secondNs;
const workingSetSeconds = 60;
const halfLifeSeconds = 2;
const mostCells = 1 << 16;
const noteNs = 100e6;
/** Frames of zeros are counted no more often: that takes a look at every frame. */
const zerosNs = 1 * secondNs;

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
  /** What devices have claimed of the guest's addresses. */
  deviceSlots(): readonly MmioSlot[];
  /** There is somewhere for evicted pages from now on. */
  needBacking(): void;
  /** Where that is. */
  evicted(): MemoryObject | undefined;
  readonly room: Pick<MachineRoom, "family" | "share">;
  readonly host: Pick<MachineHost, "memoryPressure" | "memoryChanged" | "noteMemory" | "report">;
  balloonedPages(): number;
  now(): number;
}

export class MachineMemory {
  readonly #parts: MemoryParts;
  readonly #pressure: PressureWatch;
  readonly #share: Disposable;
  #proactive: boolean;
  /** Since when it is not to be, though it was: nothing is looked at for it. */
  #restsSince: number | undefined;
  #reclaimer: Reclaimer | undefined;
  /** Until when there is one, of a machine from which pages are not always taken. */
  #reclaimUntil = 0;
  #ages: PageAges | undefined;
  #scanned = 0;
  #noted = Number.NEGATIVE_INFINITY;
  #lastAsked = Number.NEGATIVE_INFINITY;
  #now = 0;
  #zeros = { count: 0, at: Number.NEGATIVE_INFINITY };
  #dirty: DirtyLog | undefined;
  readonly #view: MemoryView;

  constructor(parts: MemoryParts) {
    this.#parts = parts;
    this.#view = new MemoryView(parts.space, () => parts.deviceSlots());
    const { space, reclaim, room, host } = parts;
    this.#proactive = reclaim?.proactive ?? false;
    const mate = { frames: () => space.framesTouched, isPaused: () => this.isPaused };
    this.#pressure = new PressureWatch(
      {
        frames: mate.frames,
        family: () => room.family(mate),
        host: () => host.memoryPressure ?? { level: "none", chosen: false },
        takeCold: (asked) => this.#takeCold(asked),
        needReclaimer: () => this.#needReclaimer(),
        reclaimer: () => this.#reclaimer,
        tell: (pressure, before) => this.#tell(pressure, before),
      },
      reclaim?.limitFrames,
    );
    this.#share = room.share(mate);
    if (reclaim !== undefined) this.#needReclaimer();
  }

  [Symbol.dispose](): void {
    this.#share[Symbol.dispose]();
  }

  /** The machine is to have no turn: there is no memory for it (memory-pressure.ts). */
  get isPaused(): boolean {
    return this.#pressure.isPaused;
  }

  /** Does what is due at `nowNs`; `idle`: the guest sleeps. */
  look(nowNs: number, idle: boolean): void {
    this.#now = nowNs;
    this.#note();
    this.#parts.freeFrames?.look(nowNs, idle);
    this.#scanIfDue();
    this.#pressure.look(nowNs);
  }

  /** Tells the host what the machine holds of its memory. */
  #note(): void {
    if (this.#now < this.#noted + noteNs) return;
    this.#noted = this.#now;
    const { host, space, evicted } = this.#parts;
    host.noteMemory?.(space.framesTouched, Math.ceil((evicted()?.stats().hostBytes ?? 0) / pageSize));
  }

  #scanIfDue(): void {
    if (this.#ages === undefined) return;
    const watched = this.#now <= this.#lastAsked + forgottenNs;
    if (this.#restsSince !== undefined && !watched && !this.#reclaims) return;
    const close = watched || this.#pressure.isClose;
    if (this.#now < this.#scanned + (close ? scanNs.close : scanNs.far)) return;
    const seconds = Math.max(1, Math.round((this.#now - this.#scanned) / secondNs));
    this.#scanned = this.#now;
    if (this.#reclaimer && !this.#reclaims) this.#reclaimer = undefined;
    if (this.#reclaimer) this.#reclaimer.scan(seconds);
    else if (watched) this.#ages.scan(seconds);
    else this.#ages = undefined;
  }

  get #reclaims(): boolean {
    return this.#proactive || this.#pressure.limitFrames !== undefined || this.#now < this.#reclaimUntil;
  }

  #needReclaimer(): Reclaimer {
    this.#reclaimUntil = this.#now + forgottenNs;
    if (this.#reclaimer === undefined) {
      this.#parts.needBacking();
      this.#reclaimer = new Reclaimer(this.#parts.space, this.#watched(), this.#proactive);
    }
    return this.#reclaimer;
  }

  #takeCold(asked: boolean): void {
    if (asked) this.#needReclaimer();
    if (this.#reclaimer === undefined) return;
    this.#reclaimer.proactive = this.#proactive || asked;
    if (this.#reclaimer.proactive) this.#reclaimer.takeCold();
  }

  #setProactive(on: boolean): void {
    this.#now = this.#parts.now();
    this.#proactive = on;
    if (on) {
      this.#needReclaimer();
      // No page has grown older meanwhile.
      this.#scanned += this.#now - (this.#restsSince ?? this.#now);
      this.#restsSince = undefined;
    } else this.#restsSince ??= this.#now;
    this.#reclaimUntil = 0;
  }

  #tell(pressure: MemoryPressure, before: MemoryPressure): void {
    const { host } = this.#parts;
    const { paused } = pressure;
    if ((paused === undefined) !== (before.paused === undefined))
      host.report("notice", paused === undefined ? goesOn : `memory: the machine is paused: ${paused}`);
    host.memoryChanged?.(pressure);
  }

  /** Throws an Error, which says what to do, for a size that the machine cannot have. */
  answer(question: MemoryQuestion): MemoryAnswer<MemoryQuestion> {
    switch (question.about) {
      case "stats":
        return this.#stats(this.#asked());
      case "heat":
        return this.#heat(this.#asked(), Math.min(Math.max(1, Math.floor(question.cells)), mostCells));
      case "dirty":
        return this.#dirtyPages();
      case "size":
        return this.#size(question.wantedBytes);
      case "limit":
        this.#pressure.limitFrames = question.bytes === undefined ? undefined : Math.floor(question.bytes / pageSize);
        return null;
      case "reclaim":
        this.#setProactive(question.on);
        return null;
      default:
        return this.#view.answer(question);
    }
  }

  #asked(): PageAges {
    this.#now = this.#parts.now();
    this.#lastAsked = this.#now;
    return this.#watched();
  }

  #watched(): PageAges {
    if (this.#ages === undefined) this.#scanned = this.#now;
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
    const { limitFrames } = this.#pressure;
    const histogram = ages.histogram();
    return {
      slots: this.#view.slots,
      objects: space.swap.objects.map((object) => object.stats()),
      pages: this.#count(),
      ...(this.#reclaimer && { reclaim: this.#reclaimer.stats }),
      pressure: this.#pressure.state,
      ...(limitFrames !== undefined && { limitBytes: limitFrames * pageSize }),
      freeFrames: freeFrames(arena),
      ages: {
        watchedMs: ages.seconds * 1000,
        sinceMs: ageBounds.map((bound) => bound * 1000),
        pages: ageBounds.map((bound, n) => sum(histogram.subarray(bound, ageBounds[n + 1]))),
      },
      workingSet: sum(histogram.subarray(0, Math.min(ages.seconds, workingSetSeconds))),
    };
  }

  #count(): PageCounts {
    const { space, balloonedPages } = this.#parts;
    if (this.#now >= this.#zeros.at + zerosNs) this.#zeros = { count: space.countZeros(), at: this.#now };
    const counts = space.countPages();
    const ram = space.ram.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / pageSize;
    const unplugged = space.sizeBytes / pageSize - ram;
    const untouched = ram - counts.own - counts.shared - counts.stored;
    return { ...counts, untouched, zero: this.#zeros.count, ballooned: balloonedPages(), unplugged };
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
      heat[cell] += 0.5 ** (ages.ageOf(gfn) / halfLifeSeconds);
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

const goesOn = "memory: the machine goes on";

/** In seconds: 0, 1, 2, 4, ... and no age beyond. */
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
