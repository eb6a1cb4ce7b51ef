// biome-ignore-all format: chains of emitted instructions read better on one line
/** Code for pointers that are followed (followed-pointers.ts has the idea): their hints are looked up, compared with and learnt. */
import { area, pointerHints, pointerTrustBytes } from "#vcpu";
import { type Code, type Local, W } from "#wasm";
import { type FollowedPointers, noPointers, type Pointer } from "./followed-pointers.ts";

/** What is asked of the region's emitter; an access leaves its arena address in p. */
export interface PointerGround {
  readonly code: Code;
  readonly vp: Local;
  /** What is left of the budget. */
  readonly left: Local;
  readonly p: Local;
  callRuntime(name: string): void;
}

/** Locals of a pointer. */
interface Locals {
  /** Arena address of what it points to, as it was the last time; 0 where nothing is known. */
  readonly hint: Local;
  /** Where that is in the table of hints, or `nowhere`. */
  readonly spot: Local;
}

const tableBytes = 4 * pointerHints;
const nowhere = tableBytes;

export class PointerHints {
  followed: FollowedPointers = noPointers;
  readonly #e: PointerGround;
  /** vp, where it is part of offsets; else 0. */
  readonly #knownVp: number;
  /** By the pointers' registers. */
  readonly #locals = new Map<number, Locals>();
  /** What has been looked up. */
  readonly #found: Local;

  constructor(ground: PointerGround, knownVp: number) {
    this.#e = ground;
    this.#knownVp = knownVp;
    this.#found = ground.code.local("i32");
  }

  /** The pointer that the access of an operation goes by. */
  usedBy(word: number): Pointer | undefined {
    return this.followed.uses.get(word);
  }

  /**
   * p = the arena address on the stack, which has been looked up, and is so far from where a pointer points. `done`: goes on from here,
   * written for each way, so that p is known to have 32 bits.
   */
  goOnFrom(pointer: Pointer, distance: number, done: () => void): void {
    const { code: c, vp, left, p } = this.#e;
    const { hint, spot } = this.#localsOf(pointer);
    const found = this.#found;
    c.set(found);
    c.get(hint).i32(distance).op(W.i32_add).tee(p).get(found).op(W.i32_ne).unlikely().if();
    c.get(spot).i32(nowhere).op(W.i32_ne).if();
    c.get(vp).i32(pointer.trust).get(spot).get(found).i32(distance).op(W.i32_sub).get(left);
    this.#e.callRuntime("learn_pointer");
    c.end();
    c.get(found).set(p);
    done();
    c.end();
    done();
  }

  /** An operation that is about to load from where p is, and so far behind: if that is a pointer to follow, its hint is looked up. */
  beforeLoad(word: number, from: number): void {
    const pointer = this.followed.loads.get(word);
    if (pointer === undefined) return;
    const { code: c, vp, p } = this.#e;
    const { hint, spot } = this.#localsOf(pointer);
    c.get(vp).memory(W.i32_load, trustOf(pointer)).i32(0).op(W.i32_lt_s).unlikely().if();
    this.#forget(pointer);
    c.else();
    // What lies in a row has spots of its own, whether it is 16 bytes long, 32 or 64.
    c.get(p).i32(from).op(W.i32_add).tee(hint).i32(4).op(W.i32_shr_u).get(hint).i32(8).op(W.i32_shl, W.i32_xor);
    c.i32(tableBytes - 4).op(W.i32_and).tee(spot);
    if (this.#knownVp === 0) c.get(vp).op(W.i32_add);
    c.memory(W.i32_load, this.#knownVp + area.pointerHints).set(hint);
    c.end();
  }

  /** An operation has been written, which may be a move. */
  after(word: number): void {
    const move = this.followed.moves.get(word);
    if (move === undefined) return;
    const to = this.#localsOf(move.to);
    const from = this.#localsOf(move.from);
    this.#e.code.get(from.hint).set(to.hint).get(from.spot).set(to.spot);
  }

  /** Nothing is known of a loop's pointers where it begins. A loop without trust gets it back by and by. */
  beforeLoop(header: number): void {
    const pointers = this.followed.loops.get(header) ?? [];
    if (pointers.length === 0) return;
    const { code: c, vp, left } = this.#e;
    const trust = trustOf(pointers[0]);
    // What has run outside of the loop does not count.
    c.get(vp).get(left).memory(W.i32_store, trust + 4);
    c.get(vp).memory(W.i32_load, trust).i32(0).op(W.i32_lt_s).unlikely().if();
    c.get(vp).get(vp).memory(W.i32_load, trust).i32(1).op(W.i32_add).memory(W.i32_store, trust);
    c.end();
    for (const pointer of pointers) this.#forget(pointer);
  }

  #forget(pointer: Pointer): void {
    const { hint, spot } = this.#localsOf(pointer);
    this.#e.code.i32(0).set(hint).i32(nowhere).set(spot);
  }
  #localsOf({ register }: Pointer): Locals {
    const { code: c } = this.#e;
    const known = this.#locals.get(register) ?? { hint: c.local("i32"), spot: c.local("i32") };
    this.#locals.set(register, known);
    return known;
  }
}

const trustOf = ({ trust }: Pointer): number => area.pointerTrusts + pointerTrustBytes * trust;
