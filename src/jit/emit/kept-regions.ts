/**
 * Compiled regions that are kept for runs to come, so that code which was hot then is entered as soon as it runs again: nobody has to emit it
 * (a persistent code cache: Reddi, Connors, Cohn, Smith, "Persistent Code Caching", CGO 2007).
 *
 * A region is kept with its *shape*: its blocks' distances, the edges between them, and their operations. The object that was emitted of it is a
 * function of the shape and nothing else. Law: it serves only where every block of the shape is there now, with the same operations word for
 * word, but for links and for where indirect jumps were seen to go, which nothing is emitted of.
 *
 * A record, in words of 32 bits; `n` stands for a count, and what it counts follows:
 *
 *     words of the record, hash of the seed, vCPU, flags, mode, seed, n blocks: delta, count, n targets, n operation words
 *     n entries, n calls: place, symbol; n constants: place, symbol; n hints: offset and bit 0 likely; n bytes of the function
 */
import { linksOf, opBytes, opRows, targetsAt } from "#ir";
import { blockHeader } from "#memory";
import { targetSlots } from "#vcpu";
import type { Region, RegionBlock, RegionSize } from "../hot/region.ts";
import type { RegionCode, RegionObject } from "./region.ts";

const flag = { large: 1, hasRecord: 2, exact: 4 } as const;
const headWords = 7;

/** Words of an operation that say nothing of what it does: links, and where indirect jumps went. */
const fleeting: readonly (readonly number[])[] = opRows.map(({ format }, op) =>
  format === "target" ? [...linksOf[op], ...Array.from({ length: targetSlots }, (_, n) => targetsAt + n)] : linksOf[op],
);

/** Operations without what is fleeting. */
function lasting(words: Int32Array, at: number, length: number): Int32Array {
  const copy = words.slice(at, at + length);
  for (let word = 0; word < length; word += opBytes(copy[word] & 0xffff) >> 2)
    for (const part of fleeting[copy[word] & 0xffff]) copy[word + part] = 0;
  return copy;
}

/** Whether the operations at `at` are the lasting ones at `kept`. */
function areSame(words: Int32Array, at: number, kept: Int32Array, from: number, length: number): boolean {
  for (let word = 0; word < length; ) {
    const op = kept[from + word] & 0xffff;
    const skipped = fleeting[op];
    const end = word + (opBytes(op) >> 2);
    for (let part = 0; word < end; word++, part++)
      if (words[at + word] !== kept[from + word] && !skipped.includes(part)) return false;
  }
  return true;
}

/** Of a seed: where in its page it stands, its mode and its operations. */
function seedHash(offset: number, mode: number, operations: Int32Array): number {
  let hash = offset ^ Math.imul(mode, 0x85ebca6b);
  for (const word of operations) hash = Math.imul(hash ^ word, 0x9e3779b1) ^ (hash >>> 15);
  return hash;
}

/** Whether runs to come may want it: where something lies is another place in each. */
export const isLasting = ({ apart }: Region): boolean => apart !== true;

/** The record of a region that was emitted. `words`: where its blocks' operations are. */
export function recordOf(
  words: Int32Array,
  { region, record, vp }: RegionCode,
  { code, entries }: RegionObject,
  exact: boolean,
): Int32Array {
  const { blocks, mode, seed, size } = region;
  const flags = (size === "large" ? flag.large : 0) | (record !== 0 ? flag.hasRecord : 0) | (exact ? flag.exact : 0);
  const operations = blocks.map(({ ir, irBytes }) => lasting(words, ir, irBytes >> 2));
  const hash = seedHash(blocks[seed].delta & 0xfff, mode, operations[seed]);
  const numbers: number[] = [0, hash, vp, flags, mode, seed, blocks.length];
  blocks.forEach(({ delta, count, targets }, n) =>
    numbers.push(delta, count, targets.length, ...targets, operations[n].length, ...operations[n]),
  );
  numbers.push(entries.length, ...entries);
  for (const holes of [code.calls, code.constants])
    numbers.push(holes.length, ...holes.flatMap(({ at, symbol }) => [at, symbol]));
  numbers.push(code.hints.length, ...code.hints.map(({ offset, likely }) => 2 * offset + (likely ? 1 : 0)));
  numbers.push(code.bytes.length);
  numbers[0] = numbers.length + Math.ceil(code.bytes.length / 4);
  const kept = new Int32Array(numbers[0]);
  kept.set(numbers);
  new Uint8Array(kept.buffer).set(code.bytes, 4 * numbers.length);
  return kept;
}

/** Reads numbers one after the other. */
class Numbers {
  readonly words: Int32Array;
  at: number;

  constructor(words: Int32Array, at: number) {
    this.words = words;
    this.at = at;
  }
  next(): number {
    return this.words[this.at++];
  }
  /** So many as the next one says, each read by `one`. */
  list<T>(one: () => T): T[] {
    return Array.from({ length: this.next() }, one);
  }
}

/** The object of the record that begins at a word. */
export function keptObject(words: Int32Array, at: number): RegionObject {
  const numbers = new Numbers(words, at + headWords - 1);
  for (let blocks = numbers.next(); blocks > 0; blocks--) {
    numbers.at += 2;
    // Targets, then operations.
    for (let lists = 0; lists < 2; lists++) numbers.at += numbers.words[numbers.at] + 1;
  }
  const number = (): number => numbers.next();
  const hole = (): { at: number; symbol: number } => ({ at: number(), symbol: number() });
  const entries = numbers.list(number);
  const calls = numbers.list(hole);
  const constants = numbers.list(hole);
  const hints = numbers.list(() => {
    const hint = number();
    return { offset: hint >>> 1, likely: (hint & 1) !== 0 };
  });
  const length = number();
  const bytes = new Uint8Array(words.buffer, words.byteOffset + 4 * numbers.at, length);
  return { entries, code: { bytes, hints, calls, constants } };
}

/** What looking for a kept region asks of the world. */
export interface KeptGround {
  /** HPA of the frame that the guest runs code from at a page, counted from the seed's; 0 where that is not known. */
  frameOf(page: number): number;
  /** The valid block at an HPA, lifted for this mode; or 0. */
  blockAt(hpa: number, mode: number): number;
  /** As RegionCode and EmitOptions have them. */
  readonly vp: number;
  readonly exact: boolean;
  readonly size: RegionSize;
}

/** What is kept for a run, in the arena, and by it. */
export class KeptRegions {
  readonly #words: () => Int32Array;
  /** Words of the arena with records one behind the other. */
  #first = 0;
  #end = 0;
  /** Where they begin, by hash of the seed, the latest first. */
  readonly #bySeed = new Map<number, number[]>();
  /** Those that served. */
  readonly #used = new Set<number>();
  /** Of regions that this run has emitted. */
  readonly #fresh: Int32Array[] = [];

  /** `words`: the arena as it is now. */
  constructor(words: () => Int32Array) {
    this.#words = words;
  }

  /** Takes over the records between two words of the arena, which stay there. Requires: `pack` wrote them, and it is called once. */
  take(first: number, end: number): void {
    const words = this.#words();
    this.#first = first;
    this.#end = end;
    for (let at = first; at < end; at += words[at]) {
      const same = this.#bySeed.get(words[at + 1]);
      if (same === undefined) this.#bySeed.set(words[at + 1], [at]);
      else same.push(at);
    }
  }

  add(record: Int32Array): void {
    this.#fresh.push(record);
  }

  /** The region of the block `seed`, if one was kept that is all there. */
  regionOf(seed: number, ground: KeptGround): Region | undefined {
    const words = this.#words();
    const field = (name: number): number => words[(seed + name) >> 2];
    const operations = lasting(words, (seed + blockHeader.B_IR) >> 2, field(blockHeader.B_IR_BYTES) >> 2);
    const hash = seedHash(field(blockHeader.B_HPA) & 0xfff, field(blockHeader.B_MODE), operations);
    for (const at of this.#bySeed.get(hash) ?? []) {
      const region = this.#read(at, seed, ground);
      if (region === undefined) continue;
      this.#used.add(at);
      return region;
    }
    return undefined;
  }

  #read(at: number, seedBlock: number, ground: KeptGround): Region | undefined {
    const words = this.#words();
    const [, , vp, flags, mode, seed] = words.subarray(at, at + headWords);
    const size = (flags & flag.large) !== 0 ? "large" : "small";
    const fits = vp === ground.vp && size === ground.size && ((flags & flag.exact) !== 0) === ground.exact;
    if (!fits || words[(seedBlock + blockHeader.B_MODE) >> 2] !== mode) return undefined;
    const numbers = new Numbers(words, at + headWords - 1);
    const frames = new Map<number, number>();
    const blocks: RegionBlock[] = [];
    let instructions = 0;
    for (let left = numbers.next(); left > 0; left--) {
      const [delta, count] = [numbers.next(), numbers.next()];
      const targets = numbers.list(() => numbers.next());
      const length = numbers.next();
      const block = blockWith(words, delta, mode, ground, frames);
      const field = (name: number): number => words[(block + name) >> 2];
      if (block === 0 || field(blockHeader.B_COUNT) !== count || field(blockHeader.B_IR_BYTES) !== 4 * length)
        return undefined;
      const ir = (block + blockHeader.B_IR) >> 2;
      if (!areSame(words, ir, words, numbers.at, length)) return undefined;
      numbers.at += length;
      blocks.push({ block, delta, count, ir, irBytes: 4 * length, targets });
      instructions += count;
    }
    const pages = [...frames].map(([page, frame]) => ({ page, frame })).sort((a, b) => a.page - b.page);
    const hasRecord = (flags & flag.hasRecord) !== 0;
    if (blocks[seed]?.block !== seedBlock || pages.length > 1 !== hasRecord) return undefined;
    return { blocks, seed, pages, mode, size, instructions, kept: 4 * at };
  }

  /** What runs to come may want, in at most so many words: what was added or is in `fresh`, what served, and what else there is. */
  pack(fresh: Int32Array, mostWords: number): Int32Array {
    const words = this.#words();
    const used = [...this.#used].map((at) => words.subarray(at, at + words[at]));
    const all = recordsIn(words.subarray(this.#first, this.#end));
    return joined([...this.#fresh, ...recordsIn(fresh), ...used, ...all], mostWords);
  }
}

/** Records that lie one behind the other. */
function* recordsIn(words: Int32Array): Generator<Int32Array> {
  for (let at = 0; at < words.length; at += words[at]) yield words.subarray(at, at + words[at]);
}

const isEqual = (a: Int32Array, b: Int32Array): boolean => a.length === b.length && a.every((word, n) => word === b[n]);

/** The records that there is room for, in this order, each once. */
function joined(records: readonly Int32Array[], mostWords: number): Int32Array {
  let length = 0;
  const bySeed = new Map<number, Int32Array[]>();
  const chosen = records.filter((record) => {
    const like = bySeed.get(record[1]) ?? [];
    const fits = length + record.length <= mostWords && !like.some((other) => isEqual(other, record));
    if (!fits) return false;
    length += record.length;
    bySeed.set(record[1], [...like, record]);
    return true;
  });
  const all = new Int32Array(length);
  let at = 0;
  for (const record of chosen) {
    all.set(record, at);
    at += record.length;
  }
  return all;
}

/** The block at a place of a region, or 0; `frames` has its pages then. */
function blockWith(
  words: Int32Array,
  delta: number,
  mode: number,
  ground: KeptGround,
  frames: Map<number, number>,
): number {
  const frameOf = (page: number): number => {
    const frame = frames.get(page) ?? ground.frameOf(page);
    if (frame !== 0) frames.set(page, frame);
    return frame;
  };
  const page = delta >> 12;
  const frame = frameOf(page);
  if (frame === 0) return 0;
  const block = ground.blockAt((frame | (delta & 0xfff)) >>> 0, mode);
  if (block === 0) return 0;
  const second = words[(block + blockHeader.B_HPA2) >> 2];
  return second === 0 || frameOf(page + 1) === second >>> 0 ? block : 0;
}
