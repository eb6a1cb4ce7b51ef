/** The helpers that the IR's `call` reaches, one line for each file that has some; names and effects are in src/ir/helpers.ts. */
export { deliver_breakpoint, deliver_debug, deliver_fault, deliver_interrupt, deliver_nmi, sys_bound, sys_int, sys_int1, sys_into, sys_raise } from "./deliver";
export { cmpxchg16b, crc32, decimal, div, fence, idiv, locked_neg } from "./integer";
export {
  mmx_begin, mmx_emms, x87_control, x87_environment, x87_load_decimal, x87_register, x87_store_decimal, x87_top,
} from "./fp/helpers";
export { rep_cmps, rep_lods, rep_movs, rep_scas, rep_stos } from "./string";
export { sys_clts, sys_invlpg, sys_invpcid, sys_lmsw, sys_read_dr, sys_write_cr, sys_write_dr, sys_xgetbv, sys_xsetbv } from "./system/controls";
export { sys_fxrstor, sys_fxsave, sys_ldmxcsr, sys_xrstor, sys_xsave } from "./system/extended-state";
export { sys_access_check, sys_hlt, sys_interrupt_flag, sys_no_fpu, sys_popf } from "./system/flow";
export { sys_in, sys_out, sys_string_io } from "./system/io";
export { sys_cpuid, sys_hypercall, sys_random, sys_rdmsr, sys_rdtsc, sys_wrmsr } from "./system/registers";
export { segment_access } from "./segment-access";
export { popa } from "./stack";
export {
  sys_arpl, sys_fsgsbase, sys_lar_lsl, sys_lldt, sys_load_segment, sys_load_table, sys_ltr, sys_umip, sys_verify, sys_write_base,
} from "./system/segments";
export { compare_strings, store_masked } from "./vector-strings";
export { update_mode } from "./system/state";
export { sys_call_far, sys_iret, sys_jmp_far, sys_ret_far, sys_syscall, sys_sysret } from "./system/transfers";
