/** Which numbers of code are live: those that were seen to change again and again (runtime/memory/numbers.ts). */
import type { LiveNumbers } from "#jit";
import { type Arena, blockHeader, numberMap, numbersPlace } from "#memory";
import type { RuntimeExports } from "./runtime.ts";

export class ChangingNumbers implements LiveNumbers {
  readonly #arena: Arena;
  readonly #runtime: RuntimeExports;
  readonly #others: (() => boolean) | undefined;
  /** Arena offset of the bits of the page that is lifted from, one for each byte; 0 where none is set. */
  #bits = 0;
  #all = false;
  /** Of the block that is lifted: place in the page and bytes of each live number, in one word. */
  readonly #list: number[] = [];

  /** `others`: whether all numbers of the next block are live, also those that never change; to see that it makes no difference. */
  constructor(arena: Arena, runtime: RuntimeExports, others?: () => boolean) {
    this.#arena = arena;
    this.#runtime = runtime;
    this.#others = others;
    runtime.keep_numbers(arena.allot(numberMap.NUMBER_MAPS * numberMap.N_BYTES));
  }

  /** For a block that begins at an HPA; undefined where nothing changes between there and the end of the page. */
  from(hpa: number): ChangingNumbers | undefined {
    this.#list.length = 0;
    this.#bits = this.#runtime.changing_numbers(hpa);
    this.#all = this.#others?.() ?? false;
    return this.#bits !== 0 || this.#all ? this : undefined;
  }

  isLive(from: number, bytes: number): boolean {
    const place = from & 4095;
    if (!this.#all && !this.#changes(place, bytes)) return false;
    this.#list.push(place | (bytes << 16));
    return true;
  }

  /** Some of the bytes do. */
  #changes(place: number, bytes: number): boolean {
    for (let at = place; at < place + bytes; at++)
      if (((this.#arena.u8[this.#bits + (at >> 3)] >> (at & 7)) & 1) !== 0) return true;
    return false;
  }

  /** Writes those of the block that was lifted into its record, whose other lengths are written. */
  writeTo(block: number): void {
    const words = this.#arena.i32;
    const header = block >> 2;
    // Its upper half. The lower one is B_REFUSALS: nothing has been refused yet.
    words[header + (blockHeader.B_NUMBERS >> 2)] = this.#list.length << 16;
    const irBytes = words[header + (blockHeader.B_IR_BYTES >> 2)];
    words.set(this.#list, (block + numbersPlace(irBytes, words[header + (blockHeader.B_BYTES >> 2)])) >> 2);
  }
}
