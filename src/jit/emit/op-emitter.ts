/**
 * What the meaning of an IR operation is written against.
 *
 * Each operation's semantics exist once, as a function that writes WebAssembly through this interface; the interpreter
 * (operands looked up at run time) and the region compiler (operands known, state in locals) implement it.
 *
 * On the WebAssembly stack i8, i16, i32 and w32 are an i32 (zero-extended), i64 and v128 themselves.
 */
import type { FieldType, FlagsClass, SizeLog2 } from "#ir";
import type { Code, Local } from "#wasm";
import type { FloatState, FloatType } from "./float-state.ts";

/** How an operand is looked at: w32 and i64 fields also as what floating-point arithmetic takes. */
export type PushType = FieldType | FloatType;

/** What an access wants; as in runtime/memory.ts. */
export const Intent = { read: 0, write: 1, modify: 2 } as const;
export type Intent = (typeof Intent)[keyof typeof Intent];

/** Functions of the runtime that semantics call by name. All take and give values, so that no state needs to be written back, but for `vp` ones that touch MXCSR, FP_TRAP and the x87 state. */
export type RuntimeCall = string;

export interface OpEmitter {
  readonly code: Code;
  /** Parameter: the vCPU area. */
  readonly vp: Local;
  /** Scratch. `x` and `p` are also used by memory accesses; none survives the operation. */
  readonly x: Local;
  readonly y: Local;
  readonly z: Local;
  readonly p: Local;
  readonly q: Local;
  readonly r: Local;
  readonly u: Local;
  readonly v: Local;
  /** What is known of floating point here. */
  readonly float: FloatState;

  pushA(type: PushType): void;
  pushB(type: PushType): void;
  /** A lane of the vector registers, by its offset in the record. */
  pushLane(offset: number, type: FloatType): void;
  /** The destination's old value. */
  pushD(type: FieldType): void;
  /** The extra operand of mem2. */
  pushC(type: FieldType): void;
  /** The immediate's low 32 bits where they are known while code is written; undefined where they are looked up. */
  readonly imm?: number;
  /** The immediate: low 32 bits as i32, or all 64 as i64. */
  pushImm32(): void;
  pushImm64(): void;
  /** Writes d with what `value` pushes. `bits`: how many low ones may be set, where that is known. */
  write(type: PushType, value: () => void, bits?: number): void;
  /** Stores the d of an operation (2: 32 bits, 3: 64) `from` bytes behind the arena address on the stack, if it is a lane of a vector in a local. */
  storeLane?(log: SizeLog2, from: number): boolean;
  /** Writes the operand `a` (a stack pointer). */
  writeA(type: FieldType, value: () => void): void;

  /** Records the flags lazily; each closure pushes an i64 whose low bits count (see ir/flags.ts). */
  setFlags(cls: FlagsClass, size: SizeLog2, a: () => void, b?: () => void, c?: () => void): void;
  /** Pushes condition cc as an i32, 0 or 1. */
  pushCondition(cc: number, known: "" | "sub" | "logic"): void;
  /** Pushes CF as an i32. */
  pushCarry(): void;
  /** Pushes the arithmetic flags at their places in EFLAGS, an i32. */
  pushFlags(): void;

  /** Leaves the effective address, base + (index << scale) + displacement, in local x. */
  address(): void;
  /** The address is known to be a multiple of 16. */
  readonly isAligned?: boolean;
  /** At that address: pushes the value. `load` turns an arena address on the stack into what lies `from` bytes behind it. */
  load(bytes: number, intent: Intent, load: (from: number) => void): void;
  /** At that address: stores. `store` finds an arena address on the stack, pushes the value and stores it `from` bytes behind. */
  store(bytes: number, store: (from: number) => void): void;
  /** At that address: `update` finds an arena address on the stack, has natural alignment `from` bytes behind it, and leaves nothing. */
  exclusive(bytes: number, update: (from: number) => void): void;
  /** Leaves at the instruction's start when the i32 on the stack is not zero; LEAVE says why. */
  leaveIf(): void;

  /** Calls a function of the runtime; its arguments are on the stack. */
  callRuntime(name: RuntimeCall): void;
}

/** What an operation means. */
export type Semantics = (e: OpEmitter) => void;
