/**
 * Frames that guests gave back, on their way to the host: those that nobody has used again after a while are discarded, run by run of
 * neighbours. Where the host takes nothing back they wait on the arena's free list.
 */
import type { Arena } from "./arena.ts";
import { arenaLayout, processFields } from "./arena-layout.ts";

/** Tells the host that nobody needs the bytes of a piece of the arena, which read as zeros then. False: it does not take them. */
export type Discard = (memory: WebAssembly.Memory, at: number, bytes: number) => boolean;

/** What it asks of the runtime (runtime/memory/free.ts). */
export interface FreeLists {
  take_free(list: number, most: number): number;
  put_free(list: number, count: number, empty: number): void;
}

export interface FreeFrameStats {
  /** On the free list, their memory still the process's. */
  readonly kept: number;
  /** On the free list, their memory the host's. */
  readonly discarded: number;
}

const all = new WeakMap<Arena, FreeFrames>();
const batch = 1024;
const frameBytes = 4096;
/** So many stay for whoever needs a frame next: half a mebibyte. */
const spare = 128;
const lookEveryNs = 200e6;

export class FreeFrames {
  readonly #arena: Arena;
  readonly #lists: FreeLists;
  readonly #discard: Discard;
  readonly #list: number;
  #nextLook = 0;
  /** Frames that were free at the last look. */
  #seen = 0;
  #refused = false;

  /** Of an arena, whose machines share it. */
  static of(arena: Arena, lists: FreeLists, discard: Discard): FreeFrames {
    const known = all.get(arena);
    if (known) return known;
    const made = new FreeFrames(arena, lists, discard);
    all.set(arena, made);
    return made;
  }

  private constructor(arena: Arena, lists: FreeLists, discard: Discard) {
    this.#arena = arena;
    this.#lists = lists;
    this.#discard = discard;
    this.#list = arena.allot(4 * batch);
  }

  /** Gives the host what has been free for some time; `idle`: what is free now. */
  look(nowNs: number, idle = false): void {
    if (nowNs < this.#nextLook && !idle) return;
    this.#nextLook = nowNs + lookEveryNs;
    const { kept } = freeFrames(this.#arena);
    const goes = (idle ? kept : Math.min(kept, this.#seen)) - spare;
    for (let left = goes; left > 0 && !this.#refused; left -= batch) this.#give(Math.min(left, batch));
    this.#seen = freeFrames(this.#arena).kept;
  }

  #give(most: number): void {
    const count = this.#lists.take_free(this.#list, most);
    const words = new Uint32Array(this.#arena.memory.buffer, this.#list, count);
    words.sort();
    for (let n = 0; n < count && !this.#refused; ) {
      let end = n + 1;
      while (end < count && words[end] === words[end - 1] + frameBytes) end++;
      this.#refused = !this.#discard(this.#arena.memory, words[n], (end - n) * frameBytes);
      n = end;
    }
    this.#lists.put_free(this.#list, count, this.#refused ? 0 : 1);
  }
}

/** Frames of an arena that nobody uses. */
export function freeFrames(arena: Arena): FreeFrameStats {
  const word = (field: number): number => arena.i32[(arenaLayout.PROCESS + field) >> 2];
  return { kept: word(processFields.P_FREE_COUNT), discarded: word(processFields.P_EMPTY_COUNT) };
}
