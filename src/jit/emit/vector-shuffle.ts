// biome-ignore-all format: tables of operations read better in rows
/**
 * Semantics of what only moves elements of vectors. Where the immediate is known while code is written, a shuffle by it
 * is one Wasm shuffle; else its indices are computed and swizzled by.
 */
import { type Code, V } from "#wasm";
import type { OpEmitter, Semantics } from "./op-emitter.ts";
import { pushBytes, pushZeros } from "./vector-integer.ts";

export const shuffleSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  shuffleSemantics.set(name, semantics);
};

/** Shuffles the two vectors on the stack. */
const shuffle = (c: Code, index: (n: number) => number): Code => c.vector(V.i8x16_shuffle, ...Array.from({ length: 16 }, (_, n) => index(n)));

for (const [suffix, bytes] of [["bw", 1], ["wd", 2], ["dq", 4], ["qdq", 8]] as const) {
  for (const half of ["l", "h"] as const) {
    means(`v_punpck${half}${suffix}`, (e) => e.write("v128", () => {
      e.pushA("v128");
      e.pushB("v128");
      shuffle(e.code, (n) => {
        const element = Math.floor(n / bytes);
        return (half === "h" ? 8 : 0) + (element >> 1) * bytes + (n % bytes) + (element & 1 ? 16 : 0);
      });
    }));
  }
}

means("v_palignr", (e) => e.write("v128", () => {
  const c = e.code;
  const k = e.imm;
  if (k === undefined) {
    // Indices outside of a vector give 0, so each half contributes its bytes alone.
    e.pushImm32();
    pushBytes(c.vector(V.i8x16_splat), (n) => n).vector(V.i8x16_add).set(e.u);
    e.pushB("v128");
    c.get(e.u).vector(V.i8x16_swizzle);
    e.pushA("v128");
    pushBytes(c.get(e.u), () => 16).vector(V.i8x16_sub).vector(V.i8x16_swizzle).vector(V.v128_or);
  } else if (k < 16) {
    e.pushB("v128");
    e.pushA("v128");
    shuffle(c, (n) => n + k);
  } else if (k < 32) {
    e.pushA("v128");
    pushZeros(c);
    shuffle(c, (n) => n + k - 16);
  } else pushZeros(c);
}));

/** Pushes, for each element, the two bits of the immediate that belong to it: those of elements 4-7 are those of 0-3. */
function pushFields(e: OpEmitter, words: boolean): void {
  // Multiplied by 64, 16, 4 and 1, an element's two bits stand at bit 6.
  const factor = (n: number) => (words ? ((n & 1) === 0 ? 64 >> (n & 6) : 0) : (n & 3) === 0 ? 64 >> (n >> 1) : 0);
  e.pushImm32();
  const c = e.code.vector(words ? V.i16x8_splat : V.i32x4_splat);
  pushBytes(c, factor).vector(words ? V.i16x8_mul : V.i32x4_mul).i32(6).vector(words ? V.i16x8_shr_u : V.i32x4_shr_u);
  pushBytes(c, (n) => (n % (words ? 2 : 4) === 0 ? 3 : 0)).vector(V.v128_and);
}
/** Pushes byte indices for elements of 4 bytes. */
function pushDoublewordIndices(e: OpEmitter): void {
  pushFields(e, false);
  pushBytes(e.code, () => 4).vector(V.i32x4_mul);
  pushBytes(e.code, (n) => n & 3).vector(V.v128_or);
}
/** Pushes byte indices for elements of 2 bytes, of which only those of one half are shuffled. */
function pushWordIndices(e: OpEmitter, high: boolean): void {
  const c = e.code;
  const within = (n: number) => n >= 8 === high;
  pushFields(e, true);
  pushBytes(c, () => 2).vector(V.i16x8_mul);
  pushBytes(c, (n) => (n & 1) + (high ? 8 : 0)).vector(V.i8x16_add);
  pushBytes(c, (n) => n);
  pushBytes(c, (n) => (within(n) ? 0xff : 0)).vector(V.v128_bitselect);
}

const field = (imm: number, n: number): number => (imm >> (2 * (n & 3))) & 3;

means("v_pshufd", (e) => e.write("v128", () => {
  e.pushA("v128");
  const k = e.imm;
  if (k === undefined) {
    pushDoublewordIndices(e);
    e.code.vector(V.i8x16_swizzle);
    return;
  }
  e.pushA("v128");
  shuffle(e.code, (n) => field(k, n >> 2) * 4 + (n & 3));
}));
for (const high of [false, true]) {
  means(high ? "v_pshufhw" : "v_pshuflw", (e) => e.write("v128", () => {
    e.pushA("v128");
    const k = e.imm;
    if (k === undefined) {
      pushWordIndices(e, high);
      e.code.vector(V.i8x16_swizzle);
      return;
    }
    e.pushA("v128");
    shuffle(e.code, (n) => (n >= 8 === high ? (high ? 8 : 0) + field(k, n >> 1) * 2 + (n & 1) : n));
  }));
}
means("v_shufps", (e) => e.write("v128", () => {
  const c = e.code;
  const k = e.imm;
  if (k !== undefined) {
    e.pushA("v128");
    e.pushB("v128");
    shuffle(c, (n) => (n >> 3) * 16 + field(k, n >> 2) * 4 + (n & 3));
    return;
  }
  pushDoublewordIndices(e);
  c.set(e.u);
  e.pushA("v128");
  c.get(e.u).vector(V.i8x16_swizzle);
  e.pushB("v128");
  c.get(e.u).vector(V.i8x16_swizzle);
  shuffle(c, (n) => (n < 8 ? n : n + 16));
}));

means("v_swizzle", (e) => e.write("v128", () => {
  e.pushA("v128");
  e.pushB("v128");
  e.code.vector(V.i8x16_swizzle);
}));
// Bits 4-6 of an index do not count, bit 7 makes a zero.
means("v_pshufb", (e) => e.write("v128", () => {
  e.pushA("v128");
  e.pushB("v128");
  pushBytes(e.code, () => 0x8f).vector(V.v128_and).vector(V.i8x16_swizzle);
}));
means("v_splatq", (e) => e.write("v128", () => {
  e.pushA("i64");
  e.code.vector(V.i64x2_splat);
}));

means("v_pblendw", (e) => e.write("v128", () => {
  const c = e.code;
  const k = e.imm;
  if (k !== undefined) {
    e.pushA("v128");
    e.pushB("v128");
    shuffle(c, (n) => ((k >> (n >> 1)) & 1 ? n + 16 : n));
    return;
  }
  const bit = (n: number) => ((n & 1) === 0 ? 1 << (n >> 1) : 0);
  e.pushB("v128");
  e.pushA("v128");
  e.pushImm32();
  pushBytes(c.vector(V.i16x8_splat), bit).vector(V.v128_and);
  pushBytes(c, bit).vector(V.i16x8_eq).vector(V.v128_bitselect);
}));
for (const [name, shift, bits] of [["v_blendb", V.i8x16_shr_s, 7], ["v_blendd", V.i32x4_shr_s, 31], ["v_blendq", V.i64x2_shr_s, 63]] as const) {
  means(name, (e) => e.write("v128", () => {
    e.pushB("v128");
    e.pushA("v128");
    e.pushD("v128");
    e.code.i32(bits).vector(shift).vector(V.v128_bitselect);
  }));
}

const extensions: Record<string, readonly number[]> = {
  sxbw: [V.i16x8_extend_low_i8x16_s], sxbd: [V.i16x8_extend_low_i8x16_s, V.i32x4_extend_low_i16x8_s],
  sxbq: [V.i16x8_extend_low_i8x16_s, V.i32x4_extend_low_i16x8_s, V.i64x2_extend_low_i32x4_s],
  sxwd: [V.i32x4_extend_low_i16x8_s], sxwq: [V.i32x4_extend_low_i16x8_s, V.i64x2_extend_low_i32x4_s], sxdq: [V.i64x2_extend_low_i32x4_s],
  zxbw: [V.i16x8_extend_low_i8x16_u], zxbd: [V.i16x8_extend_low_i8x16_u, V.i32x4_extend_low_i16x8_u],
  zxbq: [V.i16x8_extend_low_i8x16_u, V.i32x4_extend_low_i16x8_u, V.i64x2_extend_low_i32x4_u],
  zxwd: [V.i32x4_extend_low_i16x8_u], zxwq: [V.i32x4_extend_low_i16x8_u, V.i64x2_extend_low_i32x4_u], zxdq: [V.i64x2_extend_low_i32x4_u],
};
for (const [name, steps] of Object.entries(extensions)) {
  means(`v_pmov${name}`, (e) => e.write("v128", () => {
    e.pushA("v128");
    for (const step of steps) e.code.vector(step);
  }));
}
