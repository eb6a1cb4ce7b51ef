/**
 * What earlier runs have lifted, found hot and compiled, kept as bytes for runs to come: blocks by the code that they were lifted from, then
 * records of regions (jit/emit/kept-regions.ts).
 *
 * IR depends on nothing but code bytes, mode, the place in the page (where its end cuts a block) and this build with all passes on. The
 * runtime takes a block only where it finds exactly these again (runtime/memory/learnt.ts), so what is learnt is good for any machine, and
 * what is stale is never found. Law: it changes nothing that a guest sees. What is damaged, cut off, or of another build is nothing.
 *
 * Blocks whose last instruction crosses into another page, or that load numbers from their bytes, are left out. Frames' numbers, links, lists: as in warm-blocks.ts.
 */
import { type Arena, arenaLayout, blockHeader, type Translations } from "#memory";
import { neverHot } from "./regions.ts";
import type { RuntimeExports } from "./runtime.ts";
import { blockSizeAt, detach, numbersAt, placeAt } from "./warm-blocks.ts";

/** Of more than this a run keeps what it wanted itself, and of what was known as much as has room. */
const mostBytes = 24 << 20;
const mostRegionBytes = 8 << 20;

/** Magic, u32 length of the blocks, u32 check of all with this as 0; build; u32 length of the regions; the blocks, the regions, then zeros. */
const magic = 0x544e524c_564d454dn; // "MEMVLRNT"
const lengthAt = 8;
const checkAt = 12;
const buildAt = 16;
const buildBytes = 32;
const regionsLengthAt = 48;
const blocksAt = 64;
/** What is checked is a multiple of this. */
const checkedBytes = 32;
const tableBytes = arenaLayout.BLOCK_HASH_ENTRIES * 4;

/** In B_COUNTER of a learnt block: how hot it was in the run that it comes from. */
const Heat = { cold: 0, warm: 1, hot: 2 } as const;
/** A block that ran so much of what makes one hot belongs to regions (jit/hot/region.ts). */
const warmShare = 1 / 64;
/** Entries until a block is hot that was hot before: those that its region may be grown over have run by then. */
const untilHotAgain = 100;

/** Bytes that can be read piece by piece into memory that threads share. */
export interface LearntSource {
  readonly sizeBytes: number;
  read(offset: number, target: Uint8Array): number;
}

/** Where what was learnt lies in the arena: blocks, and behind them regions. */
export interface Learnt {
  readonly first: number;
  readonly end: number;
  readonly regionsEnd: number;
}

/** Puts what was learnt into the arena; undefined where it is nothing. `build`: of this memvisor; `threshold`: entries until a block is hot. */
export function giveLearnt(
  arena: Arena,
  runtime: RuntimeExports,
  source: LearntSource,
  build: Uint8Array,
  threshold: number,
): Learnt | undefined {
  const { sizeBytes } = source;
  if (sizeBytes < blocksAt || sizeBytes > mostBytes + mostRegionBytes || sizeBytes % checkedBytes !== 0)
    return undefined;
  const at = arena.lend(sizeBytes + tableBytes);
  const learnt = read(arena, runtime, source, build, at);
  const counters =
    threshold === Number.POSITIVE_INFINITY
      ? ([neverHot, neverHot, neverHot] as const)
      : ([threshold, Math.ceil(threshold * (1 - warmShare)), Math.min(threshold, untilHotAgain)] as const);
  if (learnt && runtime.learn_blocks(learnt.first, learnt.end, at + sizeBytes, ...counters) > 0) return learnt;
  arena.takeBack(at, sizeBytes + tableBytes);
  return undefined;
}

function read(
  arena: Arena,
  runtime: RuntimeExports,
  { sizeBytes, read }: LearntSource,
  build: Uint8Array,
  at: number,
): Learnt | undefined {
  const bytes = arena.u8.subarray(at, at + sizeBytes);
  if (read(0, bytes) !== sizeBytes) return undefined;
  const view = new DataView(bytes.buffer, at, blocksAt);
  const length = view.getUint32(lengthAt, true);
  const regionsLength = view.getUint32(regionsLengthAt, true);
  const check = view.getUint32(checkAt, true);
  view.setUint32(checkAt, 0, true);
  const isOurs = isLearntBy(build, bytes) && length + regionsLength <= sizeBytes - blocksAt;
  if (!isOurs || Number(BigInt.asUintN(32, runtime.xxh64(at, sizeBytes))) !== check) return undefined;
  const end = at + blocksAt + length;
  return { first: at + blocksAt, end, regionsEnd: end + regionsLength };
}

/** The bytes for runs to come: what this one wanted, and what is `known` besides. `regionsOf`: records of regions, in at most so many words. */
export function packLearnt(
  arena: Arena,
  runtime: RuntimeExports,
  { blocks, nextAt }: Translations,
  known: Learnt | undefined,
  build: Uint8Array,
  threshold: number,
  regionsOf: (mostWords: number) => Int32Array,
): Uint8Array {
  const words = arena.i32;
  const pack = new Pack(mostBytes - blocksAt - checkedBytes);
  const heatOf = (block: number): number => {
    const left = words[block + (blockHeader.B_COUNTER >> 2)];
    const isForgotten = words[block + (blockHeader.B_VALID >> 2)] === 0;
    const region = words[block + ((isForgotten ? blockHeader.B_HEAT : blockHeader.B_REGION) >> 2)];
    // Its region may be on its way: entries count down from `neverHot` meanwhile.
    if (region !== 0 || left > neverHot / 2) return Heat.hot;
    return !isForgotten && threshold - left >= threshold * warmShare ? Heat.warm : Heat.cold;
  };
  pack.addAll(words, blocks, words[nextAt >> 2], placeAt, heatOf);
  if (known) {
    const heatThen = (block: number): number => words[block + (blockHeader.B_COUNTER >> 2)];
    pack.addAll(words, known.first, known.end, blockSizeAt, heatThen);
  }
  const regions = regionsOf(mostRegionBytes >> 2);
  const size = Math.ceil((blocksAt + pack.length + regions.byteLength) / checkedBytes) * checkedBytes;
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, magic, true);
  view.setUint32(lengthAt, pack.length, true);
  file.set(build, buildAt);
  view.setUint32(regionsLengthAt, regions.byteLength, true);
  file.set(pack.bytes, blocksAt);
  file.set(new Uint8Array(regions.buffer, regions.byteOffset, regions.byteLength), blocksAt + pack.length);
  view.setUint32(checkAt, checkOf(arena, runtime, file), true);
  return file;
}

/** By the runtime, which is the faster one. */
function checkOf(arena: Arena, runtime: RuntimeExports, file: Uint8Array): number {
  const at = arena.lend(file.length);
  arena.u8.set(file, at);
  const check = Number(BigInt.asUintN(32, runtime.xxh64(at, file.length)));
  arena.takeBack(at, file.length);
  return check;
}

/** Blocks, each once. */
class Pack {
  readonly #words: Int32Array;
  /** Bytes so far. */
  length = 0;
  /** Where each lies, in words, and one more than that: open addressing. */
  readonly #table = new Int32Array(arenaLayout.BLOCK_HASH_ENTRIES * 4);
  #count = 0;

  constructor(limitBytes: number) {
    this.#words = new Int32Array(limitBytes >> 2);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#words.buffer, 0, this.length);
  }

  /** Of the blocks from `first` to `end`, byte offsets, those that one page holds. `placeOf`: the bytes that one of them has. */
  addAll(
    words: Int32Array,
    first: number,
    end: number,
    placeOf: (words: Int32Array, block: number) => number,
    heatOf: (block: number) => number,
  ): void {
    for (let block = first >> 2; block < end >> 2; ) {
      const size = blockSizeAt(words, block) >> 2;
      const isWhole = words[block + (blockHeader.B_HPA2 >> 2)] === 0;
      const stays = numbersAt(words, block) !== 0;
      if (isWhole && !stays && !this.#add(words.subarray(block, block + size), heatOf(block))) return;
      block += placeOf(words, block) >> 2;
    }
  }

  /** False where there is no more room. */
  #add(block: Int32Array, heat: number): boolean {
    const copy = this.#words.subarray(this.length >> 2);
    if (block.length > copy.length || 2 * this.#count > this.#table.length) return false;
    copy.set(block);
    copy[blockHeader.B_HPA >> 2] &= 4095;
    detach(copy.subarray(0, block.length));
    const code = (blockHeader.B_IR + copy[blockHeader.B_IR_BYTES >> 2]) >> 2;
    let hash = copy[blockHeader.B_HPA >> 2] ^ (copy[blockHeader.B_MODE >> 2] << 12);
    for (let at = code; at < block.length; at++) hash = Math.imul(hash ^ copy[at], 0x9e3779b1) ^ (hash >>> 15);
    for (let slot = hash >>> 0; ; slot++) {
      const entry = slot % this.#table.length;
      const other = this.#table[entry] - 1;
      if (other < 0) {
        this.#table[entry] = (this.length >> 2) + 1;
        break;
      }
      const heatAt = other + (blockHeader.B_COUNTER >> 2);
      if (!sameCode(this.#words, other, this.length >> 2, block.length - code)) continue;
      this.#words[heatAt] = Math.max(this.#words[heatAt], heat);
      return true;
    }
    copy[blockHeader.B_COUNTER >> 2] = heat;
    this.length += block.length * 4;
    this.#count++;
    return true;
  }
}

/** Whether two blocks are of the same code in the same mode and place. */
function sameCode(words: Int32Array, a: number, b: number, codeWords: number): boolean {
  for (const field of ["B_HPA", "B_MODE", "B_BYTES", "B_IR_BYTES"] as const)
    if (words[a + (blockHeader[field] >> 2)] !== words[b + (blockHeader[field] >> 2)]) return false;
  const code = (blockHeader.B_IR + words[a + (blockHeader.B_IR_BYTES >> 2)]) >> 2;
  for (let n = 0; n < codeWords; n++) if (words[a + code + n] !== words[b + code + n]) return false;
  return true;
}

/** So many bytes tell who has written a file. */
export const learntHeadBytes = blocksAt;

/** Whether a file that begins so was written by that build. */
export function isLearntBy(build: Uint8Array, head: Uint8Array): boolean {
  const isOurs = new DataView(head.buffer, head.byteOffset, head.length).getBigUint64(0, true) === magic;
  return isOurs && build.length === buildBytes && build.every((byte, n) => byte === head[buildAt + n]);
}
