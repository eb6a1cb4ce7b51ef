/**
 * The guest's floating point: x87, MMX's hold on the x87 registers, and SSE arithmetic with exact MXCSR semantics.
 *
 * `vp` is the byte address of the vCPU record. Values travel as raw bits: f32 as i32, f64 as i64, an 80-bit value as
 * (mantissa i64, sign and exponent i32). "i" is ST(i). "pop" is 0 or 1.
 *
 * How an x87 instruction is lifted:
 *   1. CR0.EM/TS → #NM, then for every waiting instruction (all but FNINIT FNCLEX FNSTCW FNSTSW FNSTENV FNSAVE FXSAVE
 *      FXRSTOR and the XSAVE family; EMMS and MMX wait too): `x87_check_pending(vp)` ≠ 0 → #MF.
 *   2. The lifter itself writes FOP, FIP and FDP (not for control instructions).
 *   3. A load reads guest memory first, then calls. A store calls its `x87_fst_…`/`x87_fist_…` function for the bits, then
 *      writes guest memory unless `x87_store_blocked(vp)`, then calls `x87_pop(vp)` if the form pops. A page fault in
 *      between is harmless: repeating the instruction sets the same flags.
 *
 * How an SSE instruction is lifted: call the function for each lane, collect the lanes, and if the record's FP_TRAP is
 * nonzero afterwards call `sse_trap(vp, before)`, with MXCSR as it was before the instruction, and raise #XM (or #UD when
 * CR4.OSXMMEXCPT is 0) without writing the destination.
 *
 * Stack and loads
 *   x87_check_pending(vp): i32                      1 when an unmasked exception waits (ES)
 *   x87_fld_sti(vp, i)   x87_fld_f32(vp, bits: i32)   x87_fld_f64(vp, bits: i64)   x87_fld_f80(vp, mantissa: i64, se: i32)
 *   x87_fild(vp, value: i64)                        the 16-, 32- or 64-bit integer, sign-extended
 *   x87_fbld(vp, low: i64, high: i32)               packed BCD: bytes 0-7, bytes 8-9
 * Stores
 *   x87_fst_f32(vp): i32   x87_fst_f64(vp): i64
 *   x87_fst_f80(vp): i64                            mantissa; then x87_high(vp): i32 is sign and exponent (FSTP m80)
 *   x87_fist_i16(vp, truncate): i32   x87_fist_i32(vp, truncate): i32   x87_fist_i64(vp, truncate): i64   (truncate 1: FISTTP)
 *   x87_fbstp(vp): i64                              bytes 0-7; then x87_high(vp): i32 is bytes 8-9
 *   x87_store_blocked(vp): i32                      1: an unmasked exception keeps memory unwritten (and x87_pop does nothing)
 *   x87_pop(vp)
 *   x87_fst_sti(vp, i, pop)
 * Arithmetic; op is the opcode's /r field as it stands: 0 ADD, 1 MUL, 4 SUB, 5 SUBR, 6 DIV, 7 DIVR. Every form computes
 * ST(0) op source, R forms source op ST(0); that is also how DC and DE encode theirs (DC E0+i: ST(i) = ST(0) - ST(i))
 *   x87_arith_sti(vp, op, i)                        ST(0) = ST(0) op ST(i)                 D8 C0+
 *   x87_arith_to_sti(vp, op, i, pop)                ST(i) = ST(0) op ST(i)                 DC C0+, DE C0+
 *   x87_arith_f32(vp, op, bits: i32)   x87_arith_f64(vp, op, bits: i64)   x87_arith_int(vp, op, value: i32)
 * Comparison; pops is 0, 1 or 2
 *   x87_com_sti(vp, i, quiet, pops)                 FCOM(P)(P) quiet 0, FUCOM(P)(P) quiet 1
 *   x87_com_f32(vp, bits: i32, pops)   x87_com_f64(vp, bits: i64, pops)   x87_com_int(vp, value: i32, pops)
 *   x87_comi(vp, i, quiet, pop): i32                EFLAGS bits: ZF 0x40, PF 0x04, CF 0x01 (clear OF SF AF)
 * Register forms
 *   x87_d9_group(vp, modrm)                         D9 E0..FF: FCHS FABS FTST FXAM, constants, F2XM1 … FCOS, also FNOP (D0)
 *   x87_fxch(vp, i)   x87_fcmov(vp, i, condition)   x87_ffree(vp, i, pop)
 * Control
 *   x87_fninit(vp)   x87_fnclex(vp)   x87_fldcw(vp, cw)   x87_fnstcw(vp): i32   x87_fnstsw(vp): i32
 *   x87_fnstenv(vp, at, small)   x87_fldenv(vp, at, small)     28 bytes at linear address `at`; small 1: 14 bytes (16-bit)
 *   x87_fnsave(vp, at, small)    x87_frstor(vp, at, small)     108 or 94 bytes
 *   x87_fxsave(vp, at, rexW, xmmCount)                         512 bytes; only the defined fields are written; xmmCount 8 or 16
 *   x87_fxrstor(vp, at, rexW, xmmCount): i32                   1: reserved MXCSR bits are set, nothing loaded → #GP
 *   x87_save_legacy(vp, at, rexW)   x87_restore_legacy(vp, at, rexW)   the x87 part alone, for XSAVE component 0
 *   mmx_enter(vp)                                   before any MMX instruction's effect: TOP = 0, all tags valid
 *   mmx_write(vp, r, value: i64)                    an MMX register written: mantissa, and exponent 0xffff
 *   emms(vp)
 *
 * SSE; every function with `vp` ORs exceptions into MXCSR and obeys RC, DAZ, FTZ and the masks. F is f32 (i32) or f64 (i64)
 *   sse_add_F sse_sub_F sse_mul_F sse_div_F sse_min_F sse_max_F (vp, a, b): bits      a is the destination operand
 *   sse_sqrt_F(vp, a): bits
 *   sse_cmp_F(vp, a, b, predicate): bits            all ones or 0; predicate 0-7 (EQ LT LE UNORD NEQ NLT NLE ORD)
 *   sse_comi_F(vp, a, b, quiet): i32                EFLAGS bits ZF PF CF; COMIS quiet 0, UCOMIS quiet 1
 *   sse_round_F(vp, a, imm): bits                   ROUNDSS/SD/PS/PD
 *   sse_rcp_f32(a: i32): i32   sse_rsqrt_f32(a: i32): i32
 *   sse_f32_to_f64(vp, a): i64   sse_f64_to_f32(vp, a): i32
 *   sse_i32_to_f32(vp, a: i32): i32   sse_i64_to_f32(vp, a: i64): i32   sse_i64_to_f64(vp, a: i64): i64   (i32 → f64 is exact: inline)
 *   sse_trap(vp, before: i32)                       clears FP_TRAP and takes back flags that the trap forbids
 *   sse_F_to_i32(vp, a, truncate): i32   sse_F_to_i64(vp, a, truncate): i64
 */
export { emms, mmx_enter, mmx_write } from "./x87-state";
export {
  x87_check_pending, x87_fldcw, x87_fldenv, x87_fnclex, x87_fninit, x87_fnsave, x87_fnstcw, x87_fnstenv, x87_fnstsw, x87_frstor,
  x87_fxrstor, x87_fxsave, x87_restore_legacy, x87_save_legacy,
} from "./x87-state";
export {
  x87_fbld, x87_fbstp, x87_fild, x87_fist_i16, x87_fist_i32, x87_fist_i64, x87_fld_f32, x87_fld_f64, x87_fld_f80, x87_fld_sti,
  x87_fst_f32, x87_fst_f64, x87_fst_f80, x87_fst_sti, x87_high, x87_pop, x87_store_blocked,
} from "./x87-memory";
export {
  x87_arith_f32, x87_arith_f64, x87_arith_int, x87_arith_sti, x87_arith_to_sti, x87_com_f32, x87_com_f64, x87_com_int,
  x87_com_sti, x87_comi, x87_fcmov, x87_ffree, x87_fxch,
} from "./x87-arithmetic";
export { x87_d9_group } from "./x87-d9";
export {
  sse_add_f32, sse_add_f64, sse_div_f32, sse_div_f64, sse_mul_f32, sse_mul_f64, sse_sqrt_f32, sse_sqrt_f64, sse_sub_f32,
  sse_sub_f64, sse_trap,
} from "./sse";
export {
  sse_cmp_f32, sse_cmp_f64, sse_comi_f32, sse_comi_f64, sse_max_f32, sse_max_f64, sse_min_f32, sse_min_f64,
} from "./sse-compare";
export {
  sse_f32_to_f64, sse_f32_to_i32, sse_f32_to_i64, sse_f64_to_f32, sse_f64_to_i32, sse_f64_to_i64, sse_i32_to_f32,
  sse_i64_to_f32, sse_i64_to_f64, sse_rcp_f32, sse_round_f32, sse_round_f64, sse_rsqrt_f32,
} from "./sse-convert";
