// biome-ignore-all format: chains of emitted instructions read better on one line
/** Code for pointers that are followed (followed-pointers.ts has the idea): their hints are looked up, compared with and learnt. */
import { area, pointerHintGroup, pointerHints, pointerTrustBytes } from "#vcpu";
import { type Code, type Local, W } from "#wasm";
import { type FollowedPointers, noPointers, type Pointer } from "./followed-pointers.ts";

/** What is asked of the region's emitter; an access leaves its arena address in p. */
export interface PointerGround {
  readonly code: Code;
  readonly vp: Local;
  /** What is left of the budget. */
  readonly left: Local;
  /** The address of the guest that is accessed. */
  readonly x: Local;
  readonly p: Local;
  pushRegister(register: number): void;
  callRuntime(name: string): void;
}

/** Locals of a pointer. */
interface Locals {
  /** Arena address of what it points to, as it was the last time; 0 where nothing is known. */
  readonly hint: Local;
  /** Where its hint is in the tables, and where those of the pointers begin that lie where it points. */
  readonly spot: Local;
  readonly next: Local;
}

/** Nobody's spots are the multiples of this. */
const groupBytes = 4 * pointerHintGroup;
const fields = pointerHints / pointerHintGroup;

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
   * p = the arena address on the stack, which has been looked up, and is so far from where a pointer points; x is `displacement` from there.
   * `done`: goes on from here, written for each way, so that p is known to have 32 bits.
   */
  goOnFrom(pointer: Pointer, distance: number, displacement: number, done: () => void): void {
    const { code: c, vp, left, x, p } = this.#e;
    const { hint, spot, next } = this.#localsOf(pointer);
    const found = this.#found;
    c.set(found);
    c.get(hint).i32(distance).op(W.i32_add).tee(p).get(found).op(W.i32_ne).unlikely().if();
    c.get(found).i32(distance).op(W.i32_sub).set(hint);
    c.get(spot).i32(groupBytes - 1).op(W.i32_and).if();
    c.get(vp).i32(pointer.trust).get(spot).get(hint).get(x).op(W.i32_wrap_i64).i32(displacement).op(W.i32_sub).get(left);
    this.#e.callRuntime("learn_pointer");
    c.set(next);
    c.end();
    c.get(found).set(p);
    done();
    c.end();
    done();
  }

  /** An operation is about to load: if that is a pointer to follow, its hint is looked up. */
  beforeLoad(word: number): void {
    const load = this.followed.loads.get(word);
    if (load === undefined) return;
    const { code: c } = this.#e;
    const { hint, spot, next } = this.#localsOf(load.to);
    c.get(this.#localsOf(load.from).next);
    const field = load.field & (fields - 1);
    if (field !== 0) c.i32(field * groupBytes).op(W.i32_xor);
    c.tee(spot);
    this.#loadFrom(area.pointerSpots).set(next).get(spot);
    this.#loadFrom(area.pointerHints).set(hint);
  }

  /** An operation has been written, which may be a move. */
  after(word: number): void {
    const move = this.followed.moves.get(word);
    if (move === undefined) return;
    const to = this.#localsOf(move.to);
    const from = this.#localsOf(move.from);
    this.#e.code.get(from.hint).set(to.hint).get(from.spot).set(to.spot).get(from.next).set(to.next);
  }

  /** Where a loop begins, its pointers have no hints, but what they lead to has its spots. A loop without trust gets it back by and by. */
  beforeLoop(header: number): void {
    const pointers = this.followed.loops.get(header) ?? [];
    if (pointers.length === 0) return;
    const { code: c, vp, left } = this.#e;
    const trust = trustOf(pointers[0]);
    for (const pointer of pointers) this.#forget(pointer);
    c.get(vp).memory(W.i32_load, trust).i32(0).op(W.i32_lt_s).unlikely().if();
    c.get(vp).i32(pointers[0].trust).get(left);
    this.#e.callRuntime("regain_trust");
    c.else();
    // What has run outside of the loop does not count.
    c.get(vp).get(left).memory(W.i32_store, trust + 4);
    for (const pointer of pointers) this.#pushSpotsOf(pointer).set(this.#localsOf(pointer).next);
    c.end();
  }

  /** Pushes where the hints begin of the pointers that lie where one points (near_spots_of in runtime/memory/pointers.ts). */
  #pushSpotsOf({ register }: Pointer): Code {
    const { code: c } = this.#e;
    const { next: hash } = this.#locals.get(register) as Locals;
    this.#e.pushRegister(register);
    c.op(W.i32_wrap_i64).tee(hash).i32(6).op(W.i32_shr_u).get(hash).i32(6).op(W.i32_shl, W.i32_xor);
    c.get(hash).i32(18).op(W.i32_shr_u).i32(63).op(W.i32_and, W.i32_xor).i32(pointerHints - 1).op(W.i32_and).tee(hash);
    return c.get(hash).i32(pointerHintGroup - 1).op(W.i32_and, W.i32_eqz, W.i32_or).i32(2).op(W.i32_shl);
  }
  /** From as far into a table of the vCPU as the stack says. */
  #loadFrom(table: number): Code {
    const { code: c, vp } = this.#e;
    if (this.#knownVp === 0) c.get(vp).op(W.i32_add);
    return c.memory(W.i32_load, this.#knownVp + table);
  }
  #forget(pointer: Pointer): void {
    const { hint, spot, next } = this.#localsOf(pointer);
    this.#e.code.i32(0).set(hint).i32(0).set(spot).i32(0).set(next);
  }
  #localsOf({ register }: Pointer): Locals {
    const { code: c } = this.#e;
    const known = this.#locals.get(register) ?? { hint: c.local("i32"), spot: c.local("i32"), next: c.local("i32") };
    this.#locals.set(register, known);
    return known;
  }
}

const trustOf = ({ trust }: Pointer): number => area.pointerTrusts + pointerTrustBytes * trust;
