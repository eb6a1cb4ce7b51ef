/**
 * Lifting of a block: decodes from a byte view until control leaves, a page or a limit ends, and applies the rules.
 *
 * A block lies in one page; only a first instruction that crosses into the next page makes a block of its own there.
 */
import { IrBuilder, Op } from "#ir";
import { Mode } from "#vcpu";
import { DECODED, decode, Instruction, TOO_LONG, TRUNCATED } from "#x86";
import { removeDeadFlags } from "../opt/dead-flags.ts";
import { type Passes, passesWithout } from "../passes.ts";
import { Lifter } from "./lifter.ts";
import { type LiveNumbers, settleNumbers } from "./live-numbers.ts";
import { raise } from "./raise.ts";
import { ruleOfRow } from "./rules.ts";

export interface LiftedBlock {
  /** Guest instructions, and the bytes that the block depends on: theirs, and what the decoder looked at in vain. */
  count: number;
  bytes: number;
  /** The block needs bytes past the end of the view: its first instruction crosses the page. */
  crosses: boolean;
}

/** So many a block has at most. */
export const maxInstructions = 96;
/** Where its operations take up so many bytes, it has no more instructions. */
export const irLimit = 62 * 1024;
const longestInstruction = 15;

export class BlockLifter {
  readonly ir = new IrBuilder();
  readonly instruction = new Instruction();
  readonly lifter = new Lifter(this.ir, this.instruction);
  #seen = 0;
  #numbers: LiveNumbers | undefined;
  readonly #onMissing: (mnemonic: string, code: string) => void;
  readonly #removesDeadFlags: boolean;
  readonly result: LiftedBlock = { count: 0, bytes: 0, crosses: false };

  constructor(onMissing: (mnemonic: string, code: string) => void, passes: Passes = passesWithout()) {
    this.#onMissing = onMissing;
    this.#removesDeadFlags = passes["dead-flags"];
  }

  /**
   * Lifts code bytes [offset, end) of `code`, at most `limit` instructions, into `ir`. `alone` marks the one instruction
   * to end with the operation `stop`. `numbers`: those that are loaded, if `code` is all of the arena. The result is overwritten by the next call.
   */
  lift(
    code: Uint8Array,
    offset: number,
    end: number,
    mode: number,
    limit: number,
    alone: boolean,
    numbers?: LiveNumbers,
  ): LiftedBlock {
    const l = this.lifter;
    const i = this.instruction;
    const size = (mode & Mode.code32) !== 0 ? 32 : (mode & Mode.code16) !== 0 ? 16 : 64;
    const result = this.result;
    result.crosses = false;
    this.begin(mode);
    this.#numbers = numbers;
    if (alone) this.ir.rrr(Op.stop, 0, 0);
    let at = offset;
    let count = 0;
    const most = limit < maxInstructions ? limit | 0 : maxInstructions;
    while (count < most && !l.ended && this.ir.length < irLimit) {
      if (!this.liftOne(code, at, end, size, at - offset, count)) {
        result.crosses = count === 0;
        break;
      }
      at += i.length;
      count++;
    }
    this.#numbers = undefined;
    if (!l.ended) l.jump(at - offset);
    result.count = count;
    result.bytes = Math.min(at + this.#seen, end) - offset;
    if (this.#removesDeadFlags) removeDeadFlags(this.ir);
    return result;
  }

  /** Before the first `liftOne` of a block; or of what goes on with one, of whose flags that is known. */
  begin(mode: number, knownFlags = 0): void {
    this.lifter.beginBlock(mode);
    this.ir.knownFlags = knownFlags;
    this.#seen = 0;
  }

  /** Lifts one instruction into `ir`, `position` bytes into the block and behind `count` others; false: its bytes end before it does. */
  liftOne(code: Uint8Array, at: number, end: number, size: 64 | 32 | 16, position: number, count: number): boolean {
    const l = this.lifter;
    const i = this.instruction;
    const decoded = decode(code, at, end, size, i);
    if (decoded === TRUNCATED) return false;
    l.beginInstruction(position, count);
    if (this.#numbers && decoded === DECODED) settleNumbers(l, i, at + i.length, this.#numbers);
    const rule = decoded === DECODED ? ruleOfRow[i.id] : undefined;
    if (rule !== undefined) rule(l, i);
    else {
      if (decoded === DECODED) this.#onMissing(i.row.mnemonic, i.row.code);
      raise(l, decoded === TOO_LONG ? 13 : 6);
      this.#seen = longestInstruction;
    }
    return true;
  }

  /** The instruction that was lifted last has ended the block. */
  get ended(): boolean {
    return this.lifter.ended;
  }
  /** Bytes that the decoder may have looked at in vain behind it. */
  get seen(): number {
    return this.#seen;
  }
}
