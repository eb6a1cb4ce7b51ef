/**
 * Brings guest code into the cache of blocks: fetches it at RIP, has it lifted, and writes the block's header (memory/arena-layout.ts).
 *
 * A fault on the way is the guest's. Instructions that have to run alone are lifted the same way, into a place beside the cache.
 */
import { ArenaLifter, BlockLifter, type Passes } from "#jit";
import {
  type Arena,
  arenaLayout,
  blockHeader,
  frameRecord,
  lifterFields,
  type Translations,
  translationNumbers,
} from "#memory";
import { Event, Leave, type Vcpu } from "#vcpu";
import type { EngineHost, EngineObserver, VmExit } from "../engine.ts";
import { ChangingNumbers } from "./changing-numbers.ts";
import { neverHot } from "./regions.ts";
import type { RuntimeExports } from "./runtime.ts";

/** What lifting needs of the engine. */
export interface AroundLifting {
  readonly arena: Arena;
  readonly runtime: RuntimeExports;
  readonly translations: Translations;
  readonly passes: Passes;
  /** Of the vCPU that runs. */
  readonly host: EngineHost;
  readonly observer: EngineObserver | undefined;
  /** Faults end a run instead of being delivered to the guest. */
  readonly catchFaults: boolean;
  /** Whether the next block loads all of its numbers, also those that do not change. */
  readonly loadsNumbers: (() => boolean) | undefined;
  readonly stats: { lifted: number; liftedInstructions: number };
  /** Makes room in the cache of blocks. */
  forgetBlocks(): void;
}

/** The longest block's place, bytes. */
const blockRoom = 128 * 1024;
/** For changes of a frame's compiled code after FREE_PATCHES: doublings of the hot threshold, at most. */
const mostDoublings = 6;

export class Lifting {
  readonly #around: AroundLifting;
  readonly #arena: Arena;
  readonly #translations: Translations;
  readonly #lifter: BlockLifter;
  readonly #arenaLifter: ArenaLifter;
  readonly #numbers: ChangingNumbers | undefined;
  /** A block of instructions that run alone is built here. */
  readonly #scratch: number;
  #caught: VmExit | undefined;
  /** Entries of a block before it is compiled. */
  hotThreshold: number;

  constructor(around: AroundLifting, hotThreshold: number) {
    const { arena, translations, passes } = around;
    this.#around = around;
    this.#arena = arena;
    this.#translations = translations;
    this.hotThreshold = hotThreshold;
    this.#scratch = translations.scratch ?? arena.allot(blockRoom);
    this.#lifter = new BlockLifter((mnemonic, code) => around.host.missingInstruction(mnemonic, code), passes);
    // A thread that is not the first has nothing of its own to keep them in.
    if (passes["live-numbers"] && translations.lifter === undefined)
      this.#numbers = new ChangingNumbers(arena, around.runtime, around.loadsNumbers);
    const base = translations.lifter ?? arena.allot(lifterFields.Y_TOTAL);
    this.#arenaLifter = new ArenaLifter(arena, around.runtime, base, this.#lifter, passes);
  }

  /**
   * Lifts at most `limit` instructions at RIP, to be run alone; the arena offset of their block, which is there until the next
   * call, or 0 where fetching them raised a fault.
   */
  liftAlone(vcpu: Vcpu, limit: number): number {
    if (!this.#liftInto(vcpu, this.#scratch, limit, true)) return 0;
    this.#around.runtime.depend_on_bytes(this.#scratch);
    return this.#scratch;
  }

  /** The fault that fetching raised, where faults are caught. */
  takeCaught(): VmExit | undefined {
    const caught = this.#caught;
    this.#caught = undefined;
    return caught;
  }

  /** Lifts the block at RIP into the cache. A fault on the way is the guest's: it is delivered. */
  lift(vcpu: Vcpu): void {
    const words = this.#arena.i32;
    const nextAt = this.#translations.nextAt >> 2;
    let block = words[nextAt];
    if (block + blockRoom > this.#translations.blocksEnd) {
      this.#around.forgetBlocks();
      block = words[nextAt];
    }
    if (!this.#liftInto(vcpu, block, Number.POSITIVE_INFINITY, false)) return this.#around.runtime.end_lifting();
    this.#around.runtime.register_block(vcpu.vp, block);
    this.#around.stats.lifted++;
    this.#around.stats.liftedInstructions += words[(block + blockHeader.B_COUNT) >> 2];
  }

  /** Lifts code at RIP into the block at `target`; false when fetching it raised a fault. */
  #liftInto(vcpu: Vcpu, target: number, limit: number, alone: boolean): boolean {
    const hpa = this.#fetch(vcpu, 0);
    if (hpa === 0) return false;
    if (!alone) this.#around.runtime.claim_code(vcpu.u32("SPACE"), hpa & ~0xfff, 0);
    const pageEnd = (hpa & ~0xfff) + 4096;
    const mode = vcpu.u32("MODE");
    let second = 0;
    const numbers = this.#numbers?.from(hpa);
    const inArena = !alone && numbers === undefined && ArenaLifter.serves(mode);
    let block = inArena
      ? this.#arenaLifter.lift(hpa, pageEnd >>> 0, mode, target + blockHeader.B_IR)
      : this.#lifter.lift(this.#arena.u8, hpa, pageEnd >>> 0, mode, limit, alone, numbers);
    if (block.crosses) {
      second = this.#fetch(vcpu, 1);
      if (second === 0) return false;
      if (!alone) this.#around.runtime.claim_code(vcpu.u32("SPACE"), second, 1);
      const first = (pageEnd >>> 0) - hpa;
      const bytes = new Uint8Array(32);
      bytes.set(this.#arena.u8.subarray(hpa, hpa + first));
      bytes.set(this.#arena.u8.subarray(second, second + 16), first);
      block = this.#lifter.lift(bytes, 0, first + 16, mode, 1, alone);
    }
    const words = this.#arena.i32;
    const header = target >> 2;
    const set = (field: number, value: number): void => {
      words[header + (field >> 2)] = value;
    };
    set(blockHeader.B_HPA, hpa);
    set(blockHeader.B_MODE, mode);
    set(blockHeader.B_HASH_NEXT, 0);
    set(blockHeader.B_PAGE_NEXT, 0);
    set(blockHeader.B_PAGE2_NEXT, 0);
    // What runs alone is never compiled.
    set(blockHeader.B_COUNTER, alone ? neverHot : this.entriesUntilHot(hpa));
    set(blockHeader.B_REGION, 0);
    // Of this word B_NUMBERS is the upper half: none but those that are written below.
    set(blockHeader.B_REFUSALS, 0);
    set(blockHeader.B_COUNT, block.count);
    set(blockHeader.B_HPA2, second);
    const lifted = inArena && second === 0;
    const irBytes = lifted ? this.#arenaLifter.result.irBytes : this.#lifter.ir.length;
    set(blockHeader.B_IR_BYTES, irBytes);
    set(blockHeader.B_VALID, 1);
    set(blockHeader.B_BYTES, block.bytes);
    if (second === 0) numbers?.writeTo(target);
    if (!lifted) words.set(this.#lifter.ir.words(), (target + blockHeader.B_IR) >> 2);
    return true;
  }

  /** Code that is changed again and again has to run for longer before compiling it pays. */
  entriesUntilHot(hpa: number): number {
    if (this.hotThreshold === Number.POSITIVE_INFINITY) return neverHot;
    const record = this.#translations.records + (hpa >>> 12) * arenaLayout.FRAME_RECORD_BYTES;
    const patches = this.#arena.i32[(record + frameRecord.F_PATCHES) >> 2] & 0xff;
    return this.hotThreshold * 2 ** Math.min(Math.max(patches - translationNumbers.FREE_PATCHES, 0), mostDoublings);
  }

  /** HPA of the code byte at RIP, or of the first one of the next page; 0 with the fault delivered. */
  #fetch(vcpu: Vcpu, page: 0 | 1): number {
    const hpa = this.#around.runtime.fetch_code(vcpu.vp, page) >>> 0;
    if (hpa !== 0) return hpa;
    if (vcpu.u32("LEAVE") !== Leave.fault) {
      throw new Error(`the guest runs code where there is no memory: 0x${vcpu.u64("RIP").toString(16)}`);
    }
    if (this.#around.catchFaults) {
      this.#caught = faultExit(vcpu);
      return 0;
    }
    this.#around.observer?.exception(vcpu, vcpu.u32("FAULT_VECTOR"), vcpu.u32("FAULT_ERROR"));
    if (this.#around.runtime.deliver_fault(vcpu.vp) !== 0) vcpu.raiseEvent(Event.host);
    return 0;
  }
}

/** An exception that is not delivered, as the end of a run. */
export function faultExit(vcpu: Vcpu): VmExit {
  return {
    reason: "fault",
    vector: vcpu.u32("FAULT_VECTOR"),
    error: vcpu.u32("FAULT_ERROR"),
    address: vcpu.u64("FAULT_ADDRESS"),
  };
}
