// biome-ignore-all format: a table reads better in rows
/**
 * Signatures of the vector and floating-point operations of the IR. Their meaning is in jit/emit/vector-*.ts, under the same name.
 *
 * operands: types of d, a, b ("" = unused). merges: d is read as well. readOnly: d is an operand, not written.
 * imm: a 32-bit immediate. traps: may leave at the instruction's start with an unmasked exception raised, and then d is not written.
 *
 * Integer operations on vectors are named as x86 names them: `v_paddb` is PADDB on 128 bits.
 */
import type { OperandType } from "./ops.ts";

export interface VectorSignature {
  readonly operands: readonly [d: OperandType, a: OperandType, b: OperandType];
  readonly imm?: true;
  readonly merges?: true;
  readonly readOnly?: true;
  readonly writesFlags?: true;
  readonly traps?: true;
}

const v3 = { operands: ["v128", "v128", "v128"] } as const satisfies VectorSignature;
const v3imm = { operands: ["v128", "v128", "v128"], imm: true } as const satisfies VectorSignature;
const v2 = { operands: ["v128", "v128", ""] } as const satisfies VectorSignature;
const v2imm = { operands: ["v128", "v128", ""], imm: true } as const satisfies VectorSignature;
const mask = { operands: ["i32", "v128", ""] } as const satisfies VectorSignature;
/** d = a shifted by the 64-bit count in b's low half. */
const shift = v3;

const v3traps = { operands: ["v128", "v128", "v128"], imm: true, traps: true } as const satisfies VectorSignature;
const double2 = { operands: ["i64", "i64", "i64"], traps: true } as const satisfies VectorSignature;
const double1 = { operands: ["i64", "i64", ""], traps: true } as const satisfies VectorSignature;
const double2imm = { operands: ["i64", "i64", "i64"], imm: true, traps: true } as const satisfies VectorSignature;
const double1imm = { operands: ["i64", "i64", ""], imm: true, traps: true } as const satisfies VectorSignature;
const single2 = { operands: ["w32", "w32", "w32"], traps: true } as const satisfies VectorSignature;
const single1 = { operands: ["w32", "w32", ""], traps: true } as const satisfies VectorSignature;
const single2imm = { operands: ["w32", "w32", "w32"], imm: true, traps: true } as const satisfies VectorSignature;
const single1imm = { operands: ["w32", "w32", ""], imm: true, traps: true } as const satisfies VectorSignature;

const x87imm = { operands: ["", "", ""], imm: true } as const satisfies VectorSignature;

export const vectorOps = {
  v_and: v3, v_or: v3, v_xor: v3, v_andnot: v3,

  v_paddb: v3, v_paddw: v3, v_paddd: v3, v_paddq: v3, v_psubb: v3, v_psubw: v3, v_psubd: v3, v_psubq: v3,
  v_paddsb: v3, v_paddsw: v3, v_paddusb: v3, v_paddusw: v3, v_psubsb: v3, v_psubsw: v3, v_psubusb: v3, v_psubusw: v3,
  v_pminub: v3, v_pminsb: v3, v_pminuw: v3, v_pminsw: v3, v_pminud: v3, v_pminsd: v3,
  v_pmaxub: v3, v_pmaxsb: v3, v_pmaxuw: v3, v_pmaxsw: v3, v_pmaxud: v3, v_pmaxsd: v3,
  v_pavgb: v3, v_pavgw: v3,
  v_pcmpeqb: v3, v_pcmpeqw: v3, v_pcmpeqd: v3, v_pcmpeqq: v3, v_pcmpgtb: v3, v_pcmpgtw: v3, v_pcmpgtd: v3, v_pcmpgtq: v3,
  v_pmullw: v3, v_pmulld: v3, v_pmulhw: v3, v_pmulhuw: v3, v_pmulhrsw: v3, v_pmuludq: v3, v_pmuldq: v3, v_pmaddwd: v3, v_pmaddubsw: v3,
  v_psadbw: v3, v_psignb: v3, v_psignw: v3, v_psignd: v3, v_pabsb: v2, v_pabsw: v2, v_pabsd: v2,
  v_phaddw: v3, v_phaddd: v3, v_phaddsw: v3, v_phsubw: v3, v_phsubd: v3, v_phsubsw: v3,
  v_packsswb: v3, v_packuswb: v3, v_packssdw: v3, v_packusdw: v3,
  v_punpcklbw: v3, v_punpcklwd: v3, v_punpckldq: v3, v_punpcklqdq: v3, v_punpckhbw: v3, v_punpckhwd: v3, v_punpckhdq: v3, v_punpckhqdq: v3,
  v_psllw: shift, v_pslld: shift, v_psllq: shift, v_psrlw: shift, v_psrld: shift, v_psrlq: shift, v_psraw: shift, v_psrad: shift,
  /** By the immediate, which is less than the elements' width. */
  v_psllwi: v2imm, v_pslldi: v2imm, v_psllqi: v2imm, v_psrlwi: v2imm, v_psrldi: v2imm, v_psrlqi: v2imm, v_psrawi: v2imm, v_psradi: v2imm,
  /** Bytes imm to imm + 15 of the 32 bytes a:b, a above. imm is at most 32. */
  v_palignr: v3imm,
  v_pshufd: v2imm, v_pshuflw: v2imm, v_pshufhw: v2imm, v_shufps: v3imm,
  /** Byte n = byte b[n] of a; 0 where b[n] is above 15. */
  v_swizzle: v3,
  v_pshufb: v3,
  v_pblendw: v3imm,
  /** d = the elements of b where the element's top bit is set in d, else of a. */
  v_blendb: { ...v3, merges: true }, v_blendd: { ...v3, merges: true }, v_blendq: { ...v3, merges: true },
  /** Both 64-bit halves = the i64 a. */
  v_splatq: { operands: ["v128", "i64", ""] },
  v_pmovmskb: mask, v_movmskps: mask, v_movmskpd: mask,
  v_pmovsxbw: v2, v_pmovsxbd: v2, v_pmovsxbq: v2, v_pmovsxwd: v2, v_pmovsxwq: v2, v_pmovsxdq: v2,
  v_pmovzxbw: v2, v_pmovzxbd: v2, v_pmovzxbq: v2, v_pmovzxwd: v2, v_pmovzxwq: v2, v_pmovzxdq: v2,
  v_phminposuw: v2, v_mpsadbw: v3imm,
  v_ptest: { operands: ["", "v128", "v128"], writesFlags: true },
  /** PCMPISTRI of bytes, "equal each": d = the index; imm as the instruction has it. */
  v_same_string: { operands: ["i64", "v128", "v128"], imm: true, writesFlags: true },

  f64_add: double2, f64_sub: double2, f64_mul: double2, f64_div: double2, f64_sqrt: double1, f64_min: double2, f64_max: double2,
  f32_add: single2, f32_sub: single2, f32_mul: single2, f32_div: single2, f32_sqrt: single1, f32_min: single2, f32_max: single2,
  /** imm: the predicate; the rounding of ROUNDSD; for comparisons into flags 1 = quiet. */
  f64_cmp: double2imm, f32_cmp: single2imm, f64_round: double1imm, f32_round: single1imm,
  f64_comi: { operands: ["", "i64", "i64"], imm: true, traps: true, writesFlags: true },
  f32_comi: { operands: ["", "w32", "w32"], imm: true, traps: true, writesFlags: true },
  f32_rcp: { operands: ["w32", "w32", ""] }, f32_rsqrt: { operands: ["w32", "w32", ""] },
  f64_to_f32: { operands: ["w32", "i64", ""], traps: true }, f32_to_f64: { operands: ["i64", "w32", ""], traps: true },
  f64_from_i32: { operands: ["i64", "i32", ""] }, f64_from_i64: double1,
  f32_from_i32: { operands: ["w32", "i32", ""], traps: true }, f32_from_i64: { operands: ["w32", "i64", ""], traps: true },
  /** As MXCSR rounds, and towards zero. */
  f64_to_i32: { operands: ["i32", "i64", ""], traps: true }, f64_to_i64: double1,
  f64_trunc_i32: { operands: ["i32", "i64", ""], traps: true }, f64_trunc_i64: double1,
  f32_to_i32: { operands: ["i32", "w32", ""], traps: true }, f32_to_i64: { operands: ["i64", "w32", ""], traps: true },
  f32_trunc_i32: { operands: ["i32", "w32", ""], traps: true }, f32_trunc_i64: { operands: ["i64", "w32", ""], traps: true },
  /** Packed; imm: which operation, as runtime/fp/sse-packed.ts numbers them. */
  f32x4: v3traps, f64x2: v3traps,
  fp_convert: { operands: ["v128", "v128", ""], imm: true, traps: true },
  /** Exact: the two low i32 as doubles. */
  f64x2_from_i32: v2,
  /** imm: as DPPS and DPPD have it. */
  f32x4_dot: v3traps, f64x2_dot: v3traps,

  /*
   * x87 (jit/emit/x87.ts): what is not here goes through helpers. Leaves with #MF where an exception waits.
   */
  x87_wait: { operands: ["", "", ""], traps: true },
  /** Pushes a; of ten bytes b is the upper part. ld_st: ST(imm). */
  x87_ld_f32: { operands: ["", "w32", ""] }, x87_ld_f64: { operands: ["", "i64", ""] }, x87_ld_f80: { operands: ["", "i64", "i16"] },
  x87_ld_int: { operands: ["", "i64", ""] }, x87_ld_st: x87imm,
  /** d = what a store writes to memory; a (and b), which it has, where an unmasked exception forbids the store. st_high: the upper part of ten bytes. */
  x87_st_f32: { operands: ["i32", "w32", ""], imm: true }, x87_st_f64: { operands: ["i64", "i64", ""], imm: true },
  x87_st_f80: { operands: ["i64", "i64", "i16"], imm: true }, x87_st_high: { operands: ["i32", "", ""] },
  x87_st_i16: { operands: ["i32", "i16", ""], imm: true }, x87_st_i32: { operands: ["i32", "i32", ""], imm: true },
  x87_st_i64: { operands: ["i64", "i64", ""], imm: true },
  /** On registers. */
  x87_st_st: x87imm, x87_exchange: x87imm, x87_sign: x87imm, x87_sqrt: { operands: ["", "", ""] },
  x87_add_st: x87imm, x87_sub_st: x87imm, x87_mul_st: x87imm, x87_div_st: x87imm,
  /** With a, from memory; imm: the opcode's /r field, or how many registers to pop. */
  x87_op_f32: { operands: ["", "w32", ""], imm: true }, x87_op_f64: { operands: ["", "i64", ""], imm: true }, x87_op_int: { operands: ["", "i32", ""], imm: true },
  x87_compare_f32: { operands: ["", "w32", ""], imm: true }, x87_compare_f64: { operands: ["", "i64", ""], imm: true }, x87_compare_int: { operands: ["", "i32", ""], imm: true },
  x87_compare_st: x87imm,
  /** d = EFLAGS. */
  x87_comi_st: { operands: ["i64", "", ""], imm: true },
} as const satisfies Record<string, VectorSignature>;

export type VectorOp = keyof typeof vectorOps;
