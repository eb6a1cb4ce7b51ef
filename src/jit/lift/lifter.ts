/**
 * Lifting: guest instructions to IR, one block at a time.
 *
 * A rule says what one instruction does, in terms of operands (`read`, `write`, ...) and IR operations. It never asks
 * where an operand lives: addressing, segments, sizes and byte registers are settled here.
 *
 * Law (see ir/ops.ts): a rule writes nothing architectural before its last operation that may leave. A store to what
 * this instruction read with `readModify` does not leave.
 */
import { assert } from "#base";
import { Helper, type IrBuilder, knownFlagsNames, Op, type OpName, opRows } from "#ir";
import { at, gpr, Mode, temp, vtemp } from "#vcpu";
import { byteRegister, type Instruction, OPERANDS, type OperandPlace, ripBase, rows } from "#x86";
import {
  fixedRegister,
  inOpcode,
  inReg,
  inRm,
  inRow,
  isImmediate,
  isOne,
  maybeMemory,
  operandStride,
  operandTable,
  placeOf,
  registerMask,
  sizeOf,
  sizesOf,
} from "./operand-table.ts";

export type Rule = (l: Lifter, i: Instruction) => void;

export const rax = gpr(0);
export const rcx = gpr(1);
export const rdx = gpr(2);
export const rbx = gpr(3);
export const rsp = gpr(4);
export const rbp = gpr(5);
export const rsi = gpr(6);
export const rdi = gpr(7);

const CS = 1;
const SS = 2;

/** The last operand of the helper segment_access: bytes, and this. */
const checksWrite = 0x1000;
/** Where what is added to the offset begins. */
const deltaShift = 16;

/** The segment checks made for this instruction. */
const checkedRead = 1;
const checkedWrite = 2;

/** Of each memory operation: whether it needs the right to write, and how many bytes it touches. */
const writesMemory = Uint8Array.from(opRows, (row) => (/^(st|ldm|atomic)/.test(row.name) ? 1 : 0));
const accessBytes = Uint8Array.from(opRows, ({ name, d }) => {
  // Those that extend name the size they load first.
  const extended = /^ld[sz](\d+)_/.exec(name);
  if (extended !== null) return Number(extended[1]) / 8;
  return d === "v128" ? 16 : d === "i64" ? 8 : d === "i32" || d === "w32" ? 4 : d === "i16" ? 2 : 1;
});

const isInt32 = (n: number): boolean => n === (n | 0);

const hasMoffs = Uint8Array.from(rows, ({ operands }) =>
  operands.some((kind) => OPERANDS[kind].place === "moffs") ? 1 : 0,
);

/** The operations for each condition code, by what is known of the flags. */
const byCondition = (family: "jcc" | "cond"): Int32Array =>
  Int32Array.from({ length: 16 * knownFlagsNames.length }, (_, n) => {
    return Op[`${family}${knownFlagsNames[n >> 4]}${n & 15}` as OpName];
  });
const jumpIf = byCondition("jcc");
const conditionOf = byCondition("cond");

export class Lifter {
  readonly ir: IrBuilder;
  readonly i: Instruction;
  /** Mode bits of the code being lifted. */
  mode = 0;
  /** Offsets from the block's start: of the current instruction, and of the one after it. */
  position = 0;
  next = 0;
  /** Instructions before the current one in the block. */
  count = 0;
  /** Set by the rule that ended the block. */
  ended = false;
  /** What the instruction lifts to depends on its displacement's value. */
  looked = false;
  /** Operation and arena address by which a number of the instruction is loaded as it runs; operation 0: it is a constant. */
  readonly immediate = { op: 0, from: 0 };
  readonly displacement = { op: 0, from: 0 };

  /** Where the instruction's operands are in the table, and what decides their sizes. */
  #operands = 0;
  #sizes = 0;
  #temps = 0;
  #vtemps = 0;
  // The memory operand, once resolved.
  #resolved = false;
  #base = 0;
  #index = -1;
  #scale = 0;
  #displacement = 0;
  #checked = 0;
  /** In 32-bit code with segment checks: the field with the operand's offset. */
  #offset: number = at.ZERO;
  // What the access now made is, for segment checks.
  #writes = false;
  #bytes = 1;

  constructor(ir: IrBuilder, instruction: Instruction) {
    this.ir = ir;
    this.i = instruction;
  }

  beginBlock(mode: number): void {
    this.ir.reset();
    this.mode = mode;
    this.position = 0;
    this.next = 0;
    this.count = 0;
    this.ended = false;
  }
  /** `this.i` holds the instruction at `position`. */
  beginInstruction(position: number, count: number): void {
    this.position = position;
    this.next = position + this.i.length;
    this.count = count;
    this.#operands = this.i.id * operandStride;
    this.#sizes = sizesOf(this.i.operandSize, this.long);
    this.#beginRule();
    this.ir.beginInstruction(position, count);
    this.immediate.op = 0;
    this.displacement.op = 0;
  }
  /** The same instruction once more, by itself, with other numbers (templates.ts): `next` is made up, its own position nowhere. */
  beginSample(next: number, knownFlags: number): void {
    this.ir.reset();
    this.ir.knownFlags = knownFlags;
    this.position = 3 * next;
    this.next = next;
    this.ended = false;
    this.#beginRule();
    this.ir.beginInstruction(0, 0);
  }
  #beginRule(): void {
    this.#temps = 0;
    this.#vtemps = 0;
    this.#resolved = false;
    this.#checked = 0;
    this.looked = false;
  }

  get long(): boolean {
    return this.i.mode === 64;
  }
  /** Bytes that a push moves by default here: 8, 4 or 2. */
  get stackSize(): number {
    return this.i.mode === 64 ? 8 : this.i.mode === 32 ? 4 : 2;
  }

  /** A scratch field of this instruction. */
  temp(): number {
    assert(this.#temps < 16, "an instruction has 16 temporaries");
    return temp(this.#temps++);
  }
  vtemp(): number {
    assert(this.#vtemps < 8, "an instruction has 8 vector temporaries");
    return vtemp(this.#vtemps++);
  }

  // Operands by their place in the row.

  place(n: number): OperandPlace {
    return placeOf(operandTable[this.#operands + n]);
  }

  /** Bytes of operand n. For register-or-memory operands of two sizes: the one that applies. */
  size(n: number): number {
    return sizeOf(operandTable[this.#operands + n], this.i.hasMemory, this.#sizes);
  }

  /** Whether it is an immediate whose value is known: one that is loaded is read as other operands are. */
  isImmediate(n: number): boolean {
    return (operandTable[this.#operands + n] & isImmediate) !== 0 && this.immediate.op === 0;
  }
  isMemory(n: number): boolean {
    return this.i.hasMemory && (operandTable[this.#operands + n] & maybeMemory) !== 0;
  }

  /** The field of general register `number` as an operand of `size` bytes: AH and its like are one byte further. */
  register(number: number, size: number): number {
    if (size !== 1) return gpr(number);
    const byte = byteRegister(this.i, number);
    return gpr(byte & 15) + (byte >> 4);
  }

  /** The field of operand n, which is a general register. */
  registerOf(n: number): number {
    const bits = operandTable[this.#operands + n];
    switch (bits & registerMask) {
      case inRm:
        return this.register(this.i.rm, this.size(n));
      case inReg:
        return this.register(this.i.reg, this.size(n));
      case inOpcode:
        return this.register(this.i.opcodeReg, this.size(n));
      case inRow:
        return gpr(fixedRegister(bits));
      default:
        throw new Error(`operand ${n} of ${this.i.row.mnemonic} is no general register`);
    }
  }

  /** The register that the row names for operand n. */
  fixedRegister(n: number): number {
    return fixedRegister(operandTable[this.#operands + n]);
  }

  /** The field that holds operand n's value; memory is loaded, an immediate becomes a constant. */
  read(n: number): number {
    const size = this.size(n);
    if (this.isImmediate(n)) return this.constant(this.immediateLow(n), this.immediateHigh(n));
    if ((operandTable[this.#operands + n] & isImmediate) !== 0) return this.#loadNumber(this.immediate);
    if (!this.isMemory(n)) return this.registerOf(n);
    const t = this.temp();
    this.load(Op.ld8 + 2 * log2(size), t);
    return t;
  }

  /** As `read`, for an operand that this instruction then writes by `write`. */
  readModify(n: number): number {
    if (!this.isMemory(n)) return this.registerOf(n);
    const t = this.temp();
    this.load(Op.ldm8 + 2 * log2(this.size(n)), t);
    return t;
  }

  /** Where a result for operand n is computed: its register, or a temporary that `write` then stores. */
  target(n: number): number {
    return this.isMemory(n) ? this.temp() : this.registerOf(n);
  }

  /** Writes `field` to operand n. Nothing happens where the operand is that register already. */
  write(n: number, field: number): void {
    const size = this.size(n);
    if (this.isMemory(n)) return this.store(Op.st8 + 2 * log2(size), field);
    const register = this.registerOf(n);
    if (register !== field) this.ir.rrr(Op.mov8 + log2(size), register, field);
  }

  immediateLow(n: number): number {
    return (operandTable[this.#operands + n] & isOne) !== 0 ? 1 : this.i.immLow;
  }
  immediateHigh(n: number): number {
    return (operandTable[this.#operands + n] & isOne) !== 0 ? 0 : this.i.immHigh;
  }

  constant(low: number, high = low >> 31): number {
    const t = this.temp();
    this.ir.rri(Op.const64, t, 0, low, high);
    return t;
  }

  #loadNumber({ op, from }: { readonly op: number; readonly from: number }): number {
    const t = this.temp();
    this.ir.rri(op, t, 0, from, 0);
    return t;
  }

  // Memory.

  /** d = load of the memory operand; `op` is the unindexed member of an op pair. */
  load(op: number, d: number): void {
    this.#access(op, d);
  }
  /** Stores `field` to the memory operand. */
  store(op: number, field: number): void {
    this.#access(op, field);
  }
  /** As `load`, `offset` bytes further. */
  loadAt(op: number, d: number, offset: number): void {
    this.#access(op, d, offset);
  }
  storeAt(op: number, field: number, offset: number): void {
    this.#access(op, field, offset);
  }

  /** An atomic read-modify-write of the memory operand; these operations have no indexed form. */
  atomic(op: number, v: number): void {
    this.ir.mem(op, v, this.address(true, accessBytes[op]), 0);
  }
  /** Compare-and-exchange on the memory operand (see ir/ops.ts). */
  exchange(op: number, v: number, replacement: number): void {
    this.ir.mem2(op, v, this.address(true, accessBytes[op]), 0, replacement);
  }

  /** The linear address of the memory operand, in a field; `writes`: some of its `bytes` may be written. */
  address(writes = false, bytes = 1): number {
    this.#writes = writes;
    this.#bytes = bytes;
    this.#settle();
    this.looked = true;
    if (this.#index < 0 && this.#displacement === 0) return this.#base;
    const t = this.temp();
    this.#lea(Op.lea64, t);
    this.#base = t;
    this.#index = -1;
    this.#displacement = 0;
    return t;
  }

  /** The address of the last of the operand's bytes, in a field: what 32-bit addresses wrap comes back from below. */
  lastByte(bytes: number, writes: boolean): number {
    const { i } = this;
    if (i.addressSize === 8) {
      const t = this.temp();
      this.ir.mem(Op.lea64, t, this.address(writes), bytes - 1);
      return t;
    }
    const displacement = i.displacement;
    i.displacement = (displacement + bytes - 1) | 0;
    const last = this.address(writes);
    i.displacement = displacement;
    this.#resolved = false;
    this.#checked = 0;
    return last;
  }

  /** The effective address without segment base (LEA), of addressSize, in field d as `op` (lea32 or lea64) leaves it. */
  effectiveAddress(op: number, d: number): void {
    const i = this.i;
    if (i.addressSize === 2) {
      this.#sixteenBit(d);
      return;
    }
    this.#components(i.addressSize === 4 && !this.long ? 0 : undefined);
    if (i.addressSize === 4 && op === Op.lea64) op = Op.lea32;
    this.#lea(op, d);
    this.#resolved = false;
  }

  /** Adds the segment's base to an offset (string instructions, far pointers); gives the field of the linear address. */
  linear(offset: number, segment: number, writes = false, bytes = 1): number {
    if (segment === SS) this.ir.stackSegment();
    const based = this.#hasBase(segment);
    if (!this.long && (based || (segment === CS && writes)))
      this.checkSegment(segment, offset, (writes ? checksWrite : 0) | bytes);
    if (!based) return offset;
    const t = this.temp();
    // Outside 64-bit code linear addresses are 32 bits: a TLS offset of -4 wraps.
    this.ir.rrr(this.long ? Op.add64 : Op.add32, t, offset, at.SEG_BASE + 8 * segment);
    return t;
  }

  /** The field with the base that counts for a segment: ZERO where none does. */
  segmentBase(segment: number): number {
    return this.#hasBase(segment) ? at.SEG_BASE + 8 * segment : at.ZERO;
  }

  /**
   * In 32-bit code, where the segment may be null, read-only or short: raises what an access at the offset in a field
   * raises. `access`: bytes, and perhaps `checksWrite`.
   */
  checkSegment(segment: number, offset: number, access: number): void {
    if ((this.mode & Mode.code32) !== 0) this.ir.call(Helper.segment_access, segment, offset, access);
  }

  /** As `resolve`, with all segment checks for an access `delta` bytes into the operand. */
  #settle(delta = 0): void {
    if (this.i.segment === SS) this.ir.stackSegment();
    this.resolve();
    const needed = this.#writes ? checkedWrite : checkedRead;
    if (this.long || (delta === 0 && (this.#checked & needed) !== 0)) return;
    this.#checked |= needed;
    const { segment } = this.i;
    const access = (this.#writes ? checksWrite : 0) | (delta << deltaShift) | this.#bytes;
    if (this.#hasBase(segment)) this.checkSegment(segment, this.#offset, access);
    else if (segment === CS && this.#writes) this.checkSegment(segment, at.ZERO, access);
  }

  /** Settles base, index and displacement of the memory operand, segment base included. */
  resolve(): void {
    if (this.#resolved) return;
    this.#resolved = true;
    const i = this.i;
    const segmentBase = this.#hasBase(i.segment) ? at.SEG_BASE + 8 * i.segment : -1;
    if (i.addressSize === 2) {
      const t = this.temp();
      this.#sixteenBit(t);
      this.#place(t, segmentBase);
    } else if (i.addressSize === 4) {
      this.#components(this.long ? undefined : 0);
      const absolute = this.#index < 0 && this.#base === at.ZERO && this.#displacement >= 0;
      if (absolute && (segmentBase < 0 || this.long)) {
        if (segmentBase >= 0) this.#base = segmentBase;
        return;
      }
      const t = this.temp();
      this.#lea(Op.lea32, t);
      this.#place(t, segmentBase);
    } else {
      this.#components(undefined);
      if (segmentBase < 0) return;
      if (this.#base === at.ZERO) this.#base = segmentBase;
      else if (this.#index < 0) {
        this.#index = this.#base;
        this.#scale = 0;
        this.#base = segmentBase;
      } else {
        const t = this.temp();
        this.#lea(Op.lea64, t);
        this.#place(t, segmentBase);
      }
    }
  }

  // Ends of blocks. Offsets count from the block's start.

  jump(target: number): void {
    this.ended = true;
    this.ir.jump(Op.jmp, target);
  }
  /** Jumps to `target` where condition cc holds, else goes on. */
  branch(cc: number, target: number): void {
    this.ended = true;
    this.ir.branch(jumpIf[this.ir.knownFlags * 16 + cc], target, this.next);
  }
  /** Jumps to `target` where the i8 `field` is not zero. */
  branchIfNonzero(field: number, target: number): void {
    this.ended = true;
    this.ir.branch(Op.jnz, target, this.next, field);
  }
  /** `returns`: this is the end of a call. */
  jumpTo(field: number, returns = false): void {
    this.ended = true;
    this.ir.indirect(Op.jmpi, field, returns);
  }
  /** Goes on after this instruction, which may have let an interrupt in. */
  poll(): void {
    this.ended = true;
    this.ir.jump(Op.poll, this.next);
  }
  /** Goes on after this instruction, by a full look-up: for what changes mode, mappings or events. */
  sync(target = this.next): void {
    this.ended = true;
    this.ir.jump(Op.sync, target);
  }
  /** A helper has written RIP. */
  dispatch(): void {
    this.ended = true;
    this.ir.rrr(Op.dispatch, 0, 0);
  }

  /** d = condition cc, 0 or 1. */
  condition(cc: number, d: number): void {
    this.ir.rrr(conditionOf[this.ir.knownFlags * 16 + cc], d, 0);
  }
  /** Field with the address of the next instruction. */
  nextRip(): number {
    return this.ripAt(this.next);
  }
  /** Field with the address of this instruction. */
  thisRip(): number {
    return this.ripAt(this.position);
  }
  ripAt(offset: number): number {
    const t = this.temp();
    this.ir.mem(this.long ? Op.lea64 : Op.lea32, t, at.RIP, offset);
    return t;
  }

  #hasBase(segment: number): boolean {
    return segment >= 4 || (this.mode & Mode.segmented) !== 0;
  }
  #place(offset: number, segmentBase: number): void {
    this.#base = offset;
    this.#index = -1;
    this.#displacement = 0;
    if (segmentBase < 0) return;
    if (!this.long) {
      this.checkSegment(this.i.segment, offset, (this.#writes ? checksWrite : 0) | this.#bytes);
      this.#checked |= this.#writes ? checkedRead | checkedWrite : checkedRead;
      this.#offset = offset;
      this.#base = this.temp();
      this.ir.rrr(Op.add32, this.#base, offset, segmentBase);
      return;
    }
    this.#base = segmentBase;
    this.#index = offset;
    this.#scale = 0;
  }
  /** Base, index and displacement as encoded; `high` is unused where the displacement is 32 bits. */
  #components(high: number | undefined): void {
    const i = this.i;
    this.#index = i.index < 0 ? -1 : gpr(i.index);
    this.#scale = i.scale;
    this.#displacement = i.displacement;
    this.#base = i.base < 0 ? at.ZERO : gpr(i.base);
    if (this.displacement.op !== 0) {
      const loaded = this.#loadNumber(this.displacement);
      this.#displacement = i.base === ripBase ? this.next : 0;
      if (i.base === ripBase) this.#base = at.RIP;
      else if (this.#index >= 0) {
        const t = this.temp();
        this.ir.memx(Op.lea64, t, this.#base, this.#index, this.#scale, 0);
        this.#base = t;
      }
      this.#index = loaded;
      this.#scale = 0;
    } else if (i.base === ripBase) {
      this.#base = at.RIP;
      this.#displacement += this.next;
      if (!isInt32(this.#displacement)) {
        this.#base = this.ripAt(this.next);
        this.#displacement = i.displacement;
      }
    } else if (
      high === undefined &&
      i.base < 0 &&
      i.index < 0 &&
      i.displacementHigh !== i.displacement >> 31 &&
      this.shapeIsMoffs()
    ) {
      this.#base = this.constant(i.displacement, i.displacementHigh);
      this.#displacement = 0;
    }
  }
  shapeIsMoffs(): boolean {
    return this.i.addressSize === 8 && hasMoffs[this.i.id] !== 0;
  }
  #sixteenBit(d: number): void {
    const i = this.i;
    const t = this.temp();
    this.ir.rri(Op.const64, t, 0, i.displacement & 0xffff, 0);
    if (i.base >= 0) this.ir.rrr(Op.add16, t, t, gpr(i.base));
    if (i.index >= 0) this.ir.rrr(Op.add16, t, t, gpr(i.index));
    this.ir.rrr(Op.mov64, d, t);
  }
  #lea(op: number, d: number): void {
    if (this.#index < 0) this.ir.mem(op, d, this.#base, this.#displacement);
    else this.ir.memx(op, d, this.#base, this.#index, this.#scale, this.#displacement);
  }
  #access(op: number, v: number, offset = 0): void {
    this.#writes = writesMemory[op] !== 0;
    this.#bytes = accessBytes[op];
    this.#settle(offset);
    if (!this.long && offset !== 0) {
      // What lies past the end of 32-bit addresses is at their beginning.
      const t = this.temp();
      this.ir.mem(Op.lea32, t, this.#base, this.#displacement + offset);
      this.ir.mem(op, v, t, 0);
      return;
    }
    let displacement = this.#displacement + offset;
    if (!isInt32(displacement)) {
      this.address(this.#writes);
      displacement = offset;
    }
    if (this.#index < 0) this.ir.mem(op, v, this.#base, displacement);
    else this.ir.memx(op, v, this.#base, this.#index, this.#scale, displacement);
  }
}

/** log2 of an operand's bytes: from a family's 8-bit member to the one of that size. (A load or store is followed by its indexed form.) */
export const log2 = (size: number): number => (size >> 1) - (size >> 3);
