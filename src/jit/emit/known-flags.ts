/**
 * What is known of the flags at each place of a region: which operation set them, and of which registers they still are the flags.
 *
 * The flags' operands live in locals of their own (native-flags.ts). Between an operation that sets flags and the next one they are mostly
 * for those who leave: faults, interrupts, the end of the budget. Whoever leaves takes them from the registers where they still
 * have the same values, so that nothing has to be kept, moved or extended for him on the way that is taken.
 *
 * A loop's top is an entry of the region, too, where flags are whatever they were. If its block sets flags before it looks at
 * any, what is known there is what those that come round the loop agree on: who has just entered and leaves again before that, leaves
 * the flags in the record as they are (`isFresh`).
 *
 * Law: the operands' locals always hold the operands; what is known here only spares reading them.
 */
import { FlagsClass, helperRows, type OpRow, opRows } from "#ir";
import { at } from "#vcpu";
import type { RegionBlock } from "../hot/region.ts";
import { type FlagsOrigin, originOf } from "./native-flags.ts";
import { eachOperation } from "./operations.ts";

/** The value of a register's field, zero-extended, and a constant, modulo the width of the operation; without a field the constant. */
export interface FlagSource {
  readonly field: number | undefined;
  readonly plus: bigint;
}
export interface KnownFlags extends FlagsOrigin {
  readonly a?: FlagSource;
  readonly b?: FlagSource;
}

const overlaps = (source: FlagSource | undefined, register: number): boolean =>
  source?.field !== undefined && (source.field & ~7) === register;

/** What is known after an operation. */
export function flagsAfter(
  words: Int32Array,
  word: number,
  row: OpRow,
  before: KnownFlags | undefined,
): KnownFlags | undefined {
  if (row.format === "call") {
    const { touches } = helperRows[words[word] >>> 16];
    if (touches.includes("f") || before === undefined) return undefined;
    return touches.includes("g") ? { cls: before.cls, size: before.size } : before;
  }
  if (!row.writesFlags) return without(before, written(words, word, row));
  const origin = originOf(words[word] & 0xffff);
  if (origin === undefined) return undefined;
  // A shift by zero leaves the flags as they are.
  const shifts = origin.cls >= FlagsClass.SHL && origin.cls <= FlagsClass.SAR;
  if (shifts && (words[word + 2] & (origin.size === 3 ? 63 : 31)) === 0)
    return without(before, written(words, word, row));
  return { cls: origin.cls, size: origin.size, ...sourcesOf(words, word, origin) };
}

/** General registers that an operation writes, by their offsets: the destination's and, of stack operations, operand a's. */
function written(words: Int32Array, word: number, row: OpRow): readonly number[] {
  const registers: number[] = [];
  if (row.dWritten) registers.push((words[word] >>> 16) & ~7);
  if (isStackOp[words[word] & 0xffff]) registers.push(words[word + 1] & 0xffff & ~7);
  return registers;
}
function without(flags: KnownFlags | undefined, registers: readonly number[]): KnownFlags | undefined {
  if (flags === undefined || (flags.a === undefined && flags.b === undefined)) return flags;
  const kept = (source: FlagSource | undefined): FlagSource | undefined =>
    registers.some((register) => overlaps(source, register)) ? undefined : source;
  return { cls: flags.cls, size: flags.size, a: kept(flags.a), b: kept(flags.b) };
}

/** Where the operands of flags that an operation has just set are, besides in their locals. */
function sourcesOf(words: Int32Array, word: number, { size }: FlagsOrigin): Pick<KnownFlags, "a" | "b"> {
  const d = words[word] >>> 16;
  const a = words[word + 1] & 0xffff;
  const b = words[word + 1] >>> 16;
  const low = BigInt(words[word + 2]);
  const immediate = size === 3 ? (BigInt(words[word + 3]) << 32n) | BigInt.asUintN(32, low) : low;
  const constant = { field: undefined, plus: immediate };
  switch (kinds[words[word] & 0xffff]) {
    case "compare":
      return { a: inRegister(a), b: inRegister(b) };
    case "compare with constant":
      return { a: inRegister(a), b: constant };
    case "subtract constant":
      return { a: inRegister(d, immediate), b: constant };
    case "add constant":
      return { a: inRegister(d, -immediate), b: constant };
    case "result":
      return { a: inRegister(d) };
    case "test":
      return a === b ? { a: inRegister(a) } : {};
    default:
      return {};
  }
}
/** By operation number. */
const kinds = opRows.map(({ name }) => {
  if (/^cmp\d+$/.test(name)) return "compare";
  if (/^cmp\d+i$/.test(name)) return "compare with constant";
  if (/^sub\d+if$/.test(name)) return "subtract constant";
  if (/^add\d+if$/.test(name)) return "add constant";
  if (/^((and|or|xor)\d+i?f|(inc|dec)\d+f)$/.test(name)) return "result";
  return /^test\d+$/.test(name) ? "test" : undefined;
});
const isStackOp = opRows.map(({ name }) => name === "push64" || name === "pushpc" || name === "pop64");

/** Temporaries mean nothing to who leaves. */
function inRegister(field: number, plus = 0n): FlagSource | undefined {
  return field < at.TEMP ? { field, plus } : undefined;
}

/** What is known where each block starts: what all its predecessors agree on, and the region's entries, but for fresh ones. */
export function flagsAtStarts(
  words: Int32Array,
  blocks: readonly RegionBlock[],
  successors: readonly (readonly number[])[],
  entries: readonly number[],
): (KnownFlags | undefined)[] {
  /** Unvisited blocks have no value; "mixed" is known not to be known. */
  const known: (KnownFlags | "mixed" | undefined)[] = blocks.map(() => undefined);
  const fresh = new Set(entries.filter((node) => setsFlagsFirst(words, blocks[node])));
  for (const node of entries) if (!fresh.has(node)) known[node] = "mixed";
  for (let changed = true; changed; ) {
    changed = false;
    blocks.forEach((block, n) => {
      const start = known[n];
      if (start === undefined && !fresh.has(n)) return;
      let now = start === "mixed" ? undefined : start;
      eachOperation(words, block, (row, word) => {
        now = flagsAfter(words, word, row, now);
      });
      for (const to of successors[n]) {
        const before = known[to];
        const merged = before === undefined ? (now ?? "mixed") : meet(before, now ?? "mixed");
        if (merged === before) continue;
        known[to] = merged;
        changed = true;
      }
    });
  }
  return known.map((each) => (each === "mixed" ? undefined : each));
}

/** What two agree on; `one` itself where it says no more than that. */
function meet(one: KnownFlags | "mixed", other: KnownFlags | "mixed"): KnownFlags | "mixed" {
  if (one === "mixed" || other === "mixed" || one.cls !== other.cls || one.size !== other.size) return "mixed";
  const [a, b] = [agreed(one.a, other.a), agreed(one.b, other.b)];
  return a === one.a && b === one.b ? one : { cls: one.cls, size: one.size, a, b };
}

const agreed = (one: FlagSource | undefined, other: FlagSource | undefined): FlagSource | undefined =>
  one?.field === other?.field && one?.plus === other?.plus ? one : undefined;

/** Whether a block sets all flags before anything in it looks at them, but for who leaves. */
function setsFlagsFirst(words: Int32Array, block: RegionBlock): boolean {
  let first: boolean | undefined;
  eachOperation(words, block, (row, word) => {
    if (first !== undefined) return;
    if (row.format === "call" ? helperRows[words[word] >>> 16].touches.includes("f") : row.readsFlags || row.keepsFlags)
      first = false;
    else if (row.writesFlags) first = true;
  });
  return first === true;
}
