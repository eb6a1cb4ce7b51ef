/** Functions of the runtime that generated code calls directly, with their types. Names are the runtime's exports. */
import type { FunctionType, ModuleBuilder, WasmType } from "#wasm";

const signature = (parameters: string, results: string): FunctionType => ({
  parameters: parameters ? (parameters.split(" ") as WasmType[]) : [],
  results: results ? (results.split(" ") as WasmType[]) : [],
});

export const runtimeCalls: Record<string, FunctionType> = {
  lookup: signature("i32", "i32"),
  verify_region: signature("i32 i32 i64", "i32"),
  region_refused: signature("i32 i32", ""),
  note_target: signature("i32 i64", ""),
  interpreter_access: signature("i32 i64 i32 i32", "i32"),
  access_exclusive: signature("i32 i64 i32", "i32"),
  commit: signature("i32 i64 i32", "i32"),
  page_miss: signature("i32 i64 i32 i32 i32", "i32"),
  learn_pointer: signature("i32 i32 i32 i32 i32 i32", "i32"),
  regain_trust: signature("i32 i32 i32", ""),
  seek: signature("i32 i64 i32 i32", "i32"),
  resolve: signature("i32 i64 i32 i32", "i32"),
  deliver_fault: signature("i32", "i32"),
  flags: signature("i32", "i32"),
  carry: signature("i32", "i32"),
  condition: signature("i32 i32", "i32"),
  raise_alignment: signature("i32", "i32"),
  raise_target: signature("i32 i32", "i32"),
  need_step: signature("i32", "i32"),
  stack_fault: signature("i32", ""),
  stop: signature("i32", ""),
  raise_divide: signature("i32", "i32"),
  quotient: signature("i64 i64 i64", "i64"),
  signed_quotient: signature("i32 i64 i64 i64", "i64"),
  mulhu64: signature("i64 i64", "i64"),
  mulhs64: signature("i64 i64", "i64"),
  // Vectors and floating point: runtime/fp/.
  phminposuw: signature("v128", "v128"),
  mpsadbw: signature("v128 v128 i32", "v128"),
  raise_simd: signature("i32", "i32"),
  sse_settle_f32x4: signature("i32 v128 v128 v128", "i32"),
  sse_settle_f64x2: signature("i32 v128 v128 v128", "i32"),
  sse_is_sum_f32x4: signature("v128 v128 v128", "i32"),
  sse_is_sum_f64x2: signature("v128 v128 v128", "i32"),
  sse_is_product_f32x4: signature("v128 v128 v128", "i32"),
  sse_is_product_f64x2: signature("v128 v128 v128", "i32"),
  sse_f32x4: signature("i32 i32 v128 v128", "v128"),
  sse_f64x2: signature("i32 i32 v128 v128", "v128"),
  sse_f32x4_dot: signature("i32 i32 v128 v128", "v128"),
  sse_f64x2_dot: signature("i32 i32 v128 v128", "v128"),
  sse_fp_convert: signature("i32 i32 v128", "v128"),
  sse_rcp_f32: signature("i32", "i32"),
  sse_rsqrt_f32: signature("i32", "i32"),
  sse_f32_to_f64: signature("i32 i32", "i64"),
  sse_f64_to_f32: signature("i32 i64", "i32"),
  sse_i32_to_f32: signature("i32 i32", "i32"),
  sse_i64_to_f32: signature("i32 i64", "i32"),
  sse_i64_to_f64: signature("i32 i64", "i64"),
  x87_raise: signature("i32", "i32"),
  x87_ld_f32: signature("i32 i32", ""),
  x87_ld_f64: signature("i32 i64", ""),
  x87_ld_f80: signature("i32 i64 i32", ""),
  x87_ld_int: signature("i32 i64", ""),
  x87_ld_st: signature("i32 i32", ""),
  x87_st_f32: signature("i32 i32 i32", "i32"),
  x87_st_f64: signature("i32 i64 i32", "i64"),
  x87_st_f80: signature("i32 i64 i32 i32", "i64"),
  x87_st_high: signature("i32", "i32"),
  x87_st_i16: signature("i32 i32 i32", "i32"),
  x87_st_i32: signature("i32 i32 i32", "i32"),
  x87_st_i64: signature("i32 i64 i32", "i64"),
  x87_st_st: signature("i32 i32", ""),
  x87_exchange: signature("i32 i32", ""),
  x87_sign: signature("i32 i32", ""),
  x87_sqrt: signature("i32", ""),
  x87_add_st: signature("i32 i32", ""),
  x87_sub_st: signature("i32 i32", ""),
  x87_mul_st: signature("i32 i32", ""),
  x87_div_st: signature("i32 i32", ""),
  x87_op_f32: signature("i32 i32 i32", ""),
  x87_op_f64: signature("i32 i64 i32", ""),
  x87_op_int: signature("i32 i32 i32", ""),
  x87_compare_f32: signature("i32 i32 i32", ""),
  x87_compare_f64: signature("i32 i64 i32", ""),
  x87_compare_int: signature("i32 i32 i32", ""),
  x87_compare_st: signature("i32 i32", ""),
  x87_comi_st: signature("i32 i32", "i32"),
  ...scalarCalls("f32", "i32"),
  ...scalarCalls("f64", "i64"),
};

/** The functions that exist for both formats, whose raw bits are an i32 or an i64. */
function scalarCalls(format: "f32" | "f64", bits: "i32" | "i64"): Record<string, FunctionType> {
  const calls: Record<string, FunctionType> = {};
  for (const name of ["add", "sub", "mul", "div", "min", "max"])
    calls[`sse_${name}_${format}`] = signature(`i32 ${bits} ${bits}`, bits);
  calls[`sse_settle_${format}`] = signature(`i32 ${bits} ${bits} ${bits}`, "i32");
  for (const name of ["sum", "product"])
    calls[`sse_is_${name}_${format}`] = signature(`${bits} ${bits} ${bits}`, "i32");
  calls[`sse_sqrt_${format}`] = signature(`i32 ${bits}`, bits);
  calls[`sse_cmp_${format}`] = signature(`i32 ${bits} ${bits} i32`, bits);
  calls[`sse_comi_${format}`] = signature(`i32 ${bits} ${bits} i32`, "i32");
  calls[`sse_round_${format}`] = signature(`i32 ${bits} i32`, bits);
  calls[`sse_${format}_to_i32`] = signature(`i32 ${bits} i32`, "i32");
  calls[`sse_${format}_to_i64`] = signature(`i32 ${bits} i32`, "i64");
  return calls;
}

/** All of them in their order: a call's number says where in it the function stands, in this build. */
export const runtimeCallNames = Object.keys(runtimeCalls);
const numbers = new Map(runtimeCallNames.map((name, number) => [name, number]));

export function runtimeCallNumber(name: string): number {
  const number = numbers.get(name);
  if (number === undefined) throw new Error(`the runtime's ${name} is not declared`);
  return number;
}

/** Those that a module calls: each import costs whoever makes the module run. */
export class RuntimeImports {
  readonly #module: ModuleBuilder;
  readonly #indexes = new Map<number, number>();

  constructor(module: ModuleBuilder) {
    this.#module = module;
  }

  /** The index of a function by its number, which is imported at its first call. Requires: the module has none of its own yet. */
  indexOf(number: number): number {
    const known = this.#indexes.get(number);
    if (known !== undefined) return known;
    const name = runtimeCallNames[number];
    const index = this.#module.importFunction("runtime", name, runtimeCalls[name]);
    this.#indexes.set(number, index);
    return index;
  }
}
