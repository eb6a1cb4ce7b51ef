/**
 * Runtime helpers that the IR's `call` reaches: functions of the Wasm runtime with the signature
 * `(vp: i32, a: i32, b: i32, imm: i32) → i32`, where nonzero leaves at the instruction's start (for the reason in LEAVE).
 *
 * `touches` declares what a helper reads or writes of the state that compiled code keeps in locals:
 * g general registers, t TEMP, f arithmetic flags, x XMM and VTEMP, i the count of retired instructions (time). Everything else lives in the record at all times.
 * Helpers that answer nonzero have changed nothing architectural, but for what `again` allows.
 */
export interface HelperRow {
  readonly name: string;
  readonly touches: string;
}

const table = {
  // Filled by the instruction families: name → touches.
  // Integer: runtime/integer.ts.
  div: "gt",
  idiv: "gt",
  crc32: "gt",
  decimal: "gt",
  locked_neg: "t",
  cmpxchg16b: "gt",
  fence: "",
  // System: runtime/deliver.ts and runtime/system/.
  sys_popf: "tf",
  sys_raise: "",
  segment_access: "t",
  popa: "gt",
  sys_int: "gtf",
  sys_int1: "gtf",
  sys_into: "gtf",
  sys_bound: "gt",
  sys_jmp_far: "gtf",
  sys_call_far: "gtf",
  sys_ret_far: "gtf",
  sys_iret: "gtf",
  sys_syscall: "gtf",
  sys_sysret: "gtf",
  sys_load_segment: "gt",
  sys_lldt: "gt",
  sys_ltr: "gt",
  sys_load_table: "gt",
  sys_umip: "",
  sys_lar_lsl: "gtf",
  sys_verify: "gtf",
  sys_arpl: "gtf",
  sys_fsgsbase: "",
  sys_write_base: "gt",
  sys_write_cr: "gti",
  sys_clts: "",
  sys_lmsw: "gt",
  sys_read_dr: "gt",
  sys_write_dr: "gt",
  sys_xgetbv: "g",
  sys_xsetbv: "g",
  sys_invlpg: "gt",
  sys_invpcid: "gt",
  sys_rdmsr: "gi",
  sys_wrmsr: "gi",
  sys_rdtsc: "gi",
  sys_cpuid: "g",
  sys_random: "gtf",
  sys_hypercall: "g",
  sys_in: "gti",
  sys_out: "gti",
  sys_string_io: "gi",
  sys_interrupt_flag: "",
  sys_access_check: "",
  sys_hlt: "i",
  sys_no_fpu: "",
  sys_fxsave: "gtx",
  sys_fxrstor: "gtx",
  sys_xsave: "gtx",
  sys_xrstor: "gtx",
  sys_ldmxcsr: "gt",
  // x87 and MMX: runtime/fp/helpers.ts.
  mmx_begin: "",
  mmx_emms: "",
  x87_load_decimal: "t",
  x87_store_decimal: "gt",
  x87_register: "t",
  x87_top: "",
  x87_control: "t",
  x87_environment: "gt",
  // Vectors: runtime/vector-strings.ts.
  compare_strings: "gfx",
  store_masked: "gtx",
  // Strings: runtime/string.ts.
  rep_movs: "g",
  rep_cmps: "gf",
  rep_stos: "g",
  rep_lods: "g",
  rep_scas: "gf",
} as const satisfies Record<string, string>;

export type HelperName = keyof typeof table;
export const helperRows: readonly HelperRow[] = Object.entries<string>(table).map(([name, touches]) => ({
  name,
  touches,
}));
export const Helper = Object.fromEntries(helperRows.map((row, n) => [row.name, n])) as Record<HelperName, number>;
