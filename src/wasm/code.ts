/**
 * The body of one WebAssembly function, written front to back.
 *
 * Labels name open blocks by identity, so that a branch says where it goes and the relative depth is computed here.
 * Law: every `block`, `loop` and `if` is closed by `end` before `finish()`.
 */
import { assert } from "#base";
import { typeByte, W, type WasmType } from "./opcodes.ts";

export type Label = number & { readonly label: unique symbol };
export type Local = number;

const noResult = 0x40;

/** A growing byte buffer with WebAssembly's integer encodings. */
export class Bytes {
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.length++] = value;
  }

  append(source: Uint8Array): void {
    if (this.length + source.length > this.#bytes.length) this.#grow(source.length);
    this.#bytes.set(source, this.length);
    this.length += source.length;
  }

  /** Unsigned LEB128 of a 32-bit value. */
  u32(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** Signed LEB128 of a 32-bit value. */
  s32(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  /** Signed LEB128 of a 64-bit value in two 32-bit halves. */
  s64(low: number, high: number): void {
    if (high === low >> 31) return this.s32(low);
    let lo = low | 0;
    let hi = high | 0;
    for (;;) {
      const bits = lo & 0x7f;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
      if ((hi === 0 && lo === 0 && (bits & 0x40) === 0) || (hi === -1 && lo === -1 && (bits & 0x40) !== 0)) {
        return this.byte(bits);
      }
      this.byte(bits | 0x80);
    }
  }

  name(text: string): void {
    const bytes = [...text].map((c) => c.charCodeAt(0));
    this.u32(bytes.length);
    for (const b of bytes) this.byte(b);
  }

  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  #grow(extra: number): void {
    const bigger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + extra));
    bigger.set(this.view());
    this.#bytes = bigger;
  }
}

export class Code {
  readonly bytes = new Bytes(4096);
  readonly #parameters: number;
  readonly #locals: WasmType[] = [];
  readonly #hints: { offset: number; likely: boolean }[] = [];
  #depth = 0;

  constructor(parameterCount: number) {
    this.#parameters = parameterCount;
  }

  local(type: WasmType): Local {
    this.#locals.push(type);
    return this.#parameters + this.#locals.length - 1;
  }

  /** One plain instruction without immediates. */
  op(...opcodes: number[]): this {
    for (const opcode of opcodes) this.bytes.byte(opcode);
    return this;
  }
  get(local: Local): this {
    return this.#indexed(W.local_get, local);
  }
  set(local: Local): this {
    return this.#indexed(W.local_set, local);
  }
  tee(local: Local): this {
    return this.#indexed(W.local_tee, local);
  }
  i32(value: number): this {
    this.bytes.byte(W.i32_const);
    this.bytes.s32(value);
    return this;
  }
  /** `high` defaults to the sign of `low`. */
  i64(low: number, high = low >> 31): this {
    this.bytes.byte(W.i64_const);
    this.bytes.s64(low, high);
    return this;
  }
  /** A load or store; the address is on the stack, `offset` is added without wrapping. */
  memory(opcode: number, offset: number): this {
    this.bytes.byte(opcode);
    this.bytes.byte(0);
    this.bytes.u32(offset);
    return this;
  }
  /** An atomic access; `alignLog2` must be its natural alignment. */
  atomic(opcode: number, alignLog2: number, offset: number): this {
    this.bytes.byte(0xfe);
    this.bytes.u32(opcode);
    this.bytes.byte(alignLog2);
    this.bytes.u32(offset);
    return this;
  }
  vector(opcode: number, ...immediates: number[]): this {
    this.bytes.byte(0xfd);
    this.bytes.u32(opcode);
    for (const byte of immediates) this.bytes.byte(byte);
    return this;
  }
  vectorMemory(opcode: number, offset: number): this {
    this.bytes.byte(0xfd);
    this.bytes.u32(opcode);
    this.bytes.byte(0);
    this.bytes.u32(offset);
    return this;
  }
  /** A store of one lane. */
  vectorLane(opcode: number, offset: number, lane: number): this {
    this.vectorMemory(opcode, offset).bytes.byte(lane);
    return this;
  }
  call(functionIndex: number): this {
    return this.#indexed(W.call, functionIndex);
  }
  callIndirect(typeIndex: number, table = 0): this {
    return this.#indirect(W.call_indirect, typeIndex, table);
  }
  /** Ends the function with a call of another one with the same results, whose frame takes its place. */
  returnCallIndirect(typeIndex: number, table = 0): this {
    return this.#indirect(W.return_call_indirect, typeIndex, table);
  }
  #indirect(op: number, typeIndex: number, table: number): this {
    this.bytes.byte(op);
    this.bytes.u32(typeIndex);
    this.bytes.u32(table);
    return this;
  }
  block(result?: WasmType): Label {
    return this.#open(W.block, result);
  }
  loop(result?: WasmType): Label {
    return this.#open(W.loop, result);
  }
  if(result?: WasmType): Label {
    return this.#open(W.if, result);
  }
  else(): this {
    return this.op(W.else);
  }
  end(): this {
    this.#depth--;
    return this.op(W.end);
  }
  br(label: Label): this {
    return this.#indexed(W.br, this.#distance(label));
  }
  brIf(label: Label): this {
    return this.#indexed(W.br_if, this.#distance(label));
  }
  brTable(labels: readonly Label[], otherwise: Label): this {
    this.bytes.byte(W.br_table);
    this.bytes.u32(labels.length);
    for (const label of labels) this.bytes.u32(this.#distance(label));
    this.bytes.u32(this.#distance(otherwise));
    return this;
  }

  /** The `if` or `br_if` written next is hardly ever taken (branch hinting proposal). */
  unlikely(): this {
    this.#hints.push({ offset: this.bytes.length, likely: false });
    return this;
  }
  /** Branch hints in order; offsets count from the function's locals. */
  hints(): { offset: number; likely: boolean }[] {
    const head = this.#head().length;
    return this.#hints.map(({ offset, likely }) => ({ offset: head + offset, likely }));
  }

  /** The function's entry of the code section: locals, body, end. */
  finish(): Uint8Array<ArrayBuffer> {
    assert(this.#depth === 0, "every block of a function is closed");
    const head = this.#head();
    this.op(W.end);
    const whole = new Bytes(head.length + this.bytes.length + 8);
    whole.u32(head.length + this.bytes.length);
    whole.append(head.view());
    whole.append(this.bytes.view());
    return whole.view();
  }

  /** Declarations of the locals. */
  #head(): Bytes {
    const head = new Bytes(64);
    const runs: { type: WasmType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    head.u32(runs.length);
    for (const run of runs) {
      head.u32(run.count);
      head.byte(typeByte[run.type]);
    }
    return head;
  }

  #indexed(opcode: number, index: number): this {
    this.bytes.byte(opcode);
    this.bytes.u32(index);
    return this;
  }
  #open(opcode: number, result: WasmType | undefined): Label {
    this.bytes.byte(opcode);
    this.bytes.byte(result ? typeByte[result] : noResult);
    return ++this.#depth as Label;
  }
  #distance(label: Label): number {
    assert(label <= this.#depth, "a branch goes to an open block");
    return this.#depth - label;
  }
}
