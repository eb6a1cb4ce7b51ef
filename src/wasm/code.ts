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
/** The longest LEB128 of 32 bits. */
const longBytes = 5;

/** Whether the branch that begins at `offset`, counted from the function's locals, is likely to be taken. */
export interface BranchHint {
  readonly offset: number;
  readonly likely: boolean;
}

/** A function as a module has it. */
export interface FunctionBody {
  /** Its entry of the code section: size, locals, body, end. */
  finish(): Uint8Array;
  /** In order. */
  hints(): readonly BranchHint[];
}

/** Where in a function a number stands that only `link` knows, and what the number is of: what that means is its writer's affair. */
export interface Hole {
  readonly at: number;
  readonly symbol: number;
}

/** A function but for the indexes of functions that it calls and constants of its surroundings, which `link` puts in. */
export interface CodeObject {
  /** Locals, body, end. */
  readonly bytes: Uint8Array;
  readonly hints: readonly BranchHint[];
  readonly calls: readonly Hole[];
  readonly constants: readonly Hole[];
}

/** The function with everything put in, by symbol. */
export function link(
  { bytes, hints, calls, constants }: CodeObject,
  callee: (symbol: number) => number,
  constant: (symbol: number) => number,
): FunctionBody {
  const entry = new Bytes(bytes.length + longBytes);
  entry.u32(bytes.length);
  const start = entry.length;
  entry.append(bytes);
  for (const { at, symbol } of calls) entry.putLong(start + at, callee(symbol));
  for (const { at, symbol } of constants) entry.putLong(start + at, constant(symbol));
  return { finish: () => entry.view(), hints: () => hints };
}

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

  /** Puts an i32, or an index below 2^31, into `longBytes` bytes at a place: LEB128 with as many bytes for small numbers as for large ones. */
  putLong(at: number, value: number): void {
    for (let n = 0; n < longBytes - 1; n++) this.#bytes[at + n] = ((value >>> (7 * n)) & 0x7f) | 0x80;
    this.#bytes[at + longBytes - 1] = (value >> 28) & 0x7f;
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

export class Code implements FunctionBody {
  readonly bytes = new Bytes(4096);
  readonly #parameters: number;
  readonly #locals: WasmType[] = [];
  readonly #hints: BranchHint[] = [];
  readonly #calls: Hole[] = [];
  readonly #constants: Hole[] = [];
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
  /** A call of a function that `link` knows by its symbol. */
  callLinked(symbol: number): this {
    return this.#linked(W.call, this.#calls, symbol);
  }
  /** A constant that `link` knows by its symbol. */
  i32Linked(symbol: number): this {
    return this.#linked(W.i32_const, this.#constants, symbol);
  }
  #linked(opcode: number, holes: Hole[], symbol: number): this {
    this.bytes.byte(opcode);
    holes.push({ at: this.bytes.length, symbol });
    for (let n = 0; n < longBytes; n++) this.bytes.byte(0);
    return this;
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
  hints(): readonly BranchHint[] {
    const head = this.#head().length;
    return this.#hints.map(({ offset, likely }) => ({ offset: head + offset, likely }));
  }

  finish(): Uint8Array<ArrayBuffer> {
    assert(this.#calls.length + this.#constants.length === 0, "what is linked is finished by its linker");
    const whole = this.#whole();
    const entry = new Bytes(whole.length + longBytes);
    entry.u32(whole.length);
    entry.append(whole.view());
    return entry.view();
  }

  object(): CodeObject {
    const head = this.#head().length;
    const inWhole = ({ at, symbol }: Hole): Hole => ({ at: head + at, symbol });
    return {
      bytes: this.#whole().view(),
      hints: this.hints(),
      calls: this.#calls.map(inWhole),
      constants: this.#constants.map(inWhole),
    };
  }

  /** Locals, body, end. */
  #whole(): Bytes {
    assert(this.#depth === 0, "every block of a function is closed");
    const head = this.#head();
    const whole = new Bytes(head.length + this.bytes.length + 1);
    whole.append(head.view());
    whole.append(this.bytes.view());
    whole.byte(W.end);
    return whole;
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
