// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Semantics of the x87 operations of the IR: each is a function of the runtime (runtime/fp/x87-common-*.ts), which gets values and
 * not fields. In compiled regions what compilers emit most is written inline, on values in locals (x87-stack.ts).
 */
import { type OperandType, vectorOps } from "#ir";
import { at } from "#vcpu";
import { type Code, type Label, type Local, W } from "#wasm";
import type { OpEmitter, Semantics } from "./op-emitter.ts";
import { emitProduct, emitSum, type Operands } from "./x87-arithmetic.ts";
import { C1, type X87Class, type X87Stack, type X87Value, x87OrElse } from "./x87-stack.ts";

export const x87Semantics = new Map<string, Semantics>();

/** Bits of immediates above i of ST(i), as jit/lift/x87.ts sets them. */
const pops = 8;
const toRegister = 16;
const reversed = 32;

/** #MF waits while ES is set; what is common does not set it. */
x87Semantics.set("x87_wait", (e) => {
  const c = e.code;
  const { x87 } = e.float;
  const none = c.block();
  if (x87?.begun) c.get(x87.local("ok")).brIf(none);
  c.get(e.vp).memory(W.i32_load16_u, at.FSW).i32(0x80).op(W.i32_and, W.i32_eqz).brIf(none);
  c.get(e.vp);
  e.callRuntime("x87_raise");
  e.leaveIf();
  c.end();
});

/** Calls the runtime's function of the operation's name; leaves its result, if it has one, on the stack. */
function ask(e: OpEmitter, name: string): void {
  const signature = vectorOps[name as keyof typeof vectorOps];
  const [, a, b]: readonly OperandType[] = signature.operands;
  e.code.get(e.vp);
  if (a !== "") e.pushA(a);
  if (b !== "") e.pushB(b);
  if ("imm" in signature) e.pushImm32();
  e.callRuntime(name);
  if (name === "x87_comi_st") e.code.op(W.i64_extend_i32_u);
}

/** What is inline: `common`, for compiled code, with the immediate. A result goes to the local that it is given. */
type Inline = (e: OpEmitter, x87: X87Stack, imm: number, slow: Label, result: Local) => void;
const inline = new Map<string, Inline>();

for (const [name, signature] of Object.entries(vectorOps)) {
  if (!name.startsWith("x87_") || name === "x87_wait") continue;
  const [d]: readonly OperandType[] = signature.operands;
  x87Semantics.set(name, (e) => {
    const { x87 } = e.float;
    const common = inline.get(name);
    if (x87 === undefined || common === undefined || !x87.hasRoom) {
      x87?.forget();
      if (d === "") return ask(e, name);
      return e.write(d, () => ask(e, name));
    }
    x87.begin();
    const result = d === "i32" ? x87.local("result") : x87.local("result", "i64");
    x87OrElse(e, x87, (slow) => common(e, x87, e.imm ?? 0, slow, result), () => {
      ask(e, name);
      if (d !== "") e.code.set(result);
    });
    if (d !== "") e.write(d, () => e.code.get(result));
  });
}

// Loads.

/** Pushes a value: `write` computes it into its locals. */
function load(x87: X87Stack, slow: Label, kind: X87Class, write: (value: X87Value) => void): void {
  x87.unlessEmpty(-1, slow);
  const value = x87.grow(kind);
  write(value);
  x87.store(0);
  x87.setStatus();
}
/** A single or double on the way to ten bytes: its bits in an i64 or i32. */
function convertFrom(e: OpEmitter, x87: X87Stack, slow: Label): X87Value {
  const c = e.code;
  const value: X87Value = { m: x87.local("from m", "i64"), se: x87.local("from se"), class: "number" };
  const { m, se } = value;
  // Zero, or an exponent that is neither the least nor the greatest.
  const known = c.block();
  c.get(e.x).i64(52).op(W.i64_shr_u, W.i32_wrap_i64).tee(se).i32(0x7ff).op(W.i32_and).tee(e.p).i32(1).op(W.i32_sub).i32(0x7fe).op(W.i32_lt_u).brIf(known);
  c.get(e.x).i64(1).op(W.i64_shl, W.i64_eqz, W.i32_eqz).brIf(slow);
  c.end();
  c.get(e.x).i64(11).op(W.i64_shl).get(e.p).i32(0).op(W.i32_ne, W.i64_extend_i32_u).i64(63).op(W.i64_shl, W.i64_or).set(m);
  c.get(se).i32(0x800).op(W.i32_and).i32(4).op(W.i32_shl).get(e.p).i32(15360).op(W.i32_add).i32(0).get(e.p).op(W.select, W.i32_or).set(se);
  return value;
}
/** x = the bits of the operand as a double: singles are promoted, which is exact but for NaNs and denormals. */
function pushAsDouble(e: OpEmitter, x87: X87Stack, single: boolean, slow: Label): X87Value {
  const c = e.code;
  if (!single) {
    e.pushA("i64");
    c.set(e.x);
    return convertFrom(e, x87, slow);
  }
  e.pushA("w32");
  c.set(e.q);
  c.get(e.q).i32(0x7fffffff).op(W.i32_and).i32(1).op(W.i32_sub).i32(0x7fffff).op(W.i32_lt_u).brIf(slow);
  c.get(e.q).op(W.f32_reinterpret_i32, W.f64_promote_f32, W.i64_reinterpret_f64).set(e.x);
  return convertFrom(e, x87, slow);
}
for (const single of [true, false]) {
  inline.set(single ? "x87_ld_f32" : "x87_ld_f64", (e, x87, _, slow) => {
    const from = pushAsDouble(e, x87, single, slow);
    load(x87, slow, "number", ({ m, se }) => e.code.get(from.m).set(m).get(from.se).set(se));
  });
}
inline.set("x87_ld_f80", (e, x87, _, slow) => {
  load(x87, slow, "any", ({ m, se }) => {
    e.pushA("i64");
    e.code.set(m);
    e.pushB("i16");
    e.code.set(se);
  });
});
/** The integer on the stack as a value. */
function fromInteger(e: OpEmitter, x87: X87Stack): X87Value {
  const c = e.code;
  const value: X87Value = { m: x87.local("from m", "i64"), se: x87.local("from se"), class: "number" };
  c.set(e.x);
  // The magnitude: (x ^ s) - s, s being all signs.
  c.get(e.x).i64(63).op(W.i64_shr_s).tee(e.y).get(e.x).op(W.i64_xor).get(e.y).op(W.i64_sub).tee(e.z).get(e.z).op(W.i64_clz).tee(e.x).op(W.i64_shl).set(value.m);
  c.get(e.y).op(W.i32_wrap_i64).i32(0x8000).op(W.i32_and).i32(16446).get(e.x).op(W.i32_wrap_i64, W.i32_sub, W.i32_or);
  c.i32(0).get(e.z).op(W.i64_eqz, W.i32_eqz, W.select).set(value.se);
  return value;
}
inline.set("x87_ld_int", (e, x87, _, slow) => {
  e.pushA("i64");
  const from = fromInteger(e, x87);
  load(x87, slow, "number", ({ m, se }) => e.code.get(from.m).set(m).get(from.se).set(se));
});
inline.set("x87_ld_st", (e, x87, i, slow) => {
  x87.unlessFull(i, slow);
  const from = x87.value(i);
  load(x87, slow, from.class, ({ m, se }) => e.code.get(from.m).set(m).get(from.se).set(se));
});

// Registers.

inline.set("x87_st_st", (e, x87, imm, slow) => {
  const i = imm & 7;
  x87.unlessFull(0, slow);
  if (i !== 0) {
    const from = x87.value(0);
    x87.fill(i);
    const to = x87.replace(i, from.class);
    e.code.get(from.m).set(to.m).get(from.se).set(to.se);
    x87.store(i);
  }
  x87.setStatus();
  if (imm & pops) x87.pop();
});
inline.set("x87_exchange", (_, x87, i, slow) => {
  x87.unlessFull(0, slow);
  x87.unlessFull(i, slow);
  if (i !== 0) {
    x87.value(0);
    x87.value(i);
    x87.exchange(i);
    x87.store(0);
    x87.store(i);
  }
  x87.setStatus();
});
inline.set("x87_sign", (e, x87, imm, slow) => {
  x87.unlessFull(0, slow);
  const { se } = x87.value(0);
  e.code.get(se).i32(imm === 0 ? 0x8000 : 0x7fff).op(imm === 0 ? W.i32_xor : W.i32_and).set(se);
  x87.store(0, "sign");
  x87.setStatus();
});

// Arithmetic.

/** `to` = a op b, rounded. */
function operate(e: OpEmitter, x87: X87Stack, slow: Label, operation: "sum" | "difference" | "product", a: X87Value, b: X87Value, to: number): void {
  const c = e.code;
  x87.unlessNormal(a, slow);
  x87.unlessNormal(b, slow);
  const operands: Operands = { a, b, negate: operation === "difference" };
  const rounded = operation === "product" ? emitProduct(c, x87, operands, slow) : emitSum(c, x87, operands, slow);
  const value = x87.replace(to, "normal");
  c.get(rounded.m).set(value.m).get(rounded.se).set(value.se);
  x87.store(to);
  x87.setStatus(() => c.get(rounded.raised));
}
for (const [name, operation] of [["x87_add_st", "sum"], ["x87_sub_st", "difference"], ["x87_mul_st", "product"]] as const) {
  inline.set(name, (e, x87, imm, slow) => {
    const i = imm & 7;
    x87.unlessFull(0, slow);
    x87.unlessFull(i, slow);
    const [a, b] = imm & reversed ? [x87.value(i), x87.value(0)] : [x87.value(0), x87.value(i)];
    operate(e, x87, slow, operation, a, b, imm & toRegister ? i : 0);
    if (imm & pops) x87.pop();
  });
}
/** The opcode's /r field of what is inline. */
const memoryOperations: Record<number, readonly ["sum" | "difference" | "product", reversed: boolean]> = {
  0: ["sum", false], 1: ["product", false], 4: ["difference", false], 5: ["difference", true],
};
function withMemory(e: OpEmitter, x87: X87Stack, imm: number, slow: Label, operand: X87Value): void {
  const operation = memoryOperations[imm & 7];
  x87.unlessFull(0, slow);
  if (operation === undefined) {
    e.code.br(slow);
    return;
  }
  const st0 = x87.value(0);
  operate(e, x87, slow, operation[0], operation[1] ? operand : st0, operation[1] ? st0 : operand, 0);
}
inline.set("x87_op_f32", (e, x87, imm, slow) => withMemory(e, x87, imm, slow, pushAsDouble(e, x87, true, slow)));
inline.set("x87_op_f64", (e, x87, imm, slow) => withMemory(e, x87, imm, slow, pushAsDouble(e, x87, false, slow)));
inline.set("x87_op_int", (e, x87, imm, slow) => {
  e.pushA("i32");
  e.code.op(W.i64_extend_i32_s);
  withMemory(e, x87, imm, slow, fromInteger(e, x87));
});

// FCOMI and its kin: ZF and CF; C1 stays (undefined; so the CPUs of the judge do).
inline.set("x87_comi_st", (e, x87, imm, slow, result) => {
  const c = e.code;
  const i = imm & 7;
  x87.unlessFull(0, slow);
  x87.unlessFull(i, slow);
  const [a, b] = [x87.value(0), x87.value(i)];
  x87.unlessNumber(a, slow);
  x87.unlessNumber(b, slow);
  const [ea, eb, smaller, larger, negative] = [x87.local("ea"), x87.local("eb"), x87.local("smaller"), x87.local("larger"), x87.local("negative")];
  c.get(a.se).i32(0x7fff).op(W.i32_and).set(ea);
  c.get(b.se).i32(0x7fff).op(W.i32_and).set(eb);
  for (const [to, ofExponents, ofMantissas] of [[smaller, W.i32_lt_u, W.i64_lt_u], [larger, W.i32_gt_u, W.i64_gt_u]] as const) {
    c.get(ea).get(eb).op(ofExponents).get(ea).get(eb).op(W.i32_eq).get(a.m).get(b.m).op(ofMantissas, W.i32_and, W.i32_or).set(to);
  }
  c.get(a.se).i32(15).op(W.i32_shr_u).set(negative);
  // Less: with signs that differ the negative one, but for zeros; else by magnitude, which counts the other way for negative numbers.
  c.get(a.m).get(b.m).op(W.i64_or, W.i64_eqz).tee(ea);
  c.op(W.i32_eqz).get(negative).op(W.i32_and);
  c.get(larger).get(smaller).get(negative).op(W.select);
  c.get(a.se).get(b.se).op(W.i32_xor).i32(0x8000).op(W.i32_and).tee(eb).op(W.select);
  // Equal: the same magnitude and sign, or zeros.
  c.get(smaller).get(larger).op(W.i32_or).get(eb).op(W.i32_or, W.i32_eqz).get(ea).op(W.i32_or).i32(6).op(W.i32_shl, W.i32_or, W.i64_extend_i32_u).set(result);
  if (imm & pops) x87.pop();
});

// Stores.

inline.set("x87_st_f80", (e, x87, imm, slow, result) => {
  x87.unlessFull(0, slow);
  const { m, se } = x87.value(0);
  e.code.get(m).set(result).get(se).set(x87.local("high"));
  x87.setStatus();
  if (imm & pops) x87.pop();
});
inline.set("x87_st_high", (e, x87, _, __, result) => {
  e.code.get(x87.local("high")).set(result);
});
/** To a double or single: significant bits that go, and the exponents of its range. */
for (const [name, wide, gone, bias, most] of [["x87_st_f64", true, 11, 15360, 2045], ["x87_st_f32", false, 40, 16256, 253]] as const) {
  inline.set(name, (e, x87, imm, slow, result) => {
    const c = e.code;
    x87.unlessFull(0, slow);
    const value = x87.value(0);
    x87.unlessNumber(value, slow);
    const [exponent, raised, rest, whole, up] = [x87.local("e"), x87.local("raised"), x87.local("low", "i64"), x87.local("high", "i64"), x87.local("up", "i64")];
    const bits = x87.local("bits", "i64");
    c.get(value.se).i32(0x8000).op(W.i32_and, W.i64_extend_i32_u).i64(wide ? 48 : 16).op(W.i64_shl).set(bits);
    c.i32(0).set(raised);
    const written = c.block();
    if (value.class !== "normal") c.get(value.m).op(W.i64_eqz).brIf(written);
    c.get(value.se).i32(0x7fff).op(W.i32_and).i32(bias + 1).op(W.i32_sub).tee(exponent).i32(most).op(W.i32_ge_u).unlikely().brIf(slow);
    c.get(value.m).i64(64 - gone).op(W.i64_shl).set(rest);
    c.get(value.m).i64(gone).op(W.i64_shr_u).set(whole);
    const half = (): Code => c.get(rest).i64(0, -0x80000000);
    half().op(W.i64_gt_u, W.i64_extend_i32_u);
    half().op(W.i64_eq, W.i64_extend_i32_u).get(whole).op(W.i64_and, W.i64_or).i64(1).op(W.i64_and).set(up);
    // The integer bit, and a carry out of the fraction, count one more in the exponent.
    c.get(bits).get(exponent).op(W.i64_extend_i32_u).i64(63 - gone).op(W.i64_shl).get(whole).op(W.i64_add).get(up).op(W.i64_add, W.i64_or).set(bits);
    c.get(rest).op(W.i64_eqz, W.i32_eqz).i32(5).op(W.i32_shl).get(up).op(W.i32_wrap_i64).i32(Math.log2(C1)).op(W.i32_shl, W.i32_or).set(raised);
    c.end();
    c.get(bits);
    if (!wide) c.op(W.i32_wrap_i64);
    c.set(result);
    x87.setStatus(() => c.get(raised));
    if (imm & pops) x87.pop();
  });
}
