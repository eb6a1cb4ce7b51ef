// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * What is known of the x87 registers while a block is compiled, so that their values stay in locals.
 *
 * Where TOP is when the block begins is found out at run time, in `top`; how far it has moved since is known here. A *slot* is a
 * register by its distance from that. All that changes is written to the record at once, so that a block can be left anywhere; but
 * nothing is read from there twice. FXCH only exchanges what is known of two slots.
 *
 * Law: while the local `ok` is not 0, what is known is true, and FCW asks for rounding to nearest, 64 bits of precision, and no trap
 * for PE. An operation that is not common is done by the runtime on the record; then `ok` becomes 0, and the rest of the block is.
 */
import { at } from "#vcpu";
import { type Code, type Label, type Local, W } from "#wasm";
import type { OpEmitter } from "./op-emitter.ts";

/** normal: finite, not zero, no denormal. number: that, or a zero. */
export type X87Class = "normal" | "number" | "any";
export interface X87Value {
  readonly m: Local;
  /** Sign and exponent. */
  readonly se: Local;
  class: X87Class;
}
interface Slot {
  value?: X87Value;
  /** Whether the register is empty, where that is known. */
  empty?: boolean;
}

export interface X87Knowledge {
  readonly moved: number;
  readonly slots: readonly Slot[];
  readonly addressed: ReadonlySet<number>;
}
const copyOf = (slot: Slot): Slot => ({ ...slot, ...(slot.value !== undefined && { value: { ...slot.value } }) });

const mostInlined = 120;

export const C1 = 0x200;

export class X87Stack {
  readonly #code: Code;
  readonly #vp: Local;
  inlined = 0;
  #begun = false;
  #moved = 0;
  #slots: Slot[] = [];
  /** Pairs of locals, all that there ever were, and those of values that no slot has. */
  readonly #pairs: { m: Local; se: Local }[] = [];
  #free: { m: Local; se: Local }[] = [];
  readonly #locals = new Map<string, Local>();
  /** Locals with addresses of slots that this block has computed. */
  readonly #addressed = new Set<number>();

  constructor(code: Code, vp: Local) {
    this.#code = code;
    this.#vp = vp;
  }

  /** A block begins, or a helper was called. */
  forget(): void {
    this.#begun = false;
  }

  /** What is known here, for a block that is only come to from here. */
  save(): X87Knowledge | undefined {
    if (!this.#begun) return undefined;
    return { moved: this.#moved, slots: this.#slots.map((slot) => copyOf(slot)), addressed: new Set(this.#addressed) };
  }
  restore(knowledge: X87Knowledge | undefined): void {
    if (knowledge === undefined) return this.forget();
    this.#begun = true;
    this.#moved = knowledge.moved;
    this.#slots = knowledge.slots.map((slot) => copyOf(slot));
    // Pairs that others made since are free as well.
    const taken = new Set(this.#slots.map((slot) => slot.value?.m));
    this.#free = this.#pairs.filter(({ m }) => !taken.has(m));
    this.#addressed.clear();
    for (const n of knowledge.addressed) this.#addressed.add(n);
  }

  /** False when the function has so many operations inline that compiling it would take long: some 400 bytes each. */
  get hasRoom(): boolean {
    return this.inlined < mostInlined;
  }

  /** Whether this block has looked at the x87's state. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Looks at the state, once in a block. Like all that follows here it may not stand in conditional code, unless it takes a label. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#moved = 0;
    this.#slots = Array.from({ length: 8 }, () => ({}));
    this.#free = [...this.#pairs];
    this.#addressed.clear();
    const c = this.#code;
    c.get(this.#vp).memory(W.i32_load, at.FTOP).set(this.local("top"));
    c.get(this.#vp).memory(W.i32_load16_u, at.FTW).set(this.local("tags"));
    c.get(this.#vp).memory(W.i32_load16_u, at.FSW).set(this.local("status"));
    c.get(this.#vp).memory(W.i32_load16_u, at.FCW).i32(0xf20).op(W.i32_and).i32(0x320).op(W.i32_eq).set(this.local("ok"));
  }

  local(name: string, type: "i32" | "i64" = "i32"): Local {
    const key = `${type} ${name}`;
    let local = this.#locals.get(key);
    if (local === undefined) {
      local = this.#code.local(type);
      this.#locals.set(key, local);
    }
    return local;
  }

  #slot(i: number): Slot {
    return this.#slots[(this.#moved + i) & 7];
  }
  #take(): { m: Local; se: Local } {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const pair = { m: this.#code.local("i64"), se: this.#code.local("i32") };
    this.#pairs.push(pair);
    return pair;
  }
  #drop(slot: Slot): void {
    if (slot.value !== undefined) this.#free.push(slot.value);
    slot.value = undefined;
  }

  /** Pushes where ST(i) stands in FPR: its offset. */
  #pushPlace(i: number): Code {
    return this.#code.get(this.local("top")).i32((((this.#moved + i) & 7) << 4)).op(W.i32_add).i32(0x70).op(W.i32_and);
  }
  /** The address of ST(i), less the offset of FPR in the record. */
  address(i: number): Local {
    const n = (this.#moved + i) & 7;
    const local = this.local(`address ${n}`);
    if (!this.#addressed.has(n)) {
      this.#addressed.add(n);
      this.#pushPlace(i).get(this.#vp).op(W.i32_add).set(local);
    }
    return local;
  }
  /** The value of ST(i), loaded where it is not known. */
  value(i: number): X87Value {
    const slot = this.#slot(i);
    if (slot.value === undefined) {
      const pair = this.#take();
      const address = this.address(i);
      this.#code.get(address).memory(W.i64_load, at.FPR).set(pair.m);
      this.#code.get(address).memory(W.i32_load16_u, at.FPR + 8).set(pair.se);
      slot.value = { ...pair, class: "any" };
    }
    return slot.value;
  }

  // Tests: each branches where it fails.

  unlessOk(slow: Label): void {
    this.#code.get(this.local("ok")).op(W.i32_eqz).unlikely().brIf(slow);
  }
  unlessFull(i: number, slow: Label): void {
    const slot = this.#slot(i);
    if (slot.empty === false) return;
    slot.empty = false;
    this.#code.get(this.local("tags"));
    this.#pushPlace(i).i32(3).op(W.i32_shr_u, W.i32_shr_u).i32(3).op(W.i32_and).unlikely().brIf(slow);
  }
  unlessEmpty(i: number, slow: Label): void {
    const slot = this.#slot(i);
    if (slot.empty === true) return;
    slot.empty = true;
    this.#code.get(this.local("tags"));
    this.#pushPlace(i).i32(3).op(W.i32_shr_u, W.i32_shr_u).i32(3).op(W.i32_and).i32(3).op(W.i32_ne).unlikely().brIf(slow);
  }
  unlessNormal(value: X87Value, slow: Label): void {
    if (value.class === "normal") return;
    value.class = "normal";
    const c = this.#code;
    c.get(value.m).i64(0).op(W.i64_ge_s).unlikely().brIf(slow);
    c.get(value.se).i32(0x7fff).op(W.i32_and).i32(1).op(W.i32_sub).i32(0x7ffe).op(W.i32_ge_u).unlikely().brIf(slow);
  }
  unlessNumber(value: X87Value, slow: Label): void {
    if (value.class !== "any") return;
    value.class = "number";
    const c = this.#code;
    const normal = c.block();
    const odd = c.block();
    c.get(value.m).i64(0).op(W.i64_ge_s).unlikely().brIf(odd);
    c.get(value.se).i32(0x7fff).op(W.i32_and).i32(1).op(W.i32_sub).i32(0x7ffe).op(W.i32_lt_u).brIf(normal);
    c.end();
    c.get(value.m).get(value.se).i32(0x7fff).op(W.i32_and, W.i64_extend_i32_u, W.i64_or, W.i64_eqz, W.i32_eqz).brIf(slow);
    c.end();
  }

  // Changes, to locals and to the record.

  /** C1 = 0, but for what `push` pushes: exceptions, C1. */
  setStatus(push?: () => void): void {
    const c = this.#code;
    const status = this.local("status");
    c.get(this.#vp).get(status).i32(~C1).op(W.i32_and);
    if (push !== undefined) {
      push();
      c.op(W.i32_or);
    }
    c.tee(status).memory(W.i32_store16, at.FSW);
  }
  /** Writes the record's ST(i) from the locals of its value. */
  store(i: number, part: "all" | "sign" = "all"): void {
    const c = this.#code;
    const { m, se } = this.value(i);
    const address = this.address(i);
    if (part === "all") c.get(address).get(m).memory(W.i64_store, at.FPR);
    c.get(address).get(se).memory(W.i32_store16, at.FPR + 8);
  }
  /** Where a new value for ST(i) goes; the old one is no longer known. */
  replace(i: number, kind: X87Class): X87Value {
    const slot = this.#slot(i);
    const pair = slot.value ?? this.#take();
    slot.value = { m: pair.m, se: pair.se, class: kind };
    slot.empty = false;
    return slot.value;
  }
  #setTags(i: number, empty: boolean): void {
    const c = this.#code;
    const tags = this.local("tags");
    c.get(this.#vp).get(tags).i32(3);
    this.#pushPlace(i).i32(3).op(W.i32_shr_u, W.i32_shl);
    if (empty) c.op(W.i32_or);
    else c.i32(-1).op(W.i32_xor, W.i32_and);
    c.tee(tags).memory(W.i32_store16, at.FTW);
    this.#slot(i).empty = empty;
  }
  /** ST(i) is full from now on. */
  fill(i: number): void {
    if (this.#slot(i).empty !== false) this.#setTags(i, false);
  }
  #move(by: number): void {
    this.#moved = (this.#moved + by) & 7;
    const c = this.#code.get(this.#vp);
    this.#pushPlace(0);
    c.memory(W.i32_store, at.FTOP);
  }
  /** TOP moves to a register that was empty; its value is to be written. */
  grow(kind: X87Class): X87Value {
    this.#move(-1);
    this.#setTags(0, false);
    return this.replace(0, kind);
  }
  pop(): void {
    this.#setTags(0, true);
    this.#drop(this.#slot(0));
    this.#move(1);
  }
  exchange(i: number): void {
    const [a, b] = [this.#slot(0), this.#slot(i)];
    [a.value, b.value] = [b.value, a.value];
  }
}

/** `common` does it, or branches to its label before anything is written; `rare` asks the runtime. */
export function x87OrElse(e: OpEmitter, stack: X87Stack, common: (slow: Label) => void, rare: () => void): void {
  const c = e.code;
  const done = c.block();
  const slow = c.block();
  stack.unlessOk(slow);
  stack.inlined++;
  common(slow);
  c.br(done).end();
  c.i32(0).set(stack.local("ok"));
  rare();
  c.end();
}
