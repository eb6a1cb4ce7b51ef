// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Semantics of floating-point arithmetic under MXCSR.
 *
 * What is common is done inline by Wasm's own arithmetic: rounding to nearest, PE masked and already set, operands that are
 * zeros or normal numbers, a result well inside the range; then there is no flag to raise. All else asks the runtime
 * (runtime/fp/), which may find an unmasked exception and say so in FP_TRAP.
 */
import { FlagsClass } from "#ir";
import { at } from "#vcpu";
import { type Code, V, W } from "#wasm";
import type { OpEmitter, Semantics } from "./op-emitter.ts";

export const floatSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  floatSemantics.set(name, semantics);
};

/** One of the two formats: what differs between them. */
interface Format {
  readonly name: "f32" | "f64";
  readonly type: "w32" | "i64";
  /** The IR's and Wasm's type of the raw bits. */
  readonly wide: boolean;
  readonly fromBits: number;
  readonly toBits: number;
}
const single: Format = { name: "f32", type: "w32", wide: false, fromBits: W.f32_reinterpret_i32, toBits: W.i32_reinterpret_f32 };
const double: Format = { name: "f64", type: "i64", wide: true, fromBits: W.f64_reinterpret_i64, toBits: W.i64_reinterpret_f64 };

/** Locals for raw bits: two operands and a result. */
const first = (e: OpEmitter, f: Format) => (f.wide ? e.x : e.p);
const second = (e: OpEmitter, f: Format) => (f.wide ? e.y : e.q);
const result = (e: OpEmitter, f: Format) => (f.wide ? e.z : e.r);

const pushFloat = (e: OpEmitter, f: Format, local: number): Code => e.code.get(local).op(f.fromBits);

/** Pushes whether MXCSR has the bits of `mask` equal to `value`. */
const pushControl = (e: OpEmitter, mask: number, value: number): Code => e.code.get(e.vp).memory(W.i32_load, at.MXCSR).i32(mask).op(W.i32_and).i32(value).op(W.i32_eq);
/** Pushes whether rounding is to nearest, and PE masked and set. */
const pushNearest = (e: OpEmitter): Code => pushControl(e, 0x7020, 0x1020);
/** Pushes whether a local is no denormal. */
function pushPlain(e: OpEmitter, f: Format, local: number): Code {
  // Twice the magnitude less one: a zero becomes the largest number of all.
  if (f.wide) return e.code.get(local).i64(1).op(W.i64_shl).i64(1).op(W.i64_sub).i64(-1, 0x1fffff).op(W.i64_ge_u);
  return e.code.get(local).i32(1).op(W.i32_shl).i32(1).op(W.i32_sub).i32(0xffffff).op(W.i32_ge_u);
}
/** Pushes whether a local is finite and above the smallest normal number, where rounding may hide an underflow. */
function pushInside(e: OpEmitter, f: Format, local: number): Code {
  if (f.wide) return e.code.get(local).i64(52).op(W.i64_shr_u, W.i32_wrap_i64).i32(0x7ff).op(W.i32_and).i32(2).op(W.i32_sub).i32(0x7fc).op(W.i32_le_u);
  return e.code.get(local).i32(23).op(W.i32_shr_u).i32(0xff).op(W.i32_and).i32(2).op(W.i32_sub).i32(0xfc).op(W.i32_le_u);
}

/** Leaves with the exception raised where the operation met an unmasked one. */
function leaveOnTrap(e: OpEmitter): void {
  const c = e.code;
  c.get(e.vp).memory(W.i32_load, at.FP_TRAP).if();
  c.get(e.vp);
  e.callRuntime("raise_simd");
  e.leaveIf();
  c.end();
}
/** Writes d from a local. */
function give(e: OpEmitter, type: "w32" | "i64" | "i32", local: number): void {
  e.write(type, () => e.code.get(local));
}

for (const f of [single, double]) {
  const arithmetic = f.wide
    ? { add: W.f64_add, sub: W.f64_sub, mul: W.f64_mul, div: W.f64_div }
    : { add: W.f32_add, sub: W.f32_sub, mul: W.f32_mul, div: W.f32_div };
  for (const [name, op] of Object.entries(arithmetic)) {
    means(`${f.name}_${name}`, (e) => {
      const [a, b, r] = [first(e, f), second(e, f), result(e, f)];
      const c = e.code;
      e.pushA(f.type);
      c.set(a);
      e.pushB(f.type);
      c.set(b);
      pushFloat(e, f, a);
      pushFloat(e, f, b).op(op, f.toBits).set(r);
      pushNearest(e);
      pushPlain(e, f, a).op(W.i32_and);
      pushPlain(e, f, b).op(W.i32_and);
      pushInside(e, f, r).op(W.i32_and, W.i32_eqz).if();
      c.get(e.vp).get(a).get(b);
      e.callRuntime(`sse_${name}_${f.name}`);
      c.set(r);
      leaveOnTrap(e);
      c.end();
      give(e, f.type, r);
    });
  }

  means(`${f.name}_sqrt`, (e) => {
    const [a, r] = [first(e, f), result(e, f)];
    const c = e.code;
    e.pushA(f.type);
    c.set(a);
    pushFloat(e, f, a).op(f.wide ? W.f64_sqrt : W.f32_sqrt, f.toBits).set(r);
    pushNearest(e);
    pushPlain(e, f, a).op(W.i32_and);
    pushInside(e, f, r).op(W.i32_and, W.i32_eqz).if();
    c.get(e.vp).get(a);
    e.callRuntime(`sse_sqrt_${f.name}`);
    c.set(r);
    leaveOnTrap(e);
    c.end();
    give(e, f.type, r);
  });

  const [eq, lt, gt, le, ge] = f.wide ? [W.f64_eq, W.f64_lt, W.f64_gt, W.f64_le, W.f64_ge] : [W.f32_eq, W.f32_lt, W.f32_gt, W.f32_le, W.f32_ge];
  // The second operand, unless the first is less (greater).
  for (const [name, wanted, other] of [["min", lt, ge], ["max", gt, le]] as const) {
    means(`${f.name}_${name}`, (e) => {
      const [a, b, r] = [first(e, f), second(e, f), result(e, f)];
      const c = e.code;
      e.pushA(f.type);
      c.set(a);
      e.pushB(f.type);
      c.set(b);
      c.get(a).get(b);
      pushFloat(e, f, a);
      pushFloat(e, f, b).op(wanted, W.select).set(r);
      // No denormal, and no NaN: one of the two comparisons holds.
      pushFloat(e, f, a);
      pushFloat(e, f, b).op(wanted);
      pushFloat(e, f, a);
      pushFloat(e, f, b).op(other, W.i32_or);
      pushPlain(e, f, a).op(W.i32_and);
      pushPlain(e, f, b).op(W.i32_and, W.i32_eqz).if();
      c.get(e.vp).get(a).get(b);
      e.callRuntime(`sse_${name}_${f.name}`);
      c.set(r);
      leaveOnTrap(e);
      c.end();
      give(e, f.type, r);
    });
  }

  means(`${f.name}_comi`, (e) => {
    const [a, b] = [first(e, f), second(e, f)];
    const c = e.code;
    e.pushA(f.type);
    c.set(a);
    e.pushB(f.type);
    c.set(b);
    // CF where less, ZF where equal.
    pushFloat(e, f, a);
    pushFloat(e, f, b).op(lt);
    pushFloat(e, f, a);
    pushFloat(e, f, b).op(eq).i32(6).op(W.i32_shl, W.i32_or).set(e.r);
    c.get(e.r).i32(0).op(W.i32_ne);
    pushFloat(e, f, a);
    pushFloat(e, f, b).op(gt, W.i32_or);
    pushPlain(e, f, a).op(W.i32_and);
    pushPlain(e, f, b).op(W.i32_and, W.i32_eqz).if();
    c.get(e.vp).get(a).get(b);
    e.pushImm32();
    e.callRuntime(`sse_comi_${f.name}`);
    c.set(e.r);
    leaveOnTrap(e);
    c.end();
    e.setFlags(FlagsClass.EXPLICIT, 0, () => c.get(e.r).op(W.i64_extend_i32_u));
  });

  means(`${f.name}_cmp`, (e) => {
    e.code.get(e.vp);
    e.pushA(f.type);
    e.pushB(f.type);
    e.pushImm32();
    e.callRuntime(`sse_cmp_${f.name}`);
    e.code.set(result(e, f));
    leaveOnTrap(e);
    give(e, f.type, result(e, f));
  });
  means(`${f.name}_round`, (e) => {
    e.code.get(e.vp);
    e.pushA(f.type);
    e.pushImm32();
    e.callRuntime(`sse_round_${f.name}`);
    e.code.set(result(e, f));
    leaveOnTrap(e);
    give(e, f.type, result(e, f));
  });

  // To integers. In range, and either exact or PE is masked and set: then Wasm's conversion says it all.
  for (const wide of [false, true]) {
    const to = wide ? "i64" : "i32";
    const back = f.wide ? (wide ? W.f64_convert_i64_s : W.f64_convert_i32_s) : wide ? W.f32_convert_i64_s : W.f32_convert_i32_s;
    const convert = f.wide ? (wide ? W.i64_trunc_f64_s : W.i32_trunc_f64_s) : wide ? W.i64_trunc_f32_s : W.i32_trunc_f32_s;
    for (const truncate of [false, true]) {
      means(`${f.name}_${truncate ? "trunc" : "to"}_${to}`, (e) => {
        const c = e.code;
        const a = first(e, f);
        const r = wide ? e.z : e.r;
        const pushRounded = (): void => {
          pushFloat(e, f, a);
          if (!truncate) c.op(f.wide ? W.f64_nearest : W.f32_nearest);
        };
        const done = c.block();
        const slow = c.block();
        e.pushA(f.type);
        c.set(a);
        pushRounded();
        c.op(f.wide ? W.f64_abs : W.f32_abs);
        pushPower(c, f, wide ? 63 : 31).op(lt, W.i32_eqz).brIf(slow);
        pushRounded();
        c.op(convert).set(r);
        c.get(r).op(back);
        pushFloat(e, f, a).op(eq);
        if (truncate) pushControl(e, 0x1020, 0x1020);
        else pushNearest(e);
        c.op(W.i32_or).brIf(done);
        c.end();
        c.get(e.vp).get(a).i32(truncate ? 1 : 0);
        e.callRuntime(`sse_${f.name}_to_${to}`);
        c.set(r);
        leaveOnTrap(e);
        c.end();
        give(e, to, r);
      });
    }
  }
}
/** Pushes 2^n. */
function pushPower(c: Code, f: Format, n: number): Code {
  if (f.wide) return c.i64(0, (1023 + n) << 20).op(W.f64_reinterpret_i64);
  return c.i32((127 + n) << 23).op(W.f32_reinterpret_i32);
}

for (const name of ["rcp", "rsqrt"] as const) {
  means(`f32_${name}`, (e) => e.write("w32", () => {
    e.pushA("w32");
    e.callRuntime(`sse_${name}_f32`);
  }));
}

// Between the formats.
means("f32_to_f64", (e) => {
  const c = e.code;
  e.pushA("w32");
  c.set(e.p);
  pushPlain(e, single, e.p);
  pushFloat(e, single, e.p);
  pushFloat(e, single, e.p).op(W.f32_eq, W.i32_and).if();
  pushFloat(e, single, e.p).op(W.f64_promote_f32, W.i64_reinterpret_f64).set(e.z);
  c.else();
  c.get(e.vp).get(e.p);
  e.callRuntime("sse_f32_to_f64");
  c.set(e.z);
  leaveOnTrap(e);
  c.end();
  give(e, "i64", e.z);
});
means("f64_to_f32", (e) => {
  const c = e.code;
  e.pushA("i64");
  c.set(e.x);
  pushFloat(e, double, e.x).op(W.f32_demote_f64, W.i32_reinterpret_f32).set(e.r);
  pushNearest(e);
  pushPlain(e, double, e.x).op(W.i32_and);
  pushInside(e, single, e.r).op(W.i32_and, W.i32_eqz).if();
  c.get(e.vp).get(e.x);
  e.callRuntime("sse_f64_to_f32");
  c.set(e.r);
  leaveOnTrap(e);
  c.end();
  give(e, "w32", e.r);
});

// From integers. Exact where the magnitude has no more bits than the significand.
means("f64_from_i32", (e) => e.write("i64", () => {
  e.pushA("i32");
  e.code.op(W.f64_convert_i32_s, W.i64_reinterpret_f64);
}));
means("f64_from_i64", (e) => {
  const c = e.code;
  e.pushA("i64");
  c.set(e.x);
  c.get(e.x).op(W.f64_convert_i64_s, W.i64_reinterpret_f64).set(e.z);
  c.get(e.x).i64(0, 0x200000).op(W.i64_add).i64(0, 0x400000).op(W.i64_gt_u);
  pushNearest(e).op(W.i32_eqz, W.i32_and).if();
  c.get(e.vp).get(e.x);
  e.callRuntime("sse_i64_to_f64");
  c.set(e.z);
  leaveOnTrap(e);
  c.end();
  give(e, "i64", e.z);
});
means("f32_from_i32", (e) => {
  const c = e.code;
  e.pushA("i32");
  c.set(e.p);
  c.get(e.p).op(W.f32_convert_i32_s, W.i32_reinterpret_f32).set(e.r);
  c.get(e.p).i32(1 << 24).op(W.i32_add).i32(1 << 25).op(W.i32_gt_u);
  pushNearest(e).op(W.i32_eqz, W.i32_and).if();
  c.get(e.vp).get(e.p);
  e.callRuntime("sse_i32_to_f32");
  c.set(e.r);
  leaveOnTrap(e);
  c.end();
  give(e, "w32", e.r);
});
means("f32_from_i64", (e) => {
  const c = e.code;
  e.pushA("i64");
  c.set(e.x);
  c.get(e.x).op(W.f32_convert_i64_s, W.i32_reinterpret_f32).set(e.r);
  c.get(e.x).i64(1 << 24).op(W.i64_add).i64(1 << 25).op(W.i64_gt_u);
  pushNearest(e).op(W.i32_eqz, W.i32_and).if();
  c.get(e.vp).get(e.x);
  e.callRuntime("sse_i64_to_f32");
  c.set(e.r);
  leaveOnTrap(e);
  c.end();
  give(e, "w32", e.r);
});

// Packed: all lanes in the runtime, which raises what any of them met.
means("f64x2_from_i32", (e) => e.write("v128", () => {
  e.pushA("v128");
  e.code.vector(V.f64x2_convert_low_i32x4_s);
}));
for (const name of ["f32x4", "f64x2", "f32x4_dot", "f64x2_dot", "fp_convert"] as const) {
  means(name, (e) => {
    e.code.get(e.vp);
    e.pushImm32();
    e.pushA("v128");
    if (name !== "fp_convert") e.pushB("v128");
    e.callRuntime(`sse_${name}`);
    e.code.set(e.u);
    leaveOnTrap(e);
    e.write("v128", () => e.code.get(e.u));
  });
}
