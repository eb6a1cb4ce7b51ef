/**
 * Operand access for compiled regions: operands are known, general registers, temporaries and lazy flags live in locals,
 * everything else in the record.
 *
 * A local is loaded at the region's entry and written back where the region is left, or around a helper that touches it.
 */
import { type FieldType, FlagsClass, flagsKind, type SizeLog2 } from "#ir";
import { area, at, Mode, tlbBytes, tlbEntries } from "#vcpu";
import { type Code, type Local, V, W } from "#wasm";
import { type KnownFlags, pushKnownCondition } from "./condition.ts";
import { FloatState, type FloatType } from "./float-state.ts";
import { Intent, type OpEmitter, type PushType } from "./op-emitter.ts";

const registerFields = 32; // GPR and TEMP, the first 256 bytes of the record
const flagFields = [at.CC_KIND, at.CC_A, at.CC_B, at.CC_C] as const;

/** Leaves at an instruction's start: `code` finds the reason in LEAVE. */
export type LeaveHere = () => void;

export class RegionEmitter implements OpEmitter {
  readonly code: Code;
  readonly vp: Local = 0;
  readonly x: Local;
  readonly y: Local;
  readonly z: Local;
  readonly p: Local;
  readonly q: Local;
  readonly r: Local;
  readonly u: Local;
  readonly v: Local;
  readonly float: FloatState;
  /** Address of the page's first byte as the guest sees it. */
  readonly pageBase: Local;
  readonly #imports: ReadonlyMap<string, number>;
  readonly #tlb: number;
  readonly #registers: (Local | undefined)[] = [];
  readonly #written = new Set<number>();
  readonly #flags: readonly Local[];
  flagsWritten = false;

  // The operation being emitted.
  #words: Int32Array = new Int32Array(0);
  #at = 0;
  #indexed = false;
  #blockOffset = 0;
  /** What is known here of the flags, beyond what the operation's name says. */
  known: KnownFlags = "";
  leaveHere: LeaveHere = () => {};

  constructor(
    code: Code,
    imports: ReadonlyMap<string, number>,
    mode: number,
    used: ReadonlySet<number>,
    written: ReadonlySet<number>,
  ) {
    this.code = code;
    this.#imports = imports;
    this.#tlb = area.tlb + (mode & Mode.tlbMask) * 2 * tlbBytes;
    this.p = code.local("i32");
    this.q = code.local("i32");
    this.r = code.local("i32");
    this.x = code.local("i64");
    this.y = code.local("i64");
    this.z = code.local("i64");
    this.pageBase = code.local("i64");
    this.#flags = flagFields.map(() => code.local("i64"));
    for (const field of used) this.#registers[field] = code.local("i64");
    for (const field of written) this.#written.add(field);
    this.u = code.local("v128");
    this.v = code.local("v128");
    this.float = new FloatState(code, this.vp, true);
  }

  /** The operation whose words start at `at` is emitted next. */
  select(words: Int32Array, at: number, name: string, blockOffset: number): void {
    this.#words = words;
    this.#at = at;
    this.#indexed = name.endsWith("x") && /^(ld|st|lea)/.test(name);
    this.#blockOffset = blockOffset;
    this.float.select(words, at);
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
    this.#registers.forEach((_, field) => this.#loadRegister(field));
    this.loadFlags();
  }
  storeState(): void {
    for (const field of this.#written) this.#storeRegister(field);
    if (this.flagsWritten) this.storeFlags();
  }
  #loadRegister(field: number): void {
    const local = this.#registers[field];
    if (local !== undefined)
      this.code
        .get(this.vp)
        .memory(W.i64_load, field * 8)
        .set(local);
  }
  #storeRegister(field: number): void {
    const local = this.#registers[field];
    if (local !== undefined)
      this.code
        .get(this.vp)
        .get(local)
        .memory(W.i64_store, field * 8);
  }
  loadFlags(): void {
    flagFields.forEach((field, n) => {
      this.code.get(this.vp).memory(W.i64_load, field).set(this.#flags[n]);
    });
  }
  storeFlags(): void {
    flagFields.forEach((field, n) => {
      this.code.get(this.vp).get(this.#flags[n]).memory(W.i64_store, field);
    });
  }
  /** Around a helper: what it touches is written back before, and read again after. */
  syncBefore(touches: string): void {
    for (const field of this.#written) if (touches.includes(field < 16 ? "g" : "t")) this.#storeRegister(field);
    if (touches.includes("f") && this.flagsWritten) this.storeFlags();
  }
  syncAfter(touches: string): void {
    this.#registers.forEach((_, field) => {
      if (touches.includes(field < 16 ? "g" : "t")) this.#loadRegister(field);
    });
    if (touches.includes("f")) this.loadFlags();
  }

  // Operands.

  #push(offset: number, type: PushType): void {
    const c = this.code;
    if (type === "f32" || type === "f64") return this.#pushFloat(offset, type);
    if (offset === at.RIP) {
      c.get(this.pageBase).i64(this.#blockOffset).op(W.i64_add);
      if (type !== "i64") c.op(W.i32_wrap_i64);
      return;
    }
    const local = offset < registerFields * 8 ? this.#registers[offset >> 3] : undefined;
    if (local === undefined) return this.#pushFromRecord(offset, type);
    c.get(local);
    if (type === "i64") return;
    if (offset & 7) c.i64((offset & 7) * 8).op(W.i64_shr_u);
    c.op(W.i32_wrap_i64);
    if (type === "i8") c.i32(0xff).op(W.i32_and);
    else if (type === "i16") c.i32(0xffff).op(W.i32_and);
  }
  #pushFloat(offset: number, type: FloatType): void {
    const c = this.code;
    if (offset < registerFields * 8) {
      this.#push(offset, type === "f64" ? "i64" : "w32");
      c.op(type === "f64" ? W.f64_reinterpret_i64 : W.f32_reinterpret_i32);
    } else c.get(this.vp).memory(type === "f64" ? W.f64_load : W.f32_load, offset);
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
  #write(offset: number, type: PushType, value: () => void): void {
    const c = this.code;
    if (type === "f32" || type === "f64") return this.#writeFloat(offset, type, value);
    const local = offset < registerFields * 8 ? this.#registers[offset >> 3] : undefined;
    if (local === undefined) return this.#writeToRecord(offset, type, value);
    const shift = (offset & 7) * 8;
    switch (type) {
      case "i64":
        value();
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
        const mask = (2n ** BigInt(bits) - 1n) << BigInt(shift);
        if (bits < 32) c.i64(2 ** bits - 1, 0).op(W.i64_and);
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
    if (offset < registerFields * 8) {
      this.#write(offset, type === "f64" ? "i64" : "w32", () => {
        value();
        c.op(type === "f64" ? W.i64_reinterpret_f64 : W.i32_reinterpret_f32);
      });
      return;
    }
    c.get(this.vp);
    value();
    c.memory(type === "f64" ? W.f64_store : W.f32_store, offset);
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
  pushD(type: FieldType): void {
    this.#push(this.d, type);
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
  write(type: PushType, value: () => void): void {
    this.#write(this.d, type, value);
  }
  writeA(type: FieldType, value: () => void): void {
    this.#write(this.a, type, value);
  }

  // Flags.

  setFlags(cls: FlagsClass, size: SizeLog2, a: () => void, b?: () => void, carry?: () => void): void {
    const c = this.code;
    const set = (n: number, value: () => void, shifts: boolean): void => {
      value();
      if (shifts && size < 3 && cls !== FlagsClass.EXPLICIT) c.i64(64 - (8 << size)).op(W.i64_shl);
      c.set(this.#flags[n]);
    };
    set(1, a, true);
    if (b) set(2, b, true);
    if (carry) set(3, carry, false);
    c.i64(flagsKind(cls, size)).set(this.#flags[0]);
  }
  pushCondition(cc: number, known: "" | "sub" | "logic"): void {
    const c = this.code;
    pushKnownCondition(c, cc, known || this.known, {
      a: () => c.get(this.#flags[1]),
      b: () => c.get(this.#flags[2]),
      c: () => c.get(this.#flags[3]),
      generic: () => {
        this.storeFlags();
        c.get(this.vp).i32(cc);
        this.callRuntime("condition");
      },
    });
  }
  pushCarry(): void {
    if (this.known !== "") return this.pushCondition(2, "");
    this.storeFlags();
    this.code.get(this.vp);
    this.callRuntime("carry");
  }
  pushFlags(): void {
    this.storeFlags();
    this.code.get(this.vp);
    this.callRuntime("flags");
  }

  // Memory.

  address(): void {
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
  /** p = the arena address behind x, the TLB having been filled where it was not; or leaves. */
  #translate(bytes: number, intent: Intent): void {
    const c = this.code;
    const table = this.#tlb + (intent === Intent.read ? 0 : tlbBytes);
    c.get(this.x)
      .i64(8)
      .op(W.i64_shr_u, W.i32_wrap_i64)
      .i32((tlbEntries - 1) << 4)
      .op(W.i32_and)
      .get(this.vp)
      .op(W.i32_add)
      .tee(this.p);
    c.memory(W.i64_load, table).get(this.x).op(W.i64_xor).tee(this.z);
    c.i64(4096 - bytes)
      .op(W.i64_gt_u)
      .if();
    c.get(this.vp).get(this.x).i32(bytes).i32(intent);
    this.callRuntime("tlb_fill");
    this.leaveIf();
    c.get(this.x).i64(4095).op(W.i64_and).set(this.z);
    c.end();
    c.get(this.p)
      .memory(W.i32_load, table + 8)
      .get(this.z)
      .op(W.i32_wrap_i64, W.i32_add)
      .set(this.p);
  }
  load(bytes: number, intent: Intent, load: () => void): void {
    this.#translate(bytes, intent);
    this.code.get(this.p);
    load();
  }
  store(bytes: number, store: () => void): void {
    this.#translate(bytes, Intent.write);
    this.code.get(this.p);
    store();
  }
  exclusive(bytes: number, update: () => void): void {
    const c = this.code;
    if (bytes > 1) {
      // A misaligned atomic traps in WebAssembly: the instruction runs alone, in the interpreter.
      c.get(this.x)
        .op(W.i32_wrap_i64)
        .i32(bytes - 1)
        .op(W.i32_and)
        .if();
      c.get(this.vp);
      this.callRuntime("need_step");
      this.leaveIf();
      c.end();
    }
    this.store(bytes, update);
  }
  leaveIf(): void {
    this.code.if();
    this.leaveHere();
    this.code.end();
  }
  callRuntime(name: string): void {
    const index = this.#imports.get(name);
    if (index === undefined) throw new Error(`the runtime's ${name} is not declared`);
    this.code.call(index);
  }
}
