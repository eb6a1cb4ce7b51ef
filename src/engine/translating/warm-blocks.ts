/**
 * Blocks that have run, taken out of one engine's cache and put into another's, which then need not lift them.
 *
 * They keep their form (memory/arena-layout.ts), but for what is of one machine alone: frames are numbers of pages, from 1, in a list
 * that both agree on; links, lists and counters are empty. IR depends on nothing else but on the bytes it was lifted from; blocks that load
 * numbers from their bytes are left out.
 */
import { linksOf, opBytes } from "#ir";
import { type Arena, blockHeader, blockSize, placeBytes, type Translations } from "#memory";
import type { RuntimeExports } from "./runtime.ts";

/** Of a block that is the machine's own affair. */
const fleeting = [
  "B_PAGE_NEXT",
  "B_PAGE2_NEXT",
  "B_REFUSALS",
  "B_HEAT",
  "B_HASH_NEXT",
  "B_ENTRY",
  "B_COUNTER",
  "B_REGION",
] as const;
/** What is checked is a multiple of this. */
const checkedBytes = 32;

export interface WarmBlocks {
  /** With zeros behind them, up to a multiple of 32. */
  readonly bytes: Uint8Array;
  /** Of the blocks alone. */
  readonly length: number;
}

/**
 * Puts blocks that `takeBlocks` gave into a cache that has room for them. `frames`: the HPA of each page, or 0 where there is none; its
 * first is none's. `check`: the low 32 bits of the bytes' XXH64. Gives how many there are now; 0 where there is no room, or they are damaged.
 * Requires: no write TLB has an entry, and no other thread runs.
 */
export function giveBlocks(
  arena: Arena,
  runtime: RuntimeExports,
  translations: Translations,
  vp: number,
  { bytes, length }: WarmBlocks,
  check: number,
  frames: Uint32Array,
  untilHot: number,
): number {
  const words = arena.i32;
  const first = words[translations.nextAt >> 2];
  const end = first + length;
  const list = first + bytes.length;
  if (list + frames.byteLength > translations.blocksEnd) return 0;
  arena.u8.set(bytes, first);
  if (Number(BigInt.asUintN(32, runtime.xxh64(first, bytes.length))) !== check) return 0;
  words.set(frames, list >> 2);
  return runtime.adopt_blocks(vp, first, end, list, untilHot);
}

/** The blocks that have run since they were lifted or adopted; `pageOf`: the number of a frame's page, 0 where it is none. */
export function takeBlocks(
  arena: Arena,
  translations: Translations,
  untilHot: (hpa: number) => number,
  pageOf: (frame: number) => number,
): WarmBlocks {
  const words = arena.i32;
  const end = words[translations.nextAt >> 2] >> 2;
  const taken = new Int32Array(end - (translations.blocks >> 2) + checkedBytes / 4);
  let length = 0;
  for (let block = translations.blocks >> 2; block < end; ) {
    const bytes = blockSizeAt(words, block);
    const hpa = words[block + (blockHeader.B_HPA >> 2)];
    const hpa2 = words[block + (blockHeader.B_HPA2 >> 2)];
    const hasRun = words[block + (blockHeader.B_COUNTER >> 2)] !== untilHot(hpa);
    const isValid = words[block + (blockHeader.B_VALID >> 2)] !== 0;
    // Where it loads numbers from is said in its IR.
    const stays = numbersAt(words, block) !== 0;
    const page = hasRun && isValid && !stays ? pageOf((hpa & ~0xfff) >>> 0) : 0;
    const page2 = hpa2 === 0 ? 0 : pageOf(hpa2 >>> 0);
    if (page !== 0 && (hpa2 === 0 || page2 !== 0)) {
      const copy = taken.subarray(length, length + bytes / 4);
      copy.set(words.subarray(block, block + bytes / 4));
      copy[blockHeader.B_HPA >> 2] = page * 4096 + (hpa & 4095);
      copy[blockHeader.B_HPA2 >> 2] = page2 * 4096;
      detach(copy);
      length += bytes / 4;
    }
    block += placeAt(words, block) / 4;
  }
  const padded = Math.ceil((4 * length) / checkedBytes) * checkedBytes;
  return { bytes: new Uint8Array(taken.buffer, 0, padded), length: 4 * length };
}

/** Of the block at a word. */
export const blockSizeAt = (words: Int32Array, block: number): number =>
  blockSize(
    words[block + (blockHeader.B_IR_BYTES >> 2)],
    words[block + (blockHeader.B_BYTES >> 2)],
    numbersAt(words, block),
  );

/** How many numbers it loads from its code. */
export const numbersAt = (words: Int32Array, block: number): number =>
  words[block + (blockHeader.B_NUMBERS >> 2)] >>> 16;

/** Of the place that it lies in. */
export const placeAt = (words: Int32Array, block: number): number =>
  placeBytes(words[block + (blockHeader.B_PLACE >> 2)]);

/** Makes a block's copy one of no machine: without what is fleeting, and with empty links. */
export function detach(copy: Int32Array): void {
  copy[blockHeader.B_VALID >> 2] = 1;
  for (const field of fleeting) copy[blockHeader[field] >> 2] = 0;
  copy.fill(0, blockHeader.B_SEEN_VP >> 2, (blockHeader.B_SEEN_RIP >> 2) + 2);
  unlink(copy);
}

/** Empties the links of a block's operations. */
function unlink(block: Int32Array): void {
  const end = (blockHeader.B_IR + block[blockHeader.B_IR_BYTES >> 2]) >> 2;
  for (let at = blockHeader.B_IR >> 2; at < end; ) {
    const operation = block[at] & 0xffff;
    for (const link of linksOf[operation]) block[at + link] = 0;
    at += opBytes(operation) >> 2;
  }
}
