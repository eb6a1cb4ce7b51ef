// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * What is known of floating point while a block is written: which lanes hold numbers, and that MXCSR was looked at.
 *
 * A *number* is a zero or a normal finite value: an operand that raises no exception by itself. Operations whose result is
 * inside the range leave a number behind, and need not be asked again when they are operands.
 *
 * Compiled blocks keep a local, `fast`: 3 when MXCSR rounds to nearest and PE is masked and already set, 1 when not. Law: while
 * `fast` is not 0, each lane that is known to hold a number holds one. It is taken from MXCSR where a block first needs it; when an
 * operation done by the runtime has or gives anything but numbers it becomes 0, and what follows in the block goes to the runtime.
 * Where a block is only come to from blocks before it, what they all know goes on, and `fast` with it. A loop begins with what holds
 * wherever it is come round to (region.ts writes it twice to find out); where it is entered that is looked at.
 *
 * The interpreter knows nothing of this kind (`tracks` false): it looks at MXCSR and at every operand.
 */
import { formatUnits, type OpRow, opRows } from "#ir";
import { at } from "#vcpu";
import { type Code, type Local, V, W, type WasmType } from "#wasm";
import type { OpEmitter } from "./op-emitter.ts";
import { type X87Knowledge, X87Stack } from "./x87-stack.ts";

/** What a four-byte slot of the record holds: a single, one half of a double, a part of a zero of any format. */
const Slot = { single: 1, low: 2, high: 3, zero: 4 } as const;
const bytesOf: Record<string, number> = { i8: 1, i16: 2, i32: 8, w32: 4, i64: 8, v128: 16 };

export type FloatType = "f32" | "f64";
/** What vectors are compared with: the smallest number well above the denormals, that of singles, infinity, 0, 2^31. */
export type Bound = "smallest" | "singles" | "infinity" | "zero" | "two31";

/** What is known at one place. */
export interface FloatKnowledge {
  readonly slots: ReadonlyMap<number, number>;
  readonly written: ReadonlySet<string>;
  readonly x87: X87Knowledge | undefined;
}

/** Lanes of XMM registers that hold numbers at all of these places. */
export function lanesKnownAt(places: readonly (FloatKnowledge | undefined)[]): Lane[] {
  const [first, ...others] = places;
  if (first === undefined || !places.every((place) => place?.written.has("fast"))) return [];
  const everywhere = (offset: number, slot: number): boolean => first.slots.get(offset) === slot && others.every((other) => other?.slots.get(offset) === slot);
  const lanes: Lane[] = [];
  for (const offset of first.slots.keys()) {
    if (offset >= at.VTEMP) continue;
    if (everywhere(offset, Slot.single)) lanes.push({ offset, type: "f32" });
    else if (everywhere(offset, Slot.low) && everywhere(offset + 4, Slot.high)) lanes.push({ offset, type: "f64" });
  }
  return lanes;
}
/** A lane by its place in the record. */
export interface Lane {
  readonly offset: number;
  readonly type: FloatType;
}

const rangeName = (type: FloatType): string => `range ${type}`;
/** From the smallest exponent but one up to infinity's, sign shifted out. */
export const smallestInside = { f32: 0x0200_0000, f64: 0x0040_0000 } as const;
const rangeOf = { f32: 0xff00_0000 - smallestInside.f32, f64: 0xffe0_0000 - smallestInside.f64 } as const;

const topBits = {
  f32: { smallest: 0x0100_0000, singles: 0x0100_0000, infinity: 0x7f80_0000, zero: 0, two31: 0x4f00_0000 },
  f64: { smallest: 0x0020_0000, singles: 0x3820_0000, infinity: 0x7ff0_0000, zero: 0, two31: 0x41e0_0000 },
} as const;

export class FloatState {
  readonly #code: Code;
  readonly #vp: Local;
  readonly #tracks: boolean;
  /** The x87's registers; undefined in the interpreter. */
  readonly x87: X87Stack | undefined;
  readonly #slots = new Map<number, number>();
  readonly #scratch = new Map<string, Local>();
  /** Locals whose value this block has written. */
  readonly #written = new Set<string>();
  // The operation being emitted.
  #a = 0;
  #b = 0;
  #d = 0;
  /** What its write makes unknown, once its operands have been asked for. */
  #stale = 0;

  constructor(code: Code, vp: Local, tracks: boolean) {
    this.#code = code;
    this.#vp = vp;
    this.#tracks = tracks;
    this.x87 = tracks ? new X87Stack(code, vp) : undefined;
  }

  /** A block begins; what was known at the ends of all blocks before it, or nothing where that is open. */
  enterBlock(before: readonly (FloatKnowledge | undefined)[]): void {
    this.forget();
    const [first, ...others] = before;
    if (first === undefined || others.includes(undefined)) return;
    for (const name of first.written) if (others.every((other) => other?.written.has(name))) this.#written.add(name);
    // Without `fast` from all sides nothing is true.
    if (!this.#written.has("fast")) return;
    for (const [offset, slot] of first.slots) if (others.every((other) => other?.slots.get(offset) === slot)) this.#slots.set(offset, slot);
    if (others.length === 0) this.x87?.restore(first.x87);
  }
  /**
   * A loop begins, with what holds wherever it is come round to. Where it is entered `fast` is 0; then, and as long as MXCSR is not as
   * it should be, MXCSR and all lanes are looked at here.
   */
  enterLoop(e: OpEmitter, lanes: readonly Lane[]): void {
    this.forget();
    for (const { offset, type } of lanes) this.#know(offset, type);
    this.#written.add("fast");
    const c = this.#code;
    const fast = this.scratch("i32", "fast");
    const types = new Set(lanes.map(({ type }) => type));
    for (const type of types) this.#written.add(rangeName(type));
    c.get(fast).i32(3).op(W.i32_ne).unlikely().if();
    this.#pushControl();
    c.set(fast);
    for (const type of types) this.#computeRange(type);
    for (const { offset, type } of lanes) {
      c.get(this.#vp);
      for (let n = 0; n < 3; n++) {
        e.pushLane(offset, type);
        c.op(type === "f64" ? W.i64_reinterpret_f64 : W.i32_reinterpret_f32);
      }
      e.callRuntime(`sse_settle_${type}`);
      this.lowerFast();
    }
    c.end();
  }
  /** A loop is entered from here, whose beginning takes these lanes for numbers. */
  beforeLoop(lanes: readonly Lane[]): void {
    const begun = (type: FloatType): boolean => this.#written.has("fast") && this.#written.has(rangeName(type));
    if (lanes.every(({ type }) => begun(type)) && lanes.every(({ offset, type }) => this.#holds(offset, type))) return;
    this.#code.i32(0).set(this.scratch("i32", "fast"));
  }

  /** What is known where a block ends. */
  leaveBlock(): FloatKnowledge {
    this.#settle();
    return { slots: new Map(this.#slots), written: new Set(this.#written), x87: this.x87?.save() };
  }

  /** A block begins, or a helper was called: nothing is known. */
  forget(): void {
    this.#slots.clear();
    this.#written.clear();
    this.#stale = 0;
    this.x87?.forget();
  }

  /** The operation whose words start at `n` is emitted next. */
  select(words: Int32Array, n: number): void {
    if (!this.#tracks) return;
    this.#settle();
    const row = opRows[words[n] & 0xffff] as OpRow;
    if (row.format === "call") return this.forget();
    if (formatUnits[row.format] > 2 || row.format === "jump") return;
    this.#d = words[n] >>> 16;
    this.#a = words[n + 1] & 0xffff;
    this.#b = words[n + 1] >>> 16;
    if (!row.dWritten || this.#d < at.XMM) return;
    const bytes = bytesOf[row.d];
    if (row.name === "movv" || row.name === "mov64" || row.name === "movw32") this.#copy(bytes);
    else if ((row.name === "v_xor" && this.#a === this.#b) || (row.name === "v_splatq" && this.#a === at.ZERO)) this.#put(this.#d, bytes, () => Slot.zero);
    else this.#stale = bytes;
  }

  /** Whether the lane of the operand at `from` bytes in it holds a number of this format, as long as `fast` is not 0. */
  isNumber(operand: "a" | "b", type: FloatType, from = 0): boolean {
    return this.#holds((operand === "a" ? this.#a : this.#b) + from, type);
  }
  #holds(offset: number, type: FloatType): boolean {
    const slot = this.#slots.get(offset);
    if (type === "f32") return slot === Slot.single || slot === Slot.zero;
    const next = this.#slots.get(offset + 4);
    return (slot === Slot.low && next === Slot.high) || (slot === Slot.zero && next === Slot.zero);
  }
  /** Both operands are the same field. */
  get sameOperands(): boolean {
    return this.#tracks && this.#a === this.#b;
  }
  /** From here on, unless `fast` is 0, the first `lanes` lanes of an operand hold numbers of this format. */
  holdsNumbers(operand: "a" | "b" | "d", type: FloatType, lanes = 1): void {
    const offset = operand === "a" ? this.#a : operand === "b" ? this.#b : this.#d;
    if (operand === "d") this.#settle();
    if (!this.#tracks || offset < at.XMM) return;
    for (let n = 0; n < lanes; n++) this.#know(offset + n * (type === "f64" ? 8 : 4), type);
  }
  #know(offset: number, type: FloatType): void {
    this.#slots.set(offset, type === "f64" ? Slot.low : Slot.single);
    if (type === "f64") this.#slots.set(offset + 4, Slot.high);
  }

  #copy(bytes: number): void {
    const from = this.#a;
    if (from === at.ZERO) return this.#put(this.#d, bytes, () => Slot.zero);
    // Half a double says nothing beside another's half.
    const whole = bytes > 4;
    const slots = Array.from({ length: bytes / 4 }, (_, n) => {
      const slot = this.#slots.get(from + n * 4);
      return whole || slot === Slot.single || slot === Slot.zero ? slot : undefined;
    });
    this.#put(this.#d, bytes, (n) => slots[n / 4]);
  }
  #put(offset: number, bytes: number, what: (n: number) => number | undefined): void {
    for (let n = -(offset & 3); n < bytes; n += 4) {
      const slot = what(n);
      if (slot === undefined) this.#slots.delete(offset + n);
      else this.#slots.set(offset + n, slot);
    }
  }
  #settle(): void {
    if (this.#stale > 0) this.#put(this.#d, this.#stale, () => undefined);
    this.#stale = 0;
  }

  // Locals.

  /** A local for this use, whatever it holds now. */
  scratch(type: WasmType, name: string): Local {
    const key = `${type} ${name}`;
    let local = this.#scratch.get(key);
    if (local === undefined) {
      local = this.#code.local(type);
      this.#scratch.set(key, local);
    }
    return local;
  }
  /** A local that holds what `push` pushes, for the rest of the block. Requires: no conditional code around. */
  #held(type: WasmType, name: string, push: () => void): Local {
    const local = this.scratch(type, name);
    if (this.#tracks && this.#written.has(name)) return local;
    this.#written.add(name);
    push();
    this.#code.set(local);
    return local;
  }

  /** Requires, as `bound`: no conditional code around; so these come first in the meaning of an operation. */
  fast(): Local {
    return this.#held("i32", "fast", () => this.#pushControl());
  }
  /**
   * How far apart the exponents of results may be, as `unlessInside` of vector-float.ts compares them; 0 unless `fast` is 3, so that one
   * comparison asks for both.
   */
  range(type: FloatType): Local {
    const name = rangeName(type);
    const local = this.scratch("i32", name);
    this.fast();
    if (this.#tracks && this.#written.has(name)) return local;
    this.#written.add(name);
    this.#computeRange(type);
    return local;
  }
  #computeRange(type: FloatType): void {
    this.#code.i32(rangeOf[type]).i32(0).get(this.scratch("i32", "fast")).i32(3).op(W.i32_eq, W.select).set(this.scratch("i32", rangeName(type)));
  }
  #pushControl(): void {
    this.#code.get(this.#vp).memory(W.i32_load, at.MXCSR).i32(0x7020).op(W.i32_and).i32(0x1020).op(W.i32_eq).i32(1).op(W.i32_shl).i32(1).op(W.i32_or);
  }
  bound(type: FloatType, which: Bound): Local {
    return this.#held("v128", `${type} ${which}`, () => {
      const c = this.#code;
      if (type === "f32") c.i32(topBits.f32[which]).vector(V.i32x4_splat);
      else c.i64(0, topBits.f64[which]).vector(V.i64x2_splat);
    });
  }
  /** The i32 on the stack is 0 when the runtime met anything but numbers, else 1. */
  lowerFast(): void {
    const c = this.#code;
    const numbers = this.scratch("i32", "numbers");
    c.set(numbers);
    for (const name of ["fast", rangeName("f32"), rangeName("f64")]) {
      if (!this.#written.has(name)) continue;
      const local = this.scratch("i32", name);
      c.get(local).get(numbers).op(W.i32_mul).set(local);
    }
  }
  /** False in the interpreter. */
  get tracks(): boolean {
    return this.#tracks;
  }
}
