/**
 * Memory of the arena that is touched before it is used.
 *
 * What nobody has touched yet the host has to find, and to clear, at the first store: that takes longer than what a booting guest does
 * with it, most of all where the host is a virtual machine itself. Frames, and translated code, are taken in order of address, so
 * that another thread can be the first one there.
 *
 * Laws: touching changes nothing: it adds 0 by atomic operations, whoever stores to the same words meanwhile. It is never further ahead than what
 * was taken since it was begun, so that a machine that takes nothing has nothing touched, nor than `mostAhead`, or what it was told of.
 */
import type { Arena } from "./arena.ts";
import { arenaLayout, processFields, type Translations } from "./arena-layout.ts";
import { seeWhole } from "./shared-memory.ts";

/** What is touched: frames, and the blocks of one thread. */
const kinds = 2;
/**
 * u32, shared by who uses memory and who touches it: up to where each is to be touched, and for each the word of the arena with the end
 * of what was taken.
 */
export const aheadBytes = 4 * 2 * kinds;

const mostAhead = 8 << 20;
/** What is said to be a kernel may be anything. */
const mostExpected = 128 << 20;
/** Pages of this host, or part of them: touching one that is there costs next to nothing. */
const pageBytes = 4096;
/** 4 GiB is more than a word holds. */
const lastWord = 2 ** 32 - pageBytes;
/** What is cleared at a time where the host has large pages; who touches has other things to do besides. */
const pieceBytes = 2 << 20;

/** Says how far to touch. For the thread that takes memory. */
export class Ahead {
  readonly #arena: Arena;
  readonly #wanted: Uint32Array;
  readonly #ends: readonly number[];
  readonly #blocksEnd: number;
  /** Where each was when it was begun. */
  readonly #from: readonly number[];

  /** For the thread that has these translations. `expectedBytes`: of frames that are about to be taken. */
  constructor(arena: Arena, wanted: SharedArrayBuffer, { nextAt, blocksEnd }: Translations, expectedBytes: number) {
    this.#arena = arena;
    this.#wanted = new Uint32Array(wanted);
    this.#ends = [(arenaLayout.PROCESS + processFields.P_FRAME_NEXT) / 4, nextAt / 4];
    this.#wanted.set(this.#ends, kinds);
    this.#blocksEnd = blocksEnd;
    this.#from = this.#ends.map((end) => endAt(arena.i32, end));
    this.#wanted.set(this.#from);
    if (expectedBytes > 0) this.#want(0, this.#from[0] + Math.min(expectedBytes, mostExpected));
  }

  /** Looks at what was taken; true where there is something to touch now. */
  look(): boolean {
    let more = false;
    const words = this.#arena.i32;
    for (let n = 0; n < kinds; n++) {
      const end = endAt(words, this.#ends[n]);
      const wanted = end + Math.min(end - this.#from[n], mostAhead);
      // In steps, each of which is worth waking a thread for.
      if (wanted < this.#wanted[n] + pieceBytes) continue;
      this.#want(n, wanted);
      more = true;
    }
    return more;
  }

  #want(n: number, end: number): void {
    Atomics.store(
      this.#wanted,
      n,
      n === 0 ? this.#arena.growTo(Math.min(end, lastWord)) : Math.min(end, this.#blocksEnd),
    );
  }
}

/** Touches it. For a thread beside that one. */
export class Toucher {
  readonly #memory: WebAssembly.Memory;
  readonly #wanted: Uint32Array;
  readonly #done = new Array<number>(kinds).fill(0);

  constructor(memory: WebAssembly.Memory, wanted: SharedArrayBuffer) {
    seeWhole(memory);
    this.#memory = memory;
    this.#wanted = new Uint32Array(wanted);
  }

  /** Touches a piece; false where nothing is left to touch. */
  touch(): boolean {
    const words = new Int32Array(this.#memory.buffer);
    for (let n = 0; n < kinds; n++) {
      // The memory's length may be an old one here.
      const end = Math.min(Atomics.load(this.#wanted, n), words.byteLength);
      const from = Math.max(this.#done[n], endAt(words, this.#wanted[kinds + n]));
      if (from >= end) continue;
      const to = Math.min(end, from - (from % pieceBytes) + pieceBytes);
      for (let at = from; at < to; at += pageBytes) Atomics.add(words, at / 4, 0);
      this.#done[n] = to;
      return true;
    }
    return false;
  }
}

/** 4 GiB is 0 there. */
const endAt = (words: Int32Array, word: number): number => ((Atomics.load(words, word) - 1) >>> 0) + 1;
