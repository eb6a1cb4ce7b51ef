/**
 * The arena: the one shared WebAssembly.Memory in which a process keeps all guests' frames, vCPUs and code tables.
 *
 * The memory grows while the Wasm runtime runs, so that views are made anew through the accessors here, never kept
 * across a call that may allot frames.
 */
import { assert } from "#base";
import { arenaLayout, processFields, threadTranslations, translationsOf } from "./arena-layout.ts";
import { seeWhole } from "./shared-memory.ts";

const initialPages = (arenaLayout.FRAMES >> 16) + 256;
const allPages = 65536;
/** runtime/memory/frames.ts */
const growthPages = 256;
const noAlarm = -1;

export interface ArenaOptions {
  /** Frames that all guests together may have. */
  readonly frameLimit?: number;
  /**
   * Threads that run vCPUs. Where there are several the memory has its last size at once: a thread learns only some time
   * later that another one has made it grow.
   */
  readonly threads?: number;
  /** Other threads look at the memory: it has its last size at once, for the same reason. */
  readonly shared?: boolean;
  /** Bytes of frames that the guests can come to touch; without a word, as many as an arena holds. */
  readonly frameBytes?: number;
}

/** The host does not give the memory that was asked for. */
export class ArenaError extends Error {
  override name = "ArenaError";
}

/** Whole steps by which the arena grows. */
function pagesFor(bytes: number): number {
  return Math.min(allPages, Math.ceil(bytes / 65536 / growthPages) * growthPages);
}

/** Reserves addresses for an arena of any size or, where the host refuses so many, for what is needed at least. */
function reserve(initial: number, needed: number): { memory: WebAssembly.Memory; maximum: number } {
  for (const maximum of [allPages, needed]) {
    try {
      return { memory: new WebAssembly.Memory({ initial, maximum, shared: true }), maximum };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  throw new ArenaError(`the host gives no ${needed >> 4} MiB of shared memory in one piece: give the guest less`);
}

/** The end of something in the arena, as a word has it: 4 GiB is 0 there. */
const endOf = (word: number): number => ((word - 1) >>> 0) + 1;

export class Arena {
  readonly memory: WebAssembly.Memory;
  /** What it can grow to. */
  readonly maximumBytes: number;
  #allotted: number = arenaLayout.ALLOTTED;
  #u8: Uint8Array;
  #u16: Uint16Array;
  #i32: Int32Array;
  #u64: BigUint64Array;
  /** Pieces that were lent and are free again, by size. */
  readonly #returned = new Map<number, number[]>();
  /** The arena's end as it was when the views were made. */
  #end = 0;

  constructor(
    { frameLimit, threads = 1, shared: fixed = threads > 1, frameBytes }: ArenaOptions = {},
    shared?: WebAssembly.Memory,
  ) {
    const frames = arenaLayout.FRAMES + (threads - 1) * threadTranslations.T_BYTES;
    const needed = frameBytes === undefined ? allPages : pagesFor(frames + frameBytes);
    const pages = fixed ? needed : initialPages;
    const { memory, maximum } = shared ? { memory: shared, maximum: allPages } : reserve(pages, needed);
    this.memory = memory;
    this.maximumBytes = maximum * 65536;
    this.#u8 = new Uint8Array(this.memory.buffer);
    this.#u16 = new Uint16Array(this.memory.buffer);
    this.#i32 = new Int32Array(this.memory.buffer);
    this.#u64 = new BigUint64Array(this.memory.buffer);
    if (shared !== undefined) return;
    const words = this.i32;
    const set = (field: number, value: number): void => {
      words[(arenaLayout.PROCESS + field) >> 2] = value;
    };
    set(processFields.P_FRAME_NEXT, frames);
    set(processFields.P_ARENA_END, pages * 65536);
    set(processFields.P_FRAME_LIMIT, frameLimit ?? (maximum * 65536 - frames) / 4096);
    set(processFields.P_FRAME_ALARM, noAlarm);
    set(processFields.P_THREADS, threads);
    for (let thread = 0; thread < threads; thread++) {
      const { records, blocks, nextAt } = translationsOf(thread);
      set(processFields.P_RECORDS + 4 * thread, records);
      words[nextAt >> 2] = blocks;
    }
  }

  /** The arena of another thread, as this one sees it. */
  static attach(memory: WebAssembly.Memory): Arena {
    seeWhole(memory);
    return new Arena({}, memory);
  }

  get u8(): Uint8Array {
    this.#refresh();
    return this.#u8;
  }
  get u16(): Uint16Array {
    this.#refresh();
    return this.#u16;
  }
  get i32(): Int32Array {
    this.#refresh();
    return this.#i32;
  }
  get u64(): BigUint64Array {
    this.#refresh();
    return this.#u64;
  }

  /** Frames in use, of all guests. */
  get framesUsed(): number {
    return this.i32[(arenaLayout.PROCESS + processFields.P_FRAMES_USED) >> 2];
  }

  /** Frames that can still be allotted. */
  get framesLeft(): number {
    const words = this.i32;
    const field = (at: number): number => words[(arenaLayout.PROCESS + at) >> 2];
    const next = endOf(field(processFields.P_FRAME_NEXT));
    const free = field(processFields.P_FREE_COUNT) + field(processFields.P_EMPTY_COUNT);
    const allowed = (field(processFields.P_FRAME_LIMIT) >>> 0) - field(processFields.P_FRAMES_USED);
    return Math.max(0, Math.min(allowed, (this.maximumBytes - next) / 4096 + free));
  }

  /** Who runs when no more than so many frames are left ends its slice; undefined: nobody has to. */
  alarmAt(framesLeft: number | undefined): void {
    const words = this.i32;
    const alarm = framesLeft === undefined ? noAlarm : Math.max(0, this.framesUsed + this.framesLeft - framesLeft);
    words[(arenaLayout.PROCESS + processFields.P_FRAME_ALARM) >> 2] = alarm;
  }

  /**
   * Zeroed bytes for a machine's tables and records, until they are taken back; aligned to 4096. Throws ArenaError where the host
   * has no more. Requires: no other thread allots frames.
   */
  lend(bytes: number): number {
    const size = Math.ceil(bytes / 4096) * 4096;
    const free = this.#returned.get(size)?.pop();
    if (free === undefined) return this.#extend(size);
    this.u8.fill(0, free, free + size);
    return free;
  }

  /** What `lend` has given, and nobody uses any more. */
  takeBack(at: number, bytes: number): void {
    const size = Math.ceil(bytes / 4096) * 4096;
    const pieces = this.#returned.get(size);
    if (pieces === undefined) this.#returned.set(size, [at]);
    else pieces.push(at);
  }

  /** Zeroed bytes for a table or a record, for good; aligned to 4096. */
  allot(bytes: number): number {
    const at = this.#allotted;
    this.#allotted += Math.ceil(bytes / 4096) * 4096;
    assert(this.#allotted <= arenaLayout.FRAME_LINKS, "the arena's tables fit their place");
    return at;
  }

  /** Bytes that were never used, from where the frames go on. */
  #extend(bytes: number): number {
    const words = this.i32;
    const next = (arenaLayout.PROCESS + processFields.P_FRAME_NEXT) >> 2;
    const at = endOf(words[next]);
    if (at + bytes > this.#reach(at + bytes))
      throw new ArenaError("there is no memory left in the arena of this machine and its forks");
    words[next] = (at + bytes) | 0;
    return at;
  }

  /**
   * Has the arena grow before somebody needs that, to `end` where the host gives so much; up to where it is now, but no further than `end`. Where
   * several threads allot frames it stays as it is.
   */
  growTo(end: number): number {
    const words = this.i32;
    const alone = words[(arenaLayout.PROCESS + processFields.P_THREADS) >> 2] === 1;
    const last = endOf(words[(arenaLayout.PROCESS + processFields.P_ARENA_END) >> 2]);
    return Math.min(end, alone ? this.#reach(Math.min(end, this.maximumBytes)) : last);
  }

  /** Where the arena ends, once it has grown to `end` if it can. Requires: no other thread allots frames. */
  #reach(end: number): number {
    const words = this.i32;
    const last = (arenaLayout.PROCESS + processFields.P_ARENA_END) >> 2;
    const now = endOf(words[last]);
    if (end <= now) return now;
    const pages = Math.ceil((end - now) / 65536 / growthPages) * growthPages;
    try {
      this.memory.grow(pages);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return now;
    }
    words[last] = (now + pages * 65536) | 0;
    return now + pages * 65536;
  }

  #refresh(): void {
    // Asking the memory itself costs more than most of what the views are wanted for.
    const end = this.#i32[(arenaLayout.PROCESS + processFields.P_ARENA_END) >> 2];
    if (end === this.#end) return;
    const buffer = this.memory.buffer;
    this.#end = end;
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u64 = new BigUint64Array(buffer);
  }
}
