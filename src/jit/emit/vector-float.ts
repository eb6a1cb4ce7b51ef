// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Semantics of scalar floating-point arithmetic under MXCSR.
 *
 * What is common is done inline by Wasm's own arithmetic: rounding to nearest, PE masked and already set, operands that are
 * numbers (float-state.ts), a result well inside the range; then there is no flag to raise. All else asks the runtime
 * (runtime/fp/), which may find an unmasked exception and say so in FP_TRAP.
 */
import { FlagsClass } from "#ir";
import { at } from "#vcpu";
import { type Code, type Label, type Local, W } from "#wasm";
import { type FloatType, smallestInside } from "./float-state.ts";
import type { OpEmitter, Semantics } from "./op-emitter.ts";

export const scalarFloatSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  scalarFloatSemantics.set(name, semantics);
};

/** One of the two formats: what differs between them. */
interface Format {
  readonly name: FloatType;
  readonly wide: boolean;
  /** Wasm's type of the raw bits, as the runtime takes them. */
  readonly bits: "i32" | "i64";
  readonly fromBits: number;
  readonly toBits: number;
}
const single: Format = { name: "f32", wide: false, bits: "i32", fromBits: W.f32_reinterpret_i32, toBits: W.i32_reinterpret_f32 };
const double: Format = { name: "f64", wide: true, bits: "i64", fromBits: W.f64_reinterpret_i64, toBits: W.i64_reinterpret_f64 };

const pushBits = (e: OpEmitter, f: Format, local: Local): Code => e.code.get(local).op(f.toBits);

/** Pops the operands into locals. */
function operands(e: OpEmitter, f: Format, unary = false): { a: Local; b: Local; r: Local } {
  const a = e.float.scratch(f.name, "a");
  const r = e.float.scratch(f.name, "r");
  e.pushA(f.name);
  e.code.set(a);
  if (unary || e.float.sameOperands) return { a, b: a, r };
  const b = e.float.scratch(f.name, "b");
  e.pushB(f.name);
  e.code.set(b);
  return { a, b, r };
}

// Tests, each of which branches to `slow` when it fails.

/** MXCSR is as it has to be for inexact results. Comes before what is conditional. */
export function unlessFast(e: OpEmitter, slow: Label): void {
  e.code.get(e.float.fast()).i32(3).op(W.i32_ne).unlikely().brIf(slow);
}
/** What is known of the operands is true. */
export function unlessKnown(e: OpEmitter, slow: Label): void {
  e.code.get(e.float.fast()).op(W.i32_eqz).unlikely().brIf(slow);
}
/** Pushes the bits of a local without the lower half of a double, where neither exponent nor sign are. */
function pushTop(e: OpEmitter, f: Format, local: Local): Code {
  pushBits(e, f, local);
  return f.wide ? e.code.i64(32).op(W.i64_shr_u, W.i32_wrap_i64) : e.code;
}
/** A local is no denormal; where the result is known to be finite, so that no operand is infinite or a NaN. */
function unlessNormal(e: OpEmitter, f: Format, local: Local, slow: Label): void {
  pushTop(e, f, local).i32(f.wide ? 0x7ff00000 : 0x7f800000).op(W.i32_and, W.i32_eqz).unlikely().brIf(slow);
}
/** MXCSR is as it has to be, and a local finite, and above the smallest normal number, where rounding may hide an underflow. */
function unlessInside(e: OpEmitter, f: Format, local: Local, range: Local, slow: Label): void {
  pushTop(e, f, local).i32(1).op(W.i32_shl).i32(smallestInside[f.name]).op(W.i32_sub).get(range).op(W.i32_ge_u).unlikely().brIf(slow);
}
/** A local is a number. */
function unlessNumber(e: OpEmitter, f: Format, local: Local, slow: Label): void {
  const c = e.code;
  const smallest = f.wide ? 0x200000 : 0x1000000;
  const endless = f.wide ? 0xffe00000 : 0xff000000;
  const normal = c.block();
  pushTop(e, f, local).i32(1).op(W.i32_shl).i32(smallest).op(W.i32_sub).i32(endless - smallest).op(W.i32_lt_u).brIf(normal);
  pushBits(e, f, local);
  if (f.wide) c.i64(1).op(W.i64_shl, W.i64_eqz, W.i32_eqz);
  else c.i32(1).op(W.i32_shl);
  c.brIf(slow).end();
}
/** Both operands are numbers, as far as that is not known. */
function unlessNumbers(e: OpEmitter, f: Format, { a, b }: { a: Local; b: Local }, slow: Label): void {
  const [knownA, knownB] = [e.float.isNumber("a", f.name), a === b || e.float.isNumber("b", f.name)];
  if (e.float.tracks) unlessKnown(e, slow);
  if (!knownA) unlessNumber(e, f, a, slow);
  if (!knownB) unlessNumber(e, f, b, slow);
}

/** Leaves with the exception raised where the runtime met an unmasked one. */
export function leaveOnTrap(e: OpEmitter): void {
  const c = e.code;
  c.get(e.vp).memory(W.i32_load, at.FP_TRAP).unlikely().if();
  c.get(e.vp);
  e.callRuntime("raise_simd");
  e.leaveIf();
  c.end();
}
/** After the runtime: leaves on a trap, and keeps what is known true. `push` pushes three values of a format: operands and result. */
export function settle(e: OpEmitter, type: FloatType | "f32x4" | "f64x2", push: () => void): void {
  if (!e.float.tracks) return leaveOnTrap(e);
  const c = e.code.get(e.vp);
  push();
  e.callRuntime(`sse_settle_${type}`);
  c.tee(e.q).i32(0).op(W.i32_lt_s);
  e.leaveIf();
  c.get(e.q);
  e.float.lowerFast();
}
function pushOperands(e: OpEmitter, f: Format, a: Local, b: Local, r: Local): void {
  for (const local of [a, b, r]) pushBits(e, f, local);
}
function settleScalar(e: OpEmitter, f: Format, a: Local, b: Local, r: Local): void {
  settle(e, f.name, () => pushOperands(e, f, a, b, r));
}

/** `common` branches to its label where the runtime has to be asked; `rare` does that, and may branch to its own where that was not so. */
export function orElse(e: OpEmitter, common: (slow: Label) => void, rare: (done: Label) => void): void {
  const c = e.code;
  // What holds for the rest of the block is written before anything conditional.
  if (e.float.tracks) e.float.fast();
  const done = c.block();
  const slow = c.block();
  common(slow);
  c.br(done).end();
  rare(done);
  c.end();
}

/**
 * Branches to `done` where what the test of the common case sends away is right all the same, as zeros are: they are no less common in some
 * programs. `push` pushes operands and result.
 */
export function doneWithZeros(e: OpEmitter, type: FloatType | "f32x4" | "f64x2", isSum: boolean, push: () => void, done: Label): void {
  // An interpreted operation costs as much as the call.
  if (!e.float.tracks) return;
  const c = e.code.get(e.float.fast()).i32(3).op(W.i32_eq);
  c.if();
  push();
  e.callRuntime(`sse_is_${isSum ? "sum" : "product"}_${type}`);
  c.brIf(done).end();
}

for (const f of [single, double]) {
  const arithmetic = f.wide
    ? { add: W.f64_add, sub: W.f64_sub, mul: W.f64_mul, div: W.f64_div, sqrt: W.f64_sqrt }
    : { add: W.f32_add, sub: W.f32_sub, mul: W.f32_mul, div: W.f32_div, sqrt: W.f32_sqrt };
  for (const [name, op] of Object.entries(arithmetic)) {
    const unary = name === "sqrt";
    means(`${f.name}_${name}`, (e) => {
      const { a, b, r } = operands(e, f, unary);
      const c = e.code;
      c.get(a);
      if (!unary) c.get(b);
      c.op(op).set(r);
      const range = e.float.range(f.name);
      orElse(e, (slow) => {
        if (!e.float.isNumber("a", f.name)) unlessNormal(e, f, a, slow);
        if (b !== a && !e.float.isNumber("b", f.name)) unlessNormal(e, f, b, slow);
        unlessInside(e, f, r, range, slow);
      }, (done) => {
        doneWithZeros(e, f.name, name === "add" || name === "sub", () => pushOperands(e, f, a, b, r), done);
        c.get(e.vp);
        pushBits(e, f, a);
        if (!unary) pushBits(e, f, b);
        e.callRuntime(`sse_${name}_${f.name}`);
        c.op(f.fromBits).set(r);
        settleScalar(e, f, a, b, r);
      });
      e.write(f.name, () => c.get(r));
      e.float.holdsNumbers("a", f.name);
      if (!unary) e.float.holdsNumbers("b", f.name);
      e.float.holdsNumbers("d", f.name);
    });
  }

  const [eq, lt, gt, le] = f.wide ? [W.f64_eq, W.f64_lt, W.f64_gt, W.f64_le] : [W.f32_eq, W.f32_lt, W.f32_gt, W.f32_le];
  // The second operand, unless the first is less (greater).
  for (const [name, wanted] of [["min", lt], ["max", gt]] as const) {
    means(`${f.name}_${name}`, (e) => {
      const { a, b, r } = operands(e, f);
      const c = e.code;
      c.get(a).get(b).get(a).get(b).op(wanted, W.select).set(r);
      orElse(e, (slow) => unlessNumbers(e, f, { a, b }, slow), () => {
        c.get(e.vp);
        pushBits(e, f, a);
        pushBits(e, f, b);
        e.callRuntime(`sse_${name}_${f.name}`);
        c.op(f.fromBits).set(r);
        settleScalar(e, f, a, b, r);
      });
      e.write(f.name, () => c.get(r));
      e.float.holdsNumbers("a", f.name);
      e.float.holdsNumbers("b", f.name);
      e.float.holdsNumbers("d", f.name);
    });
  }

  // The flags are those of two doubles, kept as they are; after the runtime, of two that have the same.
  means(`${f.name}_comi`, (e) => {
    const { a, b } = operands(e, f);
    const c = e.code;
    const [x, y] = f.wide ? [a, b] : [e.float.scratch("f64", "a"), e.float.scratch("f64", "b")];
    orElse(e, (slow) => {
      unlessNumbers(e, f, { a, b }, slow);
      if (!f.wide) c.get(a).op(W.f64_promote_f32).set(x).get(b).op(W.f64_promote_f32).set(y);
    }, () => {
      c.get(e.vp);
      pushBits(e, f, a);
      pushBits(e, f, b);
      e.pushImm32();
      e.callRuntime(`sse_comi_${f.name}`);
      c.set(e.r);
      settleScalar(e, f, a, b, b);
      // CF: 0 and 1; ZF: 0 and 0; none: 1 and 0; PF: a NaN.
      c.get(e.r).i32(1).op(W.i32_and, W.f64_convert_i32_s).set(y);
      c.i64(0, 0x7ff80000).op(W.f64_reinterpret_i64).get(e.r).op(W.i32_eqz, W.f64_convert_i32_s).get(e.r).i32(4).op(W.i32_and, W.select).set(x);
    });
    e.setFlags(FlagsClass.FLOAT, 3, () => c.get(x).op(W.i64_reinterpret_f64), () => c.get(y).op(W.i64_reinterpret_f64));
    e.float.holdsNumbers("a", f.name);
    e.float.holdsNumbers("b", f.name);
  });

  // EQ LT LE UNORD NEQ NLT NLE ORD; of numbers, which are never unordered.
  means(`${f.name}_cmp`, (e) => {
    const c = e.code;
    const { a, b, r } = operands(e, f);
    const rare = (): void => {
      c.get(e.vp);
      pushBits(e, f, a);
      pushBits(e, f, b);
      e.pushImm32();
      e.callRuntime(`sse_cmp_${f.name}`);
      c.op(f.fromBits).set(r);
      settleScalar(e, f, a, b, b);
    };
    const predicate = e.imm;
    if (predicate === undefined) rare();
    else {
      orElse(e, (slow) => {
        unlessNumbers(e, f, { a, b }, slow);
        const comparison = ([eq, lt, le] as const)[predicate & 3];
        if (f.wide) c.i64(0);
        else c.i32(0);
        if (comparison === undefined) c.i32(0);
        else c.get(a).get(b).op(comparison);
        if (predicate & 4) c.op(W.i32_eqz);
        if (f.wide) c.op(W.i64_extend_i32_u, W.i64_sub);
        else c.op(W.i32_sub);
        c.op(f.fromBits).set(r);
      }, rare);
      e.float.holdsNumbers("a", f.name);
      e.float.holdsNumbers("b", f.name);
    }
    e.write(f.name, () => c.get(r));
  });

  // ROUNDSS, ROUNDSD: nearest, down, up, towards zero; or (bit 2) as MXCSR has it. Bit 3 is for no PE.
  const roundings = f.wide ? [W.f64_nearest, W.f64_floor, W.f64_ceil, W.f64_trunc] : [W.f32_nearest, W.f32_floor, W.f32_ceil, W.f32_trunc];
  means(`${f.name}_round`, (e) => {
    const c = e.code;
    const { a, r } = operands(e, f, true);
    const rare = (): void => {
      c.get(e.vp);
      pushBits(e, f, a);
      e.pushImm32();
      e.callRuntime(`sse_round_${f.name}`);
      c.op(f.fromBits).set(r);
      settleScalar(e, f, a, a, r);
    };
    const how = e.imm;
    if (how === undefined) rare();
    else {
      orElse(e, (slow) => {
        if ((how & 8) === 0 || (how & 4) !== 0) unlessFast(e, slow);
        unlessNumbers(e, f, { a, b: a }, slow);
        c.get(a).op(roundings[how & 4 ? 0 : how & 3]).set(r);
      }, rare);
    }
    e.write(f.name, () => c.get(r));
    if (how === undefined) return;
    e.float.holdsNumbers("a", f.name);
    e.float.holdsNumbers("d", f.name);
  });

  // To integers. In range, and either exact or PE is masked and set: then Wasm's conversion says it all.
  for (const wide of [false, true]) {
    const to = wide ? "i64" : "i32";
    const back = f.wide ? (wide ? W.f64_convert_i64_s : W.f64_convert_i32_s) : wide ? W.f32_convert_i64_s : W.f32_convert_i32_s;
    const convert = f.wide ? (wide ? W.i64_trunc_f64_s : W.i32_trunc_f64_s) : wide ? W.i64_trunc_f32_s : W.i32_trunc_f32_s;
    for (const truncate of [false, true]) {
      means(`${f.name}_${truncate ? "trunc" : "to"}_${to}`, (e) => {
        const c = e.code;
        const { a, r: rounded } = operands(e, f, true);
        const r = wide ? e.z : e.r;
        const fast = e.float.fast();
        c.get(a);
        if (!truncate) c.op(f.wide ? W.f64_nearest : W.f32_nearest);
        c.set(rounded);
        const done = c.block();
        const slow = c.block();
        c.get(rounded).op(f.wide ? W.f64_abs : W.f32_abs);
        pushPower(c, f, wide ? 63 : 31).op(lt, W.i32_eqz).unlikely().brIf(slow);
        c.get(rounded).op(convert).set(r);
        c.get(fast).i32(3).op(W.i32_eq).brIf(done);
        c.get(r).op(back).get(a).op(eq).brIf(done);
        c.end();
        c.get(e.vp);
        pushBits(e, f, a).i32(truncate ? 1 : 0);
        e.callRuntime(`sse_${f.name}_to_${to}`);
        c.set(r);
        leaveOnTrap(e);
        c.end();
        e.write(to, () => c.get(r));
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
  const { a } = operands(e, single, true);
  const r = e.float.scratch("f64", "r");
  orElse(e, (slow) => {
    unlessNumbers(e, single, { a, b: a }, slow);
    c.get(a).op(W.f64_promote_f32).set(r);
  }, () => {
    c.get(e.vp);
    pushBits(e, single, a);
    e.callRuntime("sse_f32_to_f64");
    c.op(W.f64_reinterpret_i64).set(r);
    settleScalar(e, single, a, a, a);
  });
  e.write("f64", () => c.get(r));
  e.float.holdsNumbers("a", "f32");
  e.float.holdsNumbers("d", "f64");
});
means("f64_to_f32", (e) => {
  const c = e.code;
  const { a } = operands(e, double, true);
  const r = e.float.scratch("f32", "r");
  c.get(a).op(W.f32_demote_f64).set(r);
  const range = e.float.range("f32");
  orElse(e, (slow) => {
    // A denormal becomes zero here.
    unlessInside(e, single, r, range, slow);
  }, (done) => {
    if (e.float.tracks) c.get(a).i64(0).op(W.f64_reinterpret_i64, W.f64_eq).brIf(done);
    c.get(e.vp);
    pushBits(e, double, a);
    e.callRuntime("sse_f64_to_f32");
    c.op(W.f32_reinterpret_i32).set(r);
    settleScalar(e, single, r, r, r);
  });
  e.write("f32", () => c.get(r));
  e.float.holdsNumbers("d", "f32");
});

// From integers. Exact where the magnitude has no more bits than the significand.
means("f64_from_i32", (e) => {
  e.write("f64", () => {
    e.pushA("i32");
    e.code.op(W.f64_convert_i32_s);
  });
  e.float.holdsNumbers("d", "f64");
});
for (const [f, from, bits, convert] of [
  [double, "i64", 53, W.f64_convert_i64_s],
  [single, "i32", 24, W.f32_convert_i32_s],
  [single, "i64", 24, W.f32_convert_i64_s],
] as const) {
  means(`${f.name}_from_${from}`, (e) => {
    const c = e.code;
    const wide = from === "i64";
    const a = wide ? e.x : e.p;
    const r = e.float.scratch(f.name, "r");
    const fast = e.float.fast();
    e.pushA(from);
    c.set(a);
    c.get(a).op(convert).set(r);
    const done = c.block();
    c.get(fast).i32(3).op(W.i32_eq).brIf(done);
    if (wide) c.get(a).i64(bits).op(W.i64_shr_s).i64(1).op(W.i64_add).i64(2).op(W.i64_lt_u).brIf(done);
    else c.get(a).i32(bits).op(W.i32_shr_s).i32(1).op(W.i32_add).i32(2).op(W.i32_lt_u).brIf(done);
    c.get(e.vp).get(a);
    e.callRuntime(`sse_${from}_to_${f.name}`);
    c.op(f.fromBits).set(r);
    leaveOnTrap(e);
    c.end();
    e.write(f.name, () => c.get(r));
    e.float.holdsNumbers("d", f.name);
  });
}
