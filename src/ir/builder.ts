/**
 * Writes IR operations, in the encoding of ops.ts, into a buffer that is used again for every block.
 *
 * The lifter calls `beginInstruction` before the operations of each guest instruction; what may leave is stamped with
 * that instruction's position. Nothing is allocated while a block is written.
 */
import { assert } from "#base";
import { gpr, targetSlots } from "#vcpu";
import { formatUnits, Op, opRows, targetsAt } from "./ops.ts";

/** What may be known of the operation that last set the flags, as in the names of conditions: enough to choose a cheaper one. */
export const knownFlagsNames = ["", "sub", "logic"] as const;
const [anything, subtraction, logic] = [0, 1, 2];
const unchanged = -1;

/** For each operation, what is known of the flags after it. A helper may write flags. */
const knownAfter = Int8Array.from(opRows, (row) => {
  if (row.name === "call") return anything;
  if (!row.writesFlags) return unchanged;
  if (/^(sub\d+i?f|cmp\d+i?|neg\d+f)$/.test(row.name)) return subtraction;
  if (/^((and|or|xor)\d+i?f|test\d+i?)$/.test(row.name)) return logic;
  return anything;
});

/** One instruction never needs more than 2 KiB. */
const capacityBytes = 64 * 1024;
/** In the last word of what may leave: the top bit of `count`. */
const stackMark = 1 << 31;

export class IrBuilder {
  readonly #words = new Int32Array(capacityBytes / 4);
  readonly #halves = new Uint16Array(this.#words.buffer);
  /** Byte offset of each operation, in order. */
  readonly starts = new Uint32Array(capacityBytes / 8);
  opCount = 0;
  /** Bytes written so far. */
  length = 0;
  #position = 0;
  #count = 0;
  /** Index into `knownFlagsNames`: what is known here. */
  knownFlags = anything;
  #stack = 0;

  reset(): void {
    this.opCount = 0;
    this.length = 0;
    this.#position = 0;
    this.#count = 0;
    this.knownFlags = anything;
  }

  /** `position`: byte offset of the instruction from the block's start; `count`: instructions before it. */
  beginInstruction(position: number, count: number): void {
    assert(position < 1 << 14, "a block spans at most a page and an instruction");
    this.#position = position;
    this.#count = count;
    this.#stack = 0;
  }

  /** What this instruction accesses from here on is relative to the stack segment. */
  stackSegment(): void {
    this.#stack = stackMark;
  }

  /** d = op(a, b) */
  rrr(op: number, d: number, a: number, b = 0): void {
    this.#head(op, d, a, b);
    this.length += 8;
  }

  /** d = op(a, immediate); the 64-bit immediate comes as two int32 halves. */
  rri(op: number, d: number, a: number, low: number, high = low >> 31): void {
    const word = this.#head(op, d, a, 0);
    this.#words[word + 2] = low;
    this.#words[word + 3] = high;
    this.length += 16;
  }

  /** A memory operation on [base + displacement]. */
  mem(op: number, v: number, base: number, displacement: number): void {
    this.#mem(op, v, base, 0, 0, displacement);
    this.length += 16;
  }

  /** A memory operation on [base + (index << scale) + displacement]; takes the op without its x. */
  memx(op: number, v: number, base: number, index: number, scale: number, displacement: number): void {
    this.#mem(op + 1, v, base, index, scale, displacement);
    this.length += 16;
  }

  /** A compare-and-exchange: c is the new value's field. */
  mem2(op: number, v: number, base: number, displacement: number, c: number): void {
    const word = this.#mem(op, v, base, 0, 0, displacement);
    this.#words[word + 4] = c;
    this.#words[word + 5] = 0;
    this.length += 24;
  }

  /** Ends the block: on at the block's start + delta. */
  jump(op: number, delta: number): void {
    const word = this.#head(op, 0, 0, 0);
    this.#words[word + 1] = 0;
    this.#words[word + 2] = delta;
    this.#words[word + 3] = 0;
    this.length += 16;
  }

  /** Ends the block, one way or the other. `a` is jnz's operand. */
  branch(op: number, taken: number, fallthrough: number, a = 0): void {
    const word = this.#head(op, a, 0, 0);
    this.#words[word + 1] = 0;
    this.#words[word + 2] = taken;
    this.#words[word + 3] = fallthrough;
    this.#words[word + 4] = 0;
    this.#words[word + 5] = 0;
    this.length += 24;
  }

  /** Ends the block: on at the address in `a`. */
  indirect(op: number, a: number, returns: boolean): void {
    const word = this.#head(op, 0, a, returns ? 1 : 0);
    this.#words.fill(0, word + 2, word + targetsAt + targetSlots);
    this.length += formatUnits.target * 8;
  }

  /** Calls runtime helper `id`; a and b are field offsets or any 16-bit numbers. */
  call(id: number, a = 0, b = 0, imm = 0): void {
    this.#stamped(Op.call, id, a, b, imm);
  }

  /** d = op(a, b, imm), for an operation that may leave. */
  pos(op: number, d: number, a: number, b: number, imm = 0): void {
    this.#stamped(op, d, a, b, imm);
  }

  /** The encoding of all operations so far. */
  words(): Int32Array {
    return this.#words.subarray(0, this.length >> 2);
  }

  opAt(n: number): number {
    return this.#halves[this.starts[n] >> 1];
  }
  setOpAt(n: number, op: number): void {
    this.#halves[this.starts[n] >> 1] = op;
  }

  #head(op: number, d: number, a: number, b: number): number {
    const word = this.length >> 2;
    this.starts[this.opCount++] = this.length;
    const known = knownAfter[op];
    if (known !== unchanged) this.knownFlags = known;
    this.#words[word] = op | (d << 16);
    this.#words[word + 1] = a | (b << 16);
    return word;
  }
  #mem(op: number, v: number, base: number, index: number, scale: number, displacement: number): number {
    const word = this.#head(op, v, base, index);
    this.#words[word + 2] = displacement;
    const stack = base === gpr(4) || base === gpr(5) ? stackMark : this.#stack;
    this.#words[word + 3] = this.#position | (scale << 14) | (this.#count << 16) | stack;
    return word;
  }
  #stamped(op: number, d: number, a: number, b: number, imm: number): void {
    const word = this.#head(op, d, a, b);
    this.#words[word + 2] = imm;
    this.#words[word + 3] = this.#position | (this.#count << 16) | this.#stack;
    this.length += 16;
  }
}

/** Bytes of the operation with this number. */
export const opBytes = (op: number): number => formatUnits[opRows[op].format] * 8;
