// biome-ignore-all format: tables of operations read better in rows
/** Semantics of products and quotients. */
import { FlagsClass } from "#ir";
import { at } from "#vcpu";
import { type Code, type Local, W } from "#wasm";
import { alu, logs, pushExtended, sizes, types, writeNarrow } from "./integer-width.ts";
import type { OpEmitter, Semantics } from "./op-emitter.ts";

export const productSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  productSemantics.set(name, semantics);
};

// Products.
for (const log of logs) {
  means(`imul${sizes[log]}`, (e) =>
    e.write(types[log], () => {
      e.pushA(types[log]);
      e.pushB(types[log]);
      e.code.op(alu(log, W.i32_mul, W.i64_mul));
    }),
  );
  means(`imul${sizes[log]}f`, (e) => {
    const c = e.code;
    pushExtended(e, log, true, (t) => e.pushA(t));
    c.set(e.x);
    pushExtended(e, log, true, (t) => e.pushB(t));
    c.set(e.y);
    c.get(e.x).get(e.y).op(W.i64_mul).set(e.z);
    e.setFlags(FlagsClass.MUL, log, () => c.get(e.x), () => c.get(e.y));
    writeNarrow(e, log, () => c.get(e.z));
  });
}
// The upper half of a product, by the halves of its factors: WebAssembly has no wide product, and a call costs more than all of this.
for (const [name, signed] of [["mulhu64", false], ["mulhs64", true]] as const) {
  means(name, (e) => {
    const c = e.code;
    const low = (local: Local) => c.get(local).i64(-1, 0).op(W.i64_and);
    const high = (local: Local) => c.get(local).i64(32).op(W.i64_shr_u);
    e.pushA("i64");
    c.set(e.x);
    e.pushB("i64");
    c.set(e.y);
    low(e.x);
    low(e.y).op(W.i64_mul).i64(32).op(W.i64_shr_u);
    high(e.x);
    low(e.y).op(W.i64_mul, W.i64_add).set(e.z);
    e.write("i64", () => {
      high(e.x);
      high(e.y).op(W.i64_mul);
      high(e.z).op(W.i64_add);
      low(e.z);
      low(e.x);
      high(e.y).op(W.i64_mul, W.i64_add).i64(32).op(W.i64_shr_u, W.i64_add);
      if (!signed) return;
      // A negative factor counts 2^64 too much.
      c.get(e.x).i64(63).op(W.i64_shr_s).get(e.y).op(W.i64_and, W.i64_sub);
      c.get(e.y).i64(63).op(W.i64_shr_s).get(e.x).op(W.i64_and, W.i64_sub);
    });
  });
}

// Quotients. x = the low half of what is divided, or all of it; y = the high half, then the quotient; z = the divisor.
const raiseDivide = (e: OpEmitter): void => {
  e.code.unlikely().if();
  e.code.get(e.vp);
  e.callRuntime("raise_divide");
  e.leaveIf();
  e.code.end();
};
/** y = x / z, signed; with z = -1 without the trap that WebAssembly has for the least number. */
function signedQuotient(e: OpEmitter): void {
  const c = e.code;
  c.get(e.z).op(W.i64_eqz);
  raiseDivide(e);
  c.get(e.z).i64(-1).op(W.i64_eq).unlikely().if();
  c.i64(0).get(e.x).op(W.i64_sub).set(e.y).else();
  c.get(e.x).get(e.z).op(W.i64_div_s).set(e.y).end();
}
function pushDividend(e: OpEmitter): Code {
  e.pushA("i32");
  e.code.op(W.i64_extend_i32_u);
  e.pushD("i32");
  return e.code.op(W.i64_extend_i32_u).i64(32).op(W.i64_shl, W.i64_or);
}
means("udiv32", (e) => {
  const c = e.code;
  pushDividend(e).set(e.x);
  e.pushB("i32");
  c.op(W.i64_extend_i32_u).set(e.z);
  c.get(e.x).i64(32).op(W.i64_shr_u).get(e.z).op(W.i64_ge_u);
  raiseDivide(e);
  e.write("i32", () => c.get(e.x).get(e.z).op(W.i64_div_u, W.i32_wrap_i64));
});
means("sdiv32", (e) => {
  const c = e.code;
  pushDividend(e).set(e.x);
  e.pushB("i32");
  c.op(W.i64_extend_i32_s).set(e.z);
  signedQuotient(e);
  c.get(e.y).op(W.i64_extend32_s).get(e.y).op(W.i64_ne);
  raiseDivide(e);
  e.write("i32", () => c.get(e.y).op(W.i32_wrap_i64));
});
const pushOperands64 = (e: OpEmitter): Code => {
  e.pushA("i64");
  e.code.set(e.x);
  e.pushD("i64");
  e.code.set(e.y);
  e.pushB("i64");
  return e.code.set(e.z);
};
means("udiv64", (e) => {
  const c = pushOperands64(e);
  c.get(e.y).get(e.z).op(W.i64_ge_u);
  raiseDivide(e);
  c.get(e.y).op(W.i64_eqz, W.i32_eqz).unlikely().if();
  c.get(e.y).get(e.x).get(e.z);
  e.callRuntime("quotient");
  c.set(e.y).else();
  c.get(e.x).get(e.z).op(W.i64_div_u).set(e.y).end();
  e.write("i64", () => c.get(e.y));
});
means("sdiv64", (e) => {
  const c = pushOperands64(e);
  c.get(e.x).i64(63).op(W.i64_shr_s).get(e.y).op(W.i64_ne).unlikely().if();
  c.get(e.vp).get(e.y).get(e.x).get(e.z);
  e.callRuntime("signed_quotient");
  c.set(e.y);
  c.get(e.vp).memory(W.i32_load, at.LEAVE);
  e.leaveIf();
  c.else();
  signedQuotient(e);
  // The one that fits no 64 bits: of the least number by -1.
  c.get(e.x).get(e.y).op(W.i64_and).i64(0).op(W.i64_lt_s).get(e.z).i64(-1).op(W.i64_eq, W.i32_and);
  raiseDivide(e);
  c.end();
  e.write("i64", () => c.get(e.y));
});
