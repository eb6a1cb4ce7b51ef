// biome-ignore-all format: tables of operations read better in rows
/** Semantics of integer arithmetic on vectors, lane by lane. Operations are named as x86 names them. */
import { FlagsClass } from "#ir";
import { type Code, V, W } from "#wasm";
import type { OpEmitter, Semantics } from "./op-emitter.ts";

export const packedSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  packedSemantics.set(name, semantics);
};

/** Pushes a constant of sixteen bytes. */
export const pushBytes = (c: Code, byte: (n: number) => number): Code => c.vector(V.v128_const, ...Array.from({ length: 16 }, (_, n) => byte(n) & 0xff));
/** Pushes sixteen zeros. */
export const pushZeros = (c: Code): Code => pushBytes(c, () => 0);

/** d = op(a, b) */
const direct = {
  v_and: V.v128_and, v_or: V.v128_or, v_xor: V.v128_xor,
  v_paddb: V.i8x16_add, v_paddw: V.i16x8_add, v_paddd: V.i32x4_add, v_paddq: V.i64x2_add,
  v_psubb: V.i8x16_sub, v_psubw: V.i16x8_sub, v_psubd: V.i32x4_sub, v_psubq: V.i64x2_sub,
  v_paddsb: V.i8x16_add_sat_s, v_paddsw: V.i16x8_add_sat_s, v_paddusb: V.i8x16_add_sat_u, v_paddusw: V.i16x8_add_sat_u,
  v_psubsb: V.i8x16_sub_sat_s, v_psubsw: V.i16x8_sub_sat_s, v_psubusb: V.i8x16_sub_sat_u, v_psubusw: V.i16x8_sub_sat_u,
  v_pminub: V.i8x16_min_u, v_pminsb: V.i8x16_min_s, v_pminuw: V.i16x8_min_u, v_pminsw: V.i16x8_min_s, v_pminud: V.i32x4_min_u, v_pminsd: V.i32x4_min_s,
  v_pmaxub: V.i8x16_max_u, v_pmaxsb: V.i8x16_max_s, v_pmaxuw: V.i16x8_max_u, v_pmaxsw: V.i16x8_max_s, v_pmaxud: V.i32x4_max_u, v_pmaxsd: V.i32x4_max_s,
  v_pavgb: V.i8x16_avgr_u, v_pavgw: V.i16x8_avgr_u,
  v_pcmpeqb: V.i8x16_eq, v_pcmpeqw: V.i16x8_eq, v_pcmpeqd: V.i32x4_eq, v_pcmpeqq: V.i64x2_eq,
  v_pcmpgtb: V.i8x16_gt_s, v_pcmpgtw: V.i16x8_gt_s, v_pcmpgtd: V.i32x4_gt_s, v_pcmpgtq: V.i64x2_gt_s,
  v_pmullw: V.i16x8_mul, v_pmulld: V.i32x4_mul, v_pmaddwd: V.i32x4_dot_i16x8_s,
  v_packsswb: V.i8x16_narrow_i16x8_s, v_packuswb: V.i8x16_narrow_i16x8_u, v_packssdw: V.i16x8_narrow_i32x4_s, v_packusdw: V.i16x8_narrow_i32x4_u,
} as const;
for (const [name, op] of Object.entries(direct)) {
  means(name, (e) => e.write("v128", () => {
    e.pushA("v128");
    e.pushB("v128");
    e.code.vector(op);
  }));
}
means("v_andnot", (e) => e.write("v128", () => {
  // ~a & b, as PANDN; Wasm's andnot negates its second operand.
  e.pushB("v128");
  e.pushA("v128");
  e.code.vector(V.v128_andnot);
}));
for (const [name, op] of [["v_pabsb", V.i8x16_abs], ["v_pabsw", V.i16x8_abs], ["v_pabsd", V.i32x4_abs]] as const) {
  means(name, (e) => e.write("v128", () => {
    e.pushA("v128");
    e.code.vector(op);
  }));
}

/** u = a, v = b. */
function operands(e: OpEmitter): Code {
  e.pushA("v128");
  e.code.set(e.u);
  e.pushB("v128");
  return e.code.set(e.v);
}

// The high halves of products: of the two products, low lanes and high lanes, every second word.
for (const [name, low, high] of [
  ["v_pmulhw", V.i32x4_extmul_low_i16x8_s, V.i32x4_extmul_high_i16x8_s],
  ["v_pmulhuw", V.i32x4_extmul_low_i16x8_u, V.i32x4_extmul_high_i16x8_u],
] as const) {
  means(name, (e) => e.write("v128", () => {
    const c = operands(e);
    c.get(e.u).get(e.v).vector(low).get(e.u).get(e.v).vector(high);
    c.vector(V.i8x16_shuffle, ...Array.from({ length: 16 }, (_, n) => (n >> 1) * 4 + 2 + (n & 1)));
  }));
}
// (a * b + 0x4000) >> 15; only -1 * -1 does not fit, which Wasm saturates and x86 wraps.
means("v_pmulhrsw", (e) => e.write("v128", () => {
  const c = operands(e);
  const most = (n: number) => (n & 1 ? 0x80 : 0);
  c.get(e.u).get(e.v).vector(V.i16x8_q15mulr_sat_s);
  pushBytes(c.get(e.u), most).vector(V.i16x8_eq);
  pushBytes(c.get(e.v), most).vector(V.i16x8_eq).vector(V.v128_and).vector(V.v128_xor);
}));
for (const [name, op] of [["v_pmuludq", V.i64x2_extmul_low_i32x4_u], ["v_pmuldq", V.i64x2_extmul_low_i32x4_s]] as const) {
  const even = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
  means(name, (e) => e.write("v128", () => {
    const c = operands(e);
    c.get(e.u).get(e.u).vector(V.i8x16_shuffle, ...even).get(e.v).get(e.v).vector(V.i8x16_shuffle, ...even).vector(op);
  }));
}
// Unsigned bytes of a times signed bytes of b, neighbours added with saturation.
means("v_pmaddubsw", (e) => e.write("v128", () => {
  const c = operands(e);
  pushBytes(c.get(e.u), (n) => (n & 1 ? 0 : 0xff)).vector(V.v128_and);
  c.get(e.v).i32(8).vector(V.i16x8_shl).i32(8).vector(V.i16x8_shr_s).vector(V.i16x8_mul);
  c.get(e.u).i32(8).vector(V.i16x8_shr_u).get(e.v).i32(8).vector(V.i16x8_shr_s).vector(V.i16x8_mul);
  c.vector(V.i16x8_add_sat_s);
}));
means("v_psadbw", (e) => e.write("v128", () => {
  const c = operands(e);
  c.get(e.u).get(e.v).vector(V.i8x16_sub_sat_u).get(e.v).get(e.u).vector(V.i8x16_sub_sat_u).vector(V.v128_or);
  c.vector(V.i16x8_extadd_pairwise_i8x16_u).vector(V.i32x4_extadd_pairwise_i16x8_u).set(e.u);
  c.get(e.u).i32(32).vector(V.i64x2_shr_u);
  pushBytes(c.get(e.u), (n) => (n & 4 ? 0 : 0xff)).vector(V.v128_and).vector(V.i64x2_add);
}));
// (a ^ m) - m negates where m is -1; then zeros where b is.
for (const [name, bits, shift, sub, eq] of [
  ["v_psignb", 8, V.i8x16_shr_s, V.i8x16_sub, V.i8x16_eq],
  ["v_psignw", 16, V.i16x8_shr_s, V.i16x8_sub, V.i16x8_eq],
  ["v_psignd", 32, V.i32x4_shr_s, V.i32x4_sub, V.i32x4_eq],
] as const) {
  means(name, (e) => e.write("v128", () => {
    const c = operands(e);
    c.get(e.u).get(e.v).i32(bits - 1).vector(shift).vector(V.v128_xor).get(e.v).i32(bits - 1).vector(shift).vector(sub);
    pushZeros(c.get(e.v)).vector(eq).vector(V.v128_andnot);
  }));
}
// Even elements of a and b with the odd ones.
for (const [name, bytes, op] of [
  ["v_phaddw", 2, V.i16x8_add], ["v_phaddd", 4, V.i32x4_add], ["v_phaddsw", 2, V.i16x8_add_sat_s],
  ["v_phsubw", 2, V.i16x8_sub], ["v_phsubd", 4, V.i32x4_sub], ["v_phsubsw", 2, V.i16x8_sub_sat_s],
] as const) {
  const pick = (odd: number) => Array.from({ length: 16 }, (_, n) => Math.floor(n / bytes) * 2 * bytes + odd * bytes + (n % bytes));
  means(name, (e) => e.write("v128", () => {
    const c = operands(e);
    c.get(e.u).get(e.v).vector(V.i8x16_shuffle, ...pick(0)).get(e.u).get(e.v).vector(V.i8x16_shuffle, ...pick(1)).vector(op);
  }));
}

// Shifts.
for (const [name, bits, op, signed] of [
  ["v_psllw", 16, V.i16x8_shl, false], ["v_pslld", 32, V.i32x4_shl, false], ["v_psllq", 64, V.i64x2_shl, false],
  ["v_psrlw", 16, V.i16x8_shr_u, false], ["v_psrld", 32, V.i32x4_shr_u, false], ["v_psrlq", 64, V.i64x2_shr_u, false],
  ["v_psraw", 16, V.i16x8_shr_s, true], ["v_psrad", 32, V.i32x4_shr_s, true],
] as const) {
  means(name, (e) => {
    const c = e.code;
    e.pushB("v128");
    c.vector(V.i64x2_extract_lane, 0).set(e.x);
    if (signed) {
      c.get(e.x).i64(bits - 1).get(e.x).i64(bits).op(W.i64_lt_u, W.select).set(e.x);
    }
    e.write("v128", () => {
      // The count came out of the operation: signed ones were cut above.
      if (!signed) c.get(e.x).i64(bits).op(W.i64_lt_u).if("v128");
      e.pushA("v128");
      c.get(e.x).op(W.i32_wrap_i64).vector(op);
      if (!signed) {
        c.else();
        pushZeros(c).end();
      }
    });
  });
  means(`${name}i`, (e) => e.write("v128", () => {
    e.pushA("v128");
    e.pushImm32();
    e.code.vector(op);
  }));
}

for (const [name, op] of [["v_pmovmskb", V.i8x16_bitmask], ["v_movmskps", V.i32x4_bitmask], ["v_movmskpd", V.i64x2_bitmask]] as const) {
  means(name, (e) => e.write("i32", () => {
    e.pushA("v128");
    e.code.vector(op);
  }));
}

/** ZF: a & b is zero. CF: ~a & b is zero. */
means("v_ptest", (e) => {
  const c = operands(e);
  c.get(e.u).get(e.v).vector(V.v128_and).vector(V.v128_any_true).op(W.i32_eqz).i32(6).op(W.i32_shl);
  c.get(e.v).get(e.u).vector(V.v128_andnot).vector(V.v128_any_true).op(W.i32_eqz, W.i32_or).set(e.p);
  e.setFlags(FlagsClass.EXPLICIT, 0, () => c.get(e.p).op(W.i64_extend_i32_u));
});

/**
 * SDM 2B, "Imm8 Control Byte Operation for PCMPESTRI …", for bytes of which each is compared with its like. Strings end before
 * their first zero; past both ends is equal, past one is not.
 */
means("v_same_string", (e) => {
  const c = operands(e);
  if (e.imm === undefined) return compareStrings(e);
  // Mostly all bytes are the same and no string ends: what comes of that is known.
  const done = c.block();
  c.get(e.u).get(e.v).vector(V.i8x16_eq).get(e.u);
  pushZeros(c).vector(V.i8x16_eq).vector(V.v128_andnot).vector(V.i8x16_all_true).if();
  const negated = (e.imm & 16) !== 0;
  e.setFlags(FlagsClass.EXPLICIT, 0, () => c.i64(negated ? 0 : 0x801));
  e.write("i64", () => c.i64(negated ? 16 : ((e.imm as number) & 64) !== 0 ? 15 : 0));
  c.br(done).end();
  compareStrings(e);
  c.end();
});
/** With the strings in u and v. */
function compareStrings(e: OpEmitter): void {
  const c = e.code;
  /** Leaves a bit for each byte of a string that is not past its end. */
  const within = (string: number, to: number): void => {
    c.get(string);
    pushZeros(c).vector(V.i8x16_eq).vector(V.i8x16_bitmask).i32(0x10000).op(W.i32_or).tee(to);
    c.i32(1).op(W.i32_sub).get(to).i32(-1).op(W.i32_xor, W.i32_and).set(to);
  };
  within(e.u, e.p);
  within(e.v, e.q);
  c.get(e.u).get(e.v).vector(V.i8x16_eq).vector(V.i8x16_bitmask).get(e.p).get(e.q).op(W.i32_and, W.i32_and);
  c.get(e.p).get(e.q).op(W.i32_or).i32(0xffff).op(W.i32_xor, W.i32_or);
  // Negated: all of it, or where the second string is.
  c.get(e.q).i32(0xffff);
  pushBit(e, 5).op(W.select).i32(0);
  pushBit(e, 4).op(W.select, W.i32_xor).set(e.r);
  e.setFlags(FlagsClass.EXPLICIT, 0, () => {
    const flag = (place: number): Code => c.i32(place).op(W.i32_shl, W.i32_or);
    c.get(e.r).i32(0).op(W.i32_ne);
    c.get(e.q).i32(0xffff).op(W.i32_ne);
    flag(6).get(e.p).i32(0xffff).op(W.i32_ne);
    flag(7).get(e.r).i32(1).op(W.i32_and);
    flag(11).op(W.i64_extend_i32_u);
  });
  e.write("i64", () => {
    c.i32(31).get(e.r).op(W.i32_clz, W.i32_sub).i32(16).get(e.r).op(W.select);
    c.get(e.r).i32(0x10000).op(W.i32_or, W.i32_ctz);
    pushBit(e, 6).op(W.select, W.i64_extend_i32_u);
  });
}
/** Pushes a bit of the immediate; a constant where it is known. */
function pushBit(e: OpEmitter, bit: number): Code {
  if (e.imm !== undefined) return e.code.i32((e.imm >> bit) & 1);
  e.pushImm32();
  return e.code.i32(1 << bit).op(W.i32_and);
}

means("v_phminposuw", (e) => e.write("v128", () => {
  e.pushA("v128");
  e.callRuntime("phminposuw");
}));
means("v_mpsadbw", (e) => e.write("v128", () => {
  e.pushA("v128");
  e.pushB("v128");
  e.pushImm32();
  e.callRuntime("mpsadbw");
}));
