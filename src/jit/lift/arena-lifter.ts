/**
 * Lifting into the arena: the runtime goes on from instruction to instruction as long as it has templates for them (runtime/lift.ts);
 * an instruction without one is lifted by its rule, and its template is made where there can be one.
 */
import { assert } from "#base";
import { Op, opBytes, opRows } from "#ir";
import { lifted, lifterFields, lifterOperations } from "#memory";
import { Mode } from "#vcpu";
import { flagEffects, plainOf } from "../opt/dead-flags.ts";
import type { Passes } from "../passes.ts";
import { type BlockLifter, irLimit, type LiftedBlock, maxInstructions } from "./block.ts";
import { headTables, templateOf } from "./templates.ts";

/** What it asks of the runtime. */
export interface LiftingRuntime {
  lift_on(base: number): number;
  lift_entry(base: number): number;
  lift_end(base: number, start: number): number;
}

/** The arena as it is at the moment. */
interface Views {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
}

export interface ArenaBlock extends LiftedBlock {
  irBytes: number;
}

const Y = lifterFields;
/** Bytes of an entry that is none. */
const noKey = 0xff;
/** In the upper half of a key. */
const asksForFlags = 1 << 10;
/** Bits of the mode under which the same bytes have templates of their own. */
const modesApart = Mode.noFpu | Mode.noSse;

export class ArenaLifter {
  readonly #arena: Views;
  readonly #runtime: LiftingRuntime;
  readonly #base: number;
  readonly #byRule: BlockLifter;
  /** By operation (opt/dead-flags.ts); none where flag writes stay. */
  readonly #effects: Uint8Array;
  #templatesEnd = 0;
  readonly result: ArenaBlock = { count: 0, bytes: 0, crosses: false, irBytes: 0 };
  readonly stats = { byRule: 0, templates: 0 };

  /** `base`: of `lifterFields.Y_TOTAL` bytes of the arena. */
  constructor(arena: Views, runtime: LiftingRuntime, base: number, byRule: BlockLifter, passes: Passes) {
    this.#arena = arena;
    this.#runtime = runtime;
    this.#base = base;
    this.#byRule = byRule;
    this.#effects = passes["dead-flags"] ? flagEffects : new Uint8Array(flagEffects.length);
    assert(opRows.length <= lifterOperations, "tables of the lifter have room for all operations");
    const { u8, i32 } = arena;
    u8.set(headTables(), base + Y.Y_MODRM);
    u8.set(this.#effects, base + Y.Y_EFFECTS);
    for (let op = 0; op < opRows.length; op++) u8[base + Y.Y_OP_BYTES + op] = opBytes(op);
    u8.set(new Uint8Array(Uint16Array.from(plainOf).buffer), base + Y.Y_PLAIN);
    i32[(base + Y.Y_JUMP) >> 2] = Op.jmp;
    this.#forget();
  }

  /** Whether it lifts code of that mode. */
  static serves(mode: number): boolean {
    return (mode & ~(Mode.tlbMask | modesApart)) === 0;
  }

  /**
   * Lifts code from `hpa` to before `end`, which is no more than its page's, and writes its operations to `target`, where there is room for
   * 64 KiB. The result is overwritten by the next call; where it says that the first instruction crosses the page, nothing was lifted.
   */
  lift(hpa: number, end: number, mode: number, target: number): ArenaBlock {
    const { result } = this;
    const words = this.#arena.i32;
    const set = (field: number, value: number): void => {
      words[(this.#base + field) >> 2] = value;
    };
    set(Y.Y_AT, hpa);
    set(Y.Y_END, end);
    set(Y.Y_OUT, target);
    set(Y.Y_OUT_LIMIT, target + irLimit);
    set(Y.Y_POSITION, 0);
    set(Y.Y_COUNT, 0);
    set(Y.Y_MOST, maxInstructions);
    set(Y.Y_KNOWN, 0);
    set(Y.Y_ENDED, 0);
    set(Y.Y_TIDIED, target);
    set(Y.Y_WAITING_END, this.#base + Y.Y_WAITING);
    set(Y.Y_MODE, (mode & modesApart) << 8);
    result.crosses = false;
    let seen = 0;
    for (;;) {
      const answer = this.#runtime.lift_on(this.#base);
      if (answer === lifted.LIFTED) break;
      const known = this.#get(Y.Y_KNOWN);
      if (!this.#liftByRule(mode, known)) {
        result.crosses = this.#get(Y.Y_COUNT) === 0;
        break;
      }
      seen = this.#byRule.seen;
      if (answer === lifted.LIFT_LEARN) this.#learn(known);
    }
    result.count = this.#get(Y.Y_COUNT);
    result.bytes = Math.min(this.#get(Y.Y_POSITION) + seen, end - hpa);
    result.irBytes = this.#runtime.lift_end(this.#base, target);
    return result;
  }

  /** Lifts the next instruction, before which that is known of the flags; false: it crosses the page. */
  #liftByRule(mode: number, known: number): boolean {
    const byRule = this.#byRule;
    const bytes = this.#base + Y.Y_BYTES;
    const bytesEnd = bytes + this.#get(Y.Y_BYTES_COUNT);
    const position = this.#get(Y.Y_POSITION);
    const count = this.#get(Y.Y_COUNT);
    byRule.begin(mode, known);
    if (!byRule.liftOne(this.#arena.u8, bytes, bytesEnd, 64, position, count)) return false;
    const { ir, instruction } = byRule;
    const out = this.#get(Y.Y_OUT);
    this.#arena.i32.set(ir.words(), out >> 2);
    this.#set(Y.Y_OUT, out + ir.length);
    this.#set(Y.Y_AT, this.#get(Y.Y_AT) + instruction.length);
    this.#set(Y.Y_POSITION, position + instruction.length);
    this.#set(Y.Y_COUNT, count + 1);
    this.#set(Y.Y_KNOWN, ir.knownFlags);
    this.#set(Y.Y_ENDED, byRule.ended ? 1 : 0);
    this.stats.byRule++;
    return true;
  }

  /** Makes the template of the instruction that was lifted last. */
  #learn(known: number): void {
    const low = this.#get(Y.Y_KEY);
    const high = this.#get(Y.Y_KEY + 4) & 0xffff;
    const head = {
      bytes: this.#get(Y.Y_HEAD),
      displacement: this.#get(Y.Y_DISPLACEMENT),
      known: (high & asksForFlags) === 0 ? undefined : known,
    };
    const template = templateOf(this.#byRule.lifter, head, this.#effects);
    if (template && this.#templatesEnd + template.length > this.#base + Y.Y_WAITING) this.#forget();
    const number = template ? (this.#templatesEnd - this.#base) >> 4 : 0;
    const entry = this.#runtime.lift_entry(this.#base) >> 2;
    this.#arena.i32[entry] = low;
    this.#arena.i32[entry + 1] = high | (number << 16);
    if (template === undefined) return;
    this.#arena.u8.set(template, this.#templatesEnd);
    this.#templatesEnd += (template.length + 15) & ~15;
    this.stats.templates++;
  }

  #get(field: number): number {
    return this.#arena.i32[(this.#base + field) >> 2];
  }
  #set(field: number, value: number): void {
    this.#arena.i32[(this.#base + field) >> 2] = value;
  }

  #forget(): void {
    this.#arena.u8.fill(noKey, this.#base + Y.Y_HEADS, this.#base + Y.Y_TEMPLATES);
    this.#templatesEnd = this.#base + Y.Y_TEMPLATES;
  }
}
