// biome-ignore-all format: tables of operations read better in rows
/** What integer operations of all four widths share: which Wasm arithmetic they compute in, scratch locals, operands. */
import type { FieldType, SizeLog2 } from "#ir";
import { W } from "#wasm";
import type { OpEmitter } from "./op-emitter.ts";

export const sizes = [8, 16, 32, 64] as const;
export const types = ["i8", "i16", "i32", "i64"] as const satisfies readonly FieldType[];
export const logs = [0, 1, 2, 3] as const satisfies readonly SizeLog2[];

/** Wasm arithmetic of the width an operation computes in: i32 up to 32 bits, i64 for 64. */
export const wide = (log: SizeLog2): boolean => log === 3;
export const alu = (log: SizeLog2, op32: number, op64: number): number => (wide(log) ? op64 : op32);

/** The scratch locals for two operands of an operation of this width. */
export const first = (e: OpEmitter, log: SizeLog2) => (wide(log) ? e.x : e.p);
export const second = (e: OpEmitter, log: SizeLog2) => (wide(log) ? e.y : e.q);
export const result = (e: OpEmitter, log: SizeLog2) => (wide(log) ? e.z : e.r);

/** Pushes a scratch local as i64. */
export function pushWide(e: OpEmitter, log: SizeLog2, local: number): void {
  e.code.get(local);
  if (!wide(log)) e.code.op(W.i64_extend_i32_u);
}
/** Pushes operand b, or the immediate, in the operation's width. */
export function pushSource(e: OpEmitter, log: SizeLog2, immediate: boolean): void {
  if (!immediate) e.pushB(types[log]);
  else if (wide(log)) e.pushImm64();
  else e.pushImm32();
}
/** Pushes field a zero- or sign-extended to i64. */
export function pushExtended(e: OpEmitter, log: SizeLog2, signed: boolean, push: (type: FieldType) => void): void {
  push(types[log]);
  if (wide(log)) return;
  e.code.op(signed ? W.i64_extend_i32_s : W.i64_extend_i32_u);
  if (signed && log < 2) e.code.op(log === 0 ? W.i64_extend8_s : W.i64_extend16_s);
}
/** Writes d from an i64 on the stack that `value` pushes. */
export function writeNarrow(e: OpEmitter, log: SizeLog2, value: () => void): void {
  e.write(types[log], () => {
    value();
    if (!wide(log)) e.code.op(W.i32_wrap_i64);
  });
}
