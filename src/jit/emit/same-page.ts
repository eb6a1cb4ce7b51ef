/**
 * Which accesses of a block lie so close together that one question is enough for all.
 *
 * Fields of a structure, slots of a stack frame, parts of an unrolled copy: addresses that differ by constants. The first
 * access of such a *group* asks whether all of the bytes between the group's ends are on one page, and keeps where in the arena the
 * group's least byte is. The others are so far from there; where the first one found no such page, each asks by itself.
 *
 * Law: between the first and the last access of a group nothing can change what is mapped (no helper is called), and the registers
 * of their addresses have changed by constants only. So the sums of addresses, taken modulo 2^64, differ as the constants do.
 */
import { type OpRow, opRows } from "#ir";
import { at } from "#vcpu";
import type { RegionBlock } from "../hot/region.ts";
import { eachOperation } from "./operations.ts";

export interface PageGroup {
  /** Word that the first access's operation starts at. */
  readonly first: number;
  /** Which of the groups of its block. */
  readonly number: number;
  /** From the group's first byte to the first access, and to the group's end. */
  before: number;
  span: number;
  accesses: number;
}

/** Farther than that from the first access nothing belongs to a group. */
const reach = 512;
const mostGroups = 8;

/** What is known of a register: something unknown, and a constant. */
interface Sum {
  readonly origin: number;
  readonly offset: number;
}

const bytesOf = opRows.map(({ name, d }): number => {
  const extended = /^ld[sz](\d+)_/.exec(name);
  if (extended !== null) return Number(extended[1]) / 8;
  return d === "v128" ? 16 : d === "i64" ? 8 : d === "i32" || d === "w32" ? 4 : d === "i16" ? 2 : 1;
});
const isAccess = opRows.map(({ format, name }) => (format === "mem" || format === "mem2") && !name.startsWith("lea"));
const isIndexed = opRows.map(({ name }) => /^(ld|st).*x$/.test(name));
const asksAlignment = opRows.map(({ name }) => /^(ld|st)va$/.test(name));
const isWrite = opRows.map(({ name }) => !/^(ld(?!m)|pop)/.test(name));

/** What is known of accesses, by the words that their operations start at. */
export interface NearAccesses {
  readonly groups: ReadonlyMap<number, PageGroup>;
  /** Of accesses that belong to groups: how far they are from their group's first one. */
  readonly distances: ReadonlyMap<number, number>;
  /** Accesses that are as far from a multiple of 16 as one before them, which has been asked. */
  readonly aligned: ReadonlySet<number>;
}

export function nearAccesses(words: Int32Array, blocks: readonly RegionBlock[]): NearAccesses {
  const groups = new Map<number, PageGroup>();
  const distances = new Map<number, number>();
  const aligned = new Set<number>();
  for (const block of blocks) groupsOf(words, block, groups, distances, aligned);
  for (const [word, group] of groups) if (group.accesses < 2) groups.delete(word);
  return { groups, distances, aligned };
}

function groupsOf(
  words: Int32Array,
  block: RegionBlock,
  groups: Map<number, PageGroup>,
  distances: Map<number, number>,
  aligned: Set<number>,
): void {
  const sums = new Map<number, Sum>();
  let origins = 0;
  let count = 0;
  /** By origin and kind: groups, each with the constant of its first access. */
  let open = new Map<string, { readonly group: PageGroup; readonly offset: number }[]>();
  /** By origin: constants modulo 16 that aligned accesses had. */
  const multiples = new Set<string>();
  const sumOf = (register: number): Sum => {
    let sum = sums.get(register);
    if (sum === undefined) sums.set(register, (sum = { origin: origins++, offset: 0 }));
    return sum;
  };
  eachOperation(words, block, (row, word) => {
    const op = words[word] & 0xffff;
    const a = words[word + 1] & 0xffff;
    if (row.format === "call") {
      open = new Map();
      sums.clear();
      return;
    }
    if (isAccess[op] && !isIndexed[op]) {
      const { origin, offset } = sumOf(a);
      if (asksAlignment[op]) align(origin, offset + words[word + 2], word);
      enter(isWrite[op] ? `w${origin}` : `r${origin}`, offset + distance(row, words[word + 2]), bytesOf[op], word);
    }
    follow(row, word, a);
  });

  function align(origin: number, offset: number, word: number): void {
    const key = `${origin} ${offset & 15}`;
    if (multiples.has(key)) aligned.add(word);
    else multiples.add(key);
  }
  function enter(key: string, offset: number, bytes: number, word: number): void {
    const candidates = open.get(key) ?? [];
    open.set(key, candidates);
    const found = candidates.find((each) => Math.abs(offset - each.offset) <= reach);
    if (found === undefined) {
      if (count === mostGroups) return;
      const group = { first: word, number: count++, before: 0, span: bytes, accesses: 1 };
      candidates.push({ group, offset });
      groups.set(word, group);
      distances.set(word, 0);
      return;
    }
    const { group } = found;
    const from = offset - found.offset + group.before;
    if (from < 0) {
      group.before -= from;
      group.span -= from;
    }
    group.span = Math.max(group.span, Math.max(from, 0) + bytes);
    group.accesses++;
    groups.set(word, group);
    distances.set(word, offset - found.offset);
  }
  /** What becomes of the registers. */
  function follow(row: OpRow, word: number, a: number): void {
    if (row.name === "push64" || row.name === "pushpc") return move(a, a, -8);
    if (row.name === "pop64") move(a, a, 8);
    if (!row.dWritten) return;
    const d = words[word] >>> 16;
    if (d >= at.RIP) return;
    const step = d % 8 === 0 ? stepOf(row, words, word) : undefined;
    if (step === undefined) sums.delete(d & ~7);
    else move(d, a, step);
  }
  function move(d: number, a: number, step: number): void {
    const { origin, offset } = sumOf(a);
    sums.set(d, { origin, offset: offset + step });
  }
}

/** From the base register to what an operation accesses. */
function distance({ name }: OpRow, displacement: number): number {
  if (name === "pop64") return 0;
  return name === "push64" || name === "pushpc" ? -8 : displacement;
}

/** By how much an operation's result is more than its operand a; undefined where that is not known. */
function stepOf({ name }: OpRow, words: Int32Array, word: number): number | undefined {
  const low = words[word + 2];
  const isShort = words[word + 3] === low >> 31;
  if (name === "mov64") return 0;
  if (name === "lea64") return low;
  if (/^add64if?$/.test(name)) return isShort ? low : undefined;
  if (/^sub64if?$/.test(name)) return isShort ? -low : undefined;
  return name === "inc64f" ? 1 : name === "dec64f" ? -1 : undefined;
}
