/** Functions of the runtime that generated code calls directly, with their types. Names are the runtime's exports. */
import type { FunctionType, WasmType } from "#wasm";

const signature = (parameters: string, results: string): FunctionType => ({
  parameters: parameters ? (parameters.split(" ") as WasmType[]) : [],
  results: results ? (results.split(" ") as WasmType[]) : [],
});

export const runtimeCalls: Record<string, FunctionType> = {
  lookup: signature("i32", "i32"),
  access: signature("i32 i64 i32 i32", "i32"),
  access_exclusive: signature("i32 i64 i32", "i32"),
  commit: signature("i32 i64 i32", "i32"),
  tlb_fill: signature("i32 i64 i32 i32", "i32"),
  deliver_fault: signature("i32", "i32"),
  flags: signature("i32", "i32"),
  carry: signature("i32", "i32"),
  condition: signature("i32 i32", "i32"),
  raise_alignment: signature("i32", "i32"),
  need_step: signature("i32", "i32"),
  stop: signature("i32", ""),
  mulhu64: signature("i64 i64", "i64"),
  mulhs64: signature("i64 i64", "i64"),
};
