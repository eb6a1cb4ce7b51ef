/**
 * Operand access for compiled regions: operands are known; general and vector registers, temporaries and lazy flags live in
 * locals, everything else in the record.
 *
 * Laws: a register's local is loaded at the region's entry and written back where the region is left, or around a helper that
 * touches it. Temporaries mean nothing between instructions, so that only helpers ever see them in the record.
 */
import { assert } from "#base";
import { type FieldType, FlagsClass, flagsKind, type SizeLog2 } from "#ir";
import { at, Mode } from "#vcpu";
import { type Code, type Local, V, W } from "#wasm";
import type { Passes } from "../passes.ts";
import { FloatState, type FloatType } from "./float-state.ts";
import type { FlagSource, KnownFlags } from "./known-flags.ts";
import { type FlagOperands, originOf, pushCarryOf, pushCondition } from "./native-flags.ts";
import { Intent, type OpEmitter, type PushType } from "./op-emitter.ts";
import { PageAccess, type PageQuestion } from "./page-access.ts";
import { pushFlagsShift } from "./region-cache.ts";
import { runtimeCallNumber } from "./runtime-calls.ts";

/** What may live in a local: GPR, TEMP, XMM, VTEMP; named by their offset in the record. */
const wordsEnd = at.RIP;
const vectorsEnd = at.VTEMP + 8 * 16;
const isWord = (offset: number): boolean => offset < wordsEnd;
const isVector = (offset: number): boolean => offset >= at.XMM && offset < vectorsEnd;

/** The register or temporary that a field is part of, by its offset; undefined for what always lives in the record. */
export function registerOf(offset: number): number | undefined {
  if (isWord(offset)) return offset & ~7;
  return isVector(offset) ? at.XMM + ((offset - at.XMM) & ~15) : undefined;
}
const isTemporary = (register: number): boolean => (register >= at.TEMP && register < wordsEnd) || register >= at.VTEMP;
/** The letter of `touches` that a register belongs to (ir/helpers.ts). */
const letterOf = (register: number): string => (register < at.TEMP ? "g" : isWord(register) ? "t" : "x");

/** Where lazy flags live: CC_KIND, CC_A, CC_B, CC_C. */
const flagFields = [at.CC_KIND, at.CC_A, at.CC_B, at.CC_C] as const;

/** Leaves at an instruction's start: `code` finds the reason in LEAVE. */
export type LeaveHere = () => void;

const classBit = (cls: FlagsClass): number => 1 << cls;
const counts = classBit(FlagsClass.INC) | classBit(FlagsClass.DEC);
/** Kinds of flags of which the carry is told without the runtime. */
const plainCarries = counts | classBit(FlagsClass.SUB) | classBit(FlagsClass.LOGIC);

export interface RegionRegisters {
  /** Registers and temporaries, by offset, that live in locals. */
  readonly used: ReadonlySet<number>;
  readonly written: ReadonlySet<number>;
  readonly flagsWritten: boolean;
}

export class RegionEmitter implements OpEmitter {
  readonly code: Code;
  readonly vp: Local = 0;
  readonly left: Local = 2;
  readonly x: Local;
  readonly y: Local;
  readonly z: Local;
  readonly p: Local;
  readonly q: Local;
  readonly r: Local;
  readonly u: Local;
  readonly v: Local;
  readonly float: FloatState;
  readonly pages: PageAccess;
  /** Address of the first byte of the seed's page, as the guest sees it. */
  readonly base: Local;
  readonly #passes: Passes;
  /** Where this instruction has read to modify, from an arena address, and its operand: what is stored there goes by it. */
  readonly #modified: Local;
  #modifiedFrom = 0;
  #modifies = "";
  readonly #registers = new Map<number, Local>();
  readonly #written: ReadonlySet<number>;
  readonly #flags: readonly Local[];
  readonly #flagsWritten: boolean;
  readonly #shift: Local;
  /** How many low bits temporaries have whose others are zeros. */
  readonly #widths = new Map<Local, number>();

  // The operation being emitted.
  #words: Int32Array = new Int32Array(0);
  #at = 0;
  #indexed = false;
  /** The address is needed for the access alone; and it has not been computed. */
  #mayBeLate = false;
  #isLate = false;
  #blockDelta = 0;
  /** Which operation set the flags, where that is known; the local that has their kind need not say so then. */
  origin: KnownFlags | undefined;
  leaveHere: LeaveHere = () => {};

  constructor(
    code: Code,
    mode: number,
    registers: RegionRegisters,
    passes: Passes,
    /** Where vp is known: what it is, else 0. */
    knownVp: number,
  ) {
    this.code = code;
    this.#passes = passes;
    this.#modified = code.local("i32");
    this.p = code.local("i32");
    this.q = code.local("i32");
    this.r = code.local("i32");
    this.x = code.local("i64");
    this.y = code.local("i64");
    this.z = code.local("i64");
    this.base = code.local("i64");
    this.#flags = flagFields.map(() => code.local("i64"));
    this.#shift = code.local("i64");
    this.#written = registers.written;
    this.#flagsWritten = registers.flagsWritten;
    for (const register of registers.used) this.#registers.set(register, code.local(isWord(register) ? "i64" : "v128"));
    this.u = code.local("v128");
    this.v = code.local("v128");
    this.pages = new PageAccess(this, mode & Mode.tlbMask, knownVp);
    this.float = new FloatState(code, this.vp, passes["float-knowledge"]);
  }

  /** The operation whose words start at `at` is emitted next. */
  select(words: Int32Array, at: number, name: string, blockDelta: number): void {
    this.#words = words;
    this.#at = at;
    this.#indexed = name.endsWith("x") && /^(ld|st|lea)/.test(name);
    this.#mayBeLate = /^(ld|st)/.test(name) && (!/va$/.test(name) || this.isAligned);
    this.#isLate = false;
    this.#blockDelta = blockDelta;
    this.float.select(words, at);
    if (name === "call") this.#modifies = "";
  }

  get d(): number {
    return this.#words[this.#at] >>> 16;
  }
  get a(): number {
    return this.#words[this.#at + 1] & 0xffff;
  }
  get b(): number {
    return this.#words[this.#at + 1] >>> 16;
  }
  get imm(): number {
    return this.#words[this.#at + 2];
  }
  /** Where a branch goes that is not taken. */
  get fallthrough(): number {
    return this.#words[this.#at + 3];
  }
  /** Offset of the operation's instruction from the block's start, and the instructions before it in the block. */
  get position(): number {
    return this.#words[this.#at + 3] & 0x3fff;
  }
  get count(): number {
    return (this.#words[this.#at + 3] >>> 16) & 0x7fff;
  }

  /** The operation accesses the stack segment. */
  get stackSegment(): boolean {
    return this.#words[this.#at + 3] < 0;
  }

  // State in locals, and back.

  loadState(): void {
    for (const register of this.#registers.keys()) if (!isTemporary(register)) this.#loadRegister(register);
    this.#flags.forEach((local, n) => {
      this.code
        .get(this.vp)
        .memory(W.i64_load, at.RUN_FLAGS + 8 * n)
        .set(local);
    });
  }
  storeRegisters(): void {
    for (const register of this.#written) if (!isTemporary(register)) this.#storeRegister(register);
  }
  /** The flags, for the next region or the interpreter (RUN_FLAGS). */
  storeRunFlags(): void {
    if (!this.#flagsWritten) return;
    this.settleFlags();
    this.#flags.forEach((local, n) => {
      this.code
        .get(this.vp)
        .get(local)
        .memory(W.i64_store, at.RUN_FLAGS + 8 * n);
    });
  }
  #loadRegister(register: number): void {
    const local = this.#registers.get(register);
    if (local === undefined) return;
    this.#widths.delete(local);
    const c = this.code.get(this.vp);
    if (isWord(register)) c.memory(W.i64_load, register);
    else c.vectorMemory(V.v128_load, register);
    c.set(local);
  }
  #storeRegister(register: number): void {
    const local = this.#registers.get(register);
    if (local === undefined) return;
    const c = this.code.get(this.vp).get(local);
    if (isWord(register)) c.memory(W.i64_store, register);
    else c.vectorMemory(V.v128_store, register);
  }
  /** From the record, where operands stand at the top of 64 bits. */
  loadFlags(): void {
    const c = this.code;
    const [kind, a, b, carry] = this.#flags;
    c.get(this.vp).memory(W.i64_load, at.CC_KIND).set(kind);
    pushFlagsShift(c, () => c.get(kind));
    c.set(this.#shift);
    c.get(this.vp).memory(W.i64_load, at.CC_A).get(this.#shift).op(W.i64_shr_u).set(a);
    c.get(this.vp).memory(W.i64_load, at.CC_B).get(this.#shift).op(W.i64_shr_u).set(b);
    c.get(this.vp).memory(W.i64_load, at.CC_C).set(carry);
  }
  storeFlags(): void {
    const c = this.code;
    const [kind, a, b, carry] = this.#flags;
    this.settleFlags();
    pushFlagsShift(c, () => c.get(kind));
    c.set(this.#shift);
    c.get(this.vp).get(kind).memory(W.i64_store, at.CC_KIND);
    c.get(this.vp).get(a).get(this.#shift).op(W.i64_shl).memory(W.i64_store, at.CC_A);
    c.get(this.vp).get(b).get(this.#shift).op(W.i64_shl).memory(W.i64_store, at.CC_B);
    c.get(this.vp).get(carry).memory(W.i64_store, at.CC_C);
  }
  /** Around a helper: what it touches is written back before, and read again after. */
  syncBefore(touches: string): void {
    for (const register of this.#written) if (touches.includes(letterOf(register))) this.#storeRegister(register);
    if (touches.includes("f") && this.#flagsWritten) this.storeFlags();
  }
  syncAfter(touches: string): void {
    for (const register of this.#registers.keys())
      if (touches.includes(letterOf(register))) this.#loadRegister(register);
    // Who leaves here may have come half of the way, with registers that are no longer what the flags are of.
    if (touches.includes("g") && this.origin !== undefined)
      this.origin = { cls: this.origin.cls, size: this.origin.size };
    if (!touches.includes("f")) return;
    this.loadFlags();
    // Their kind is in its local now, for who leaves here too: a loop of comparisons that faults has flags of its own.
    this.origin = undefined;
  }

  /** Adds a number to a general register. */
  advance(register: number, by: number): void {
    const local = this.#localOf(register);
    assert(local !== undefined, "a register that the region writes is in a local");
    this.code.get(local).i64(by).op(W.i64_add).set(local);
  }

  // Operands.

  #push(offset: number, type: PushType): void {
    const c = this.code;
    if (type === "f32" || type === "f64") return this.#pushFloat(offset, type);
    if (offset === at.RIP) {
      c.get(this.base).i64(this.#blockDelta).op(W.i64_add);
      if (type !== "i64") c.op(W.i32_wrap_i64);
      return;
    }
    const local = this.#localOf(offset);
    if (local === undefined) return this.#pushFromRecord(offset, type);
    c.get(local);
    if (isVector(offset)) return this.#extractLane(offset & 15, type);
    if (type === "i64") return;
    if (offset & 7) c.i64((offset & 7) * 8).op(W.i64_shr_u);
    c.op(W.i32_wrap_i64);
    const width = (this.#widths.get(local) ?? 64) - (offset & 7) * 8;
    if (type === "i8" && width <= 8) return;
    if (type === "i16" && width <= 16) return;
    if (type === "i8") c.i32(0xff).op(W.i32_and);
    else if (type === "i16") c.i32(0xffff).op(W.i32_and);
  }
  #pushFloat(offset: number, type: FloatType): void {
    const c = this.code;
    const local = this.#localOf(offset);
    const wide = type === "f64";
    if (local === undefined) c.get(this.vp).memory(wide ? W.f64_load : W.f32_load, offset);
    else if (isVector(offset)) {
      c.get(local);
      if (wide) c.vector(V.f64x2_extract_lane, (offset & 15) >> 3);
      else c.vector(V.f32x4_extract_lane, (offset & 15) >> 2);
    } else {
      this.#push(offset, wide ? "i64" : "w32");
      c.op(wide ? W.f64_reinterpret_i64 : W.f32_reinterpret_i32);
    }
  }
  #localOf(offset: number): Local | undefined {
    const register = registerOf(offset);
    return register === undefined ? undefined : this.#registers.get(register);
  }
  /** Of the vector on the stack, the part that starts at `byte`. */
  #extractLane(byte: number, type: FieldType): void {
    const c = this.code;
    switch (type) {
      case "v128":
        return;
      case "i64":
        c.vector(V.i64x2_extract_lane, byte >> 3);
        return;
      case "i32":
      case "w32":
        c.vector(V.i32x4_extract_lane, byte >> 2);
        return;
      case "i16":
        c.vector(V.i16x8_extract_lane_u, byte >> 1);
        return;
      case "i8":
        c.vector(V.i8x16_extract_lane_u, byte);
    }
  }
  #writeLane(local: Local, byte: number, type: FieldType, value: () => void): void {
    const c = this.code;
    if (type !== "v128") c.get(local);
    value();
    switch (type) {
      case "v128":
        break;
      case "i64":
        c.vector(V.i64x2_replace_lane, byte >> 3);
        break;
      case "i32":
        c.op(W.i64_extend_i32_u).vector(V.i64x2_replace_lane, byte >> 3);
        break;
      case "w32":
        c.vector(V.i32x4_replace_lane, byte >> 2);
        break;
      case "i16":
        c.vector(V.i16x8_replace_lane, byte >> 1);
        break;
      case "i8":
        c.vector(V.i8x16_replace_lane, byte);
    }
    c.set(local);
  }
  #pushFromRecord(offset: number, type: FieldType): void {
    const c = this.code.get(this.vp);
    switch (type) {
      case "i8":
        c.memory(W.i32_load8_u, offset);
        break;
      case "i16":
        c.memory(W.i32_load16_u, offset);
        break;
      case "i32":
      case "w32":
        c.memory(W.i32_load, offset);
        break;
      case "i64":
        c.memory(W.i64_load, offset);
        break;
      case "v128":
        c.vectorMemory(V.v128_load, offset);
    }
  }
  #write(offset: number, type: PushType, value: () => void, known = 64): void {
    const c = this.code;
    if (type === "f32" || type === "f64") return this.#writeFloat(offset, type, value);
    const local = this.#localOf(offset);
    if (local === undefined) return this.#writeToRecord(offset, type, value);
    if (isVector(offset)) return this.#writeLane(local, offset & 15, type, value);
    const shift = (offset & 7) * 8;
    // What surrounds a temporary's low bytes means nothing.
    const isWhole = offset >= at.TEMP && shift === 0;
    this.#widths.delete(local);
    switch (type) {
      case "i64":
        value();
        if (isWhole) this.#widths.set(local, known);
        break;
      case "i32":
        value();
        c.op(W.i64_extend_i32_u);
        break;
      case "i8":
      case "i16":
      case "w32": {
        const bits = type === "i8" ? 8 : type === "i16" ? 16 : 32;
        value();
        c.op(W.i64_extend_i32_u);
        if (isWhole && bits < 32) {
          if (known > bits) c.i64(2 ** bits - 1, 0).op(W.i64_and);
          this.#widths.set(local, Math.min(known, bits));
          break;
        }
        const mask = (2n ** BigInt(bits) - 1n) << BigInt(shift);
        if (bits < 32 && known > bits) c.i64(2 ** bits - 1, 0).op(W.i64_and);
        if (shift > 0) c.i64(shift).op(W.i64_shl);
        const keep = BigInt.asIntN(64, ~mask);
        c.get(local)
          .i64(Number(BigInt.asIntN(32, keep)), Number(keep >> 32n))
          .op(W.i64_and, W.i64_or);
        break;
      }
      case "v128":
        throw new Error("no vector is written to a general register");
    }
    c.set(local);
  }
  #writeFloat(offset: number, type: FloatType, value: () => void): void {
    const c = this.code;
    const local = this.#localOf(offset);
    const wide = type === "f64";
    if (local === undefined) {
      c.get(this.vp);
      value();
      c.memory(wide ? W.f64_store : W.f32_store, offset);
    } else if (isVector(offset)) {
      c.get(local);
      value();
      if (wide) c.vector(V.f64x2_replace_lane, (offset & 15) >> 3);
      else c.vector(V.f32x4_replace_lane, (offset & 15) >> 2);
      c.set(local);
    } else {
      this.#write(offset, wide ? "i64" : "w32", () => {
        value();
        c.op(wide ? W.i64_reinterpret_f64 : W.i32_reinterpret_f32);
      });
    }
  }
  #writeToRecord(offset: number, type: FieldType, value: () => void): void {
    const c = this.code.get(this.vp);
    value();
    switch (type) {
      case "i8":
        c.memory(W.i32_store8, offset);
        break;
      case "i16":
        c.memory(W.i32_store16, offset);
        break;
      case "w32":
        c.memory(W.i32_store, offset);
        break;
      case "i32":
        c.op(W.i64_extend_i32_u).memory(W.i64_store, offset);
        break;
      case "i64":
        c.memory(W.i64_store, offset);
        break;
      case "v128":
        c.vectorMemory(V.v128_store, offset);
    }
  }
  pushA(type: PushType): void {
    this.#push(this.a, type);
  }
  pushB(type: PushType): void {
    this.#push(this.b, type);
  }
  pushRegister(register: number): void {
    this.#push(register, "i64");
  }
  pushLane(offset: number, type: FloatType): void {
    this.#pushFloat(offset, type);
  }
  pushD(type: FieldType): void {
    this.#push(this.d, type);
  }
  storeLane(log: SizeLog2, from: number): boolean {
    const local = this.#localOf(this.d);
    if (log < 2 || local === undefined || !isVector(this.d)) return false;
    const byte = this.d & 15;
    this.code.get(local).vectorLane(log === 3 ? V.v128_store64_lane : V.v128_store32_lane, from, byte >> log);
    return true;
  }
  pushC(type: FieldType): void {
    this.#push(this.#words[this.#at + 4] & 0xffff, type);
  }
  pushImm32(): void {
    this.code.i32(this.imm);
  }
  pushImm64(): void {
    this.code.i64(this.imm, this.#words[this.#at + 3]);
  }
  write(type: PushType, value: () => void, bits?: number): void {
    this.#write(this.d, type, value, bits);
  }
  writeA(type: FieldType, value: () => void): void {
    this.#write(this.a, type, value);
  }

  // Flags.

  setFlags(cls: FlagsClass, size: SizeLog2, a: () => void, b?: () => void, carry?: () => void): void {
    const c = this.code;
    [a, b, carry].forEach((value, n) => {
      if (value === undefined) return;
      value();
      c.set(this.#flags[n + 1]);
    });
    // Known while this is written: `origin` says so from here on.
    if (originOf(this.#words[this.#at] & 0xffff) === undefined) c.i64(flagsKind(cls, size)).set(this.#flags[0]);
  }
  /** For who leaves: the operands of flags are those of registers where they still have the same values. */
  recallFlags(): void {
    if (this.origin === undefined) return;
    const { a, b, size } = this.origin;
    [a, b].forEach((source, n) => {
      if (source === undefined) return;
      this.#pushSource(source, size);
      this.code.set(this.#flags[n + 1]);
    });
  }
  #pushSource({ field, plus }: FlagSource, size: SizeLog2): void {
    const c = this.code;
    const bits = 8 << size;
    if (field === undefined) return this.#pushBig(BigInt.asUintN(bits, plus));
    this.#push(field, (["i8", "i16", "i32", "i64"] as const)[size]);
    if (size < 3) c.op(W.i64_extend_i32_u);
    if (plus === 0n) return;
    this.#pushBig(plus);
    c.op(W.i64_add);
    if (size === 3) return;
    this.#pushBig(BigInt.asUintN(bits, -1n));
    c.op(W.i64_and);
  }
  #pushBig(value: bigint): void {
    this.code.i64(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }
  /** The kind of flags is in its local, whatever is known about it. */
  settleFlags(): void {
    if (this.origin !== undefined) this.code.i64(flagsKind(this.origin.cls, this.origin.size)).set(this.#flags[0]);
  }
  /** For who leaves: the kind of flags, and 1 more, where it is not in its local; else 0. */
  get unsettledKind(): number {
    return this.origin === undefined ? 0 : flagsKind(this.origin.cls, this.origin.size) + 1;
  }
  /** With such a number on the stack. */
  settleKind(): void {
    const c = this.code;
    const [kind] = this.#flags;
    c.tee(this.p).i32(1).op(W.i32_sub, W.i64_extend_i32_u).get(kind).get(this.p).op(W.select).set(kind);
  }
  get #operands(): FlagOperands {
    const [, a, b, carry] = this.#flags;
    return {
      a: () => this.code.get(a),
      b: () => this.code.get(b),
      c: () => this.code.get(carry),
      highProduct: () => this.callRuntime("mulhs64"),
    };
  }
  pushCondition(cc: number): void {
    if (this.origin !== undefined) return pushCondition(this.code, cc, this.origin, this.#operands);
    this.storeFlags();
    this.code.get(this.vp).i32(cc);
    this.callRuntime("condition");
  }
  pushCarry(): void {
    if (this.origin !== undefined) return pushCarryOf(this.code, this.origin, this.#operands);
    // Where a loop's top has flags of any kind, what counts in it asks for the carry each time round.
    const [kind, a, b, carry] = this.#flags;
    const c = this.code;
    c.i32(1).get(kind).i64(2).op(W.i64_shr_u, W.i32_wrap_i64, W.i32_shl).tee(this.p).i32(plainCarries).op(W.i32_and);
    c.op(W.i32_eqz).unlikely().if("i32");
    this.storeFlags();
    c.get(this.vp);
    this.callRuntime("carry");
    c.else();
    c.get(a)
      .get(b)
      .op(W.i64_lt_u)
      .get(this.p)
      .i32(classBit(FlagsClass.SUB))
      .op(W.i32_and, W.i32_eqz, W.i32_eqz, W.i32_and);
    c.get(carry).op(W.i32_wrap_i64).get(this.p).i32(counts).op(W.i32_and, W.i32_eqz, W.i32_eqz, W.i32_and, W.i32_or);
    c.end();
  }
  pushFlags(): void {
    this.storeFlags();
    this.code.get(this.vp);
    this.callRuntime("flags");
  }

  // Memory.

  address(): void {
    this.#isLate = this.#mayBeLate && this.pages.isMember(this.#at);
    if (!this.#isLate) this.#computeAddress();
  }
  settleAddress(): void {
    if (this.#isLate) this.#computeAddress();
  }
  #computeAddress(): void {
    const c = this.code;
    if (this.a === at.ZERO) c.i64(this.imm);
    else {
      this.pushA("i64");
      if (this.imm !== 0) c.i64(this.imm).op(W.i64_add);
    }
    if (this.#indexed) {
      this.pushB("i64");
      const scale = (this.#words[this.#at + 3] >>> 14) & 3;
      if (scale > 0) c.i64(scale).op(W.i64_shl);
      c.op(W.i64_add);
    }
    c.set(this.x);
  }
  get isAligned(): boolean {
    return this.pages.near.aligned.has(this.#at);
  }
  #question(bytes: number, intent: Intent): PageQuestion {
    return { word: this.#at, bytes, intent, displacement: this.imm };
  }
  load(bytes: number, intent: Intent, load: (from: number) => void): void {
    const from = this.pages.translate(this.#question(bytes, intent));
    if (intent === Intent.modify && this.#passes["reuse-translations"]) {
      this.code.get(this.p).set(this.#modified);
      this.#modifies = this.#operand(bytes);
      this.#modifiedFrom = from;
    }
    this.pages.pointers.beforeLoad(this.#at);
    this.code.get(this.p);
    load(from);
  }
  store(bytes: number, store: (from: number) => void): void {
    if (this.#modifies !== this.#operand(bytes) && bytes > 1 && this.pages.slots.has(this.#at))
      this.pages.storeAcross(this.#question(bytes, Intent.write), store);
    else store(this.#placeToWrite(bytes));
  }
  /** Pushes an arena address, and gives how far behind it the operation writes. */
  #placeToWrite(bytes: number): number {
    if (this.#modifies === this.#operand(bytes)) {
      this.code.get(this.#modified);
      return this.#modifiedFrom;
    }
    const from = this.pages.translate(this.#question(bytes, Intent.write));
    this.code.get(this.p);
    return from;
  }
  /** The memory operand of this operation and the instruction it belongs to. */
  #operand(bytes: number): string {
    return `${this.#words[this.#at + 1]} ${this.imm} ${this.#words[this.#at + 3]} ${this.#blockDelta} ${bytes}`;
  }
  exclusive(bytes: number, update: (from: number) => void): void {
    const c = this.code;
    if (bytes > 1) {
      // A misaligned atomic traps in WebAssembly: the instruction runs alone, in the interpreter.
      c.get(this.x)
        .op(W.i32_wrap_i64)
        .i32(bytes - 1)
        .op(W.i32_and)
        .unlikely()
        .if();
      c.get(this.vp);
      this.callRuntime("need_step");
      this.leaveIf();
      c.end();
    }
    update(this.#placeToWrite(bytes));
  }
  leaveIf(): void {
    this.code.unlikely().if();
    this.leaveHere();
    this.code.end();
  }
  callRuntime(name: string): void {
    this.code.callLinked(runtimeCallNumber(name));
  }
}
