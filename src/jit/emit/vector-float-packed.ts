// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Semantics of packed floating-point arithmetic under MXCSR: what vector-float.ts does for one lane, for all lanes at once.
 *
 * Inline where the operation is known while code is written, that is in compiled regions; the interpreter asks the runtime.
 */
import { type Code, type Label, type Local, V, W } from "#wasm";
import type { Bound, FloatType } from "./float-state.ts";
import type { OpEmitter, Semantics } from "./op-emitter.ts";
import { doneWithZeros, leaveOnTrap, orElse, settle, unlessFast, unlessKnown } from "./vector-float.ts";

export const packedFloatSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  packedFloatSemantics.set(name, semantics);
};

/** One of the two shapes: what differs between them. */
interface Shape {
  readonly name: "f32x4" | "f64x2";
  readonly lane: FloatType;
  readonly lanes: 4 | 2;
  readonly abs: number;
  readonly eq: number;
  readonly lt: number;
  readonly le: number;
  readonly ge: number;
  readonly pmin: number;
  readonly pmax: number;
  readonly bitmask: number;
  /** ADD, SUB, MUL and DIV in the order of their numbers. */
  readonly arithmetic: readonly number[];
  readonly sqrt: number;
  /** Nearest, down, up, towards zero. */
  readonly roundings: readonly number[];
}
const singles: Shape = {
  name: "f32x4", lane: "f32", lanes: 4, abs: V.f32x4_abs, eq: V.f32x4_eq, lt: V.f32x4_lt, le: V.f32x4_le, ge: V.f32x4_ge,
  pmin: V.f32x4_pmin, pmax: V.f32x4_pmax, bitmask: V.i32x4_bitmask,
  arithmetic: [V.f32x4_add, V.f32x4_sub, V.f32x4_mul, V.f32x4_div], sqrt: V.f32x4_sqrt,
  roundings: [V.f32x4_nearest, V.f32x4_floor, V.f32x4_ceil, V.f32x4_trunc],
};
const doubles: Shape = {
  name: "f64x2", lane: "f64", lanes: 2, abs: V.f64x2_abs, eq: V.f64x2_eq, lt: V.f64x2_lt, le: V.f64x2_le, ge: V.f64x2_ge,
  pmin: V.f64x2_pmin, pmax: V.f64x2_pmax, bitmask: V.i64x2_bitmask,
  arithmetic: [V.f64x2_add, V.f64x2_sub, V.f64x2_mul, V.f64x2_div], sqrt: V.f64x2_sqrt,
  roundings: [V.f64x2_nearest, V.f64x2_floor, V.f64x2_ceil, V.f64x2_trunc],
};

/** The operations, as jit/lift/sse-float.ts numbers them. */
const operation = { sub: 1, div: 3, min: 4, max: 5, sqrt: 6, rcp: 7, rsqrt: 8, addsub: 9, cmp: 0x10, round: 0x20 } as const;

const isArithmetic = (kind: number): boolean => kind <= operation.div || kind === operation.sqrt;

/** Whether all lanes of an operand are known to be numbers. */
function areNumbers(e: OpEmitter, operand: "a" | "b", s: Shape): boolean {
  for (let n = 0; n < s.lanes; n++) if (!e.float.isNumber(operand, s.lane, n * (s.lane === "f64" ? 8 : 4))) return false;
  return true;
}

/** Branches when a lane of the mask on the stack is zero. */
const unlessAll = (e: OpEmitter, s: Shape, slow: Label): Code => e.code.vector(s.bitmask).i32(2 ** s.lanes - 1).op(W.i32_ne).unlikely().brIf(slow);

/** Branches when the result r is not well inside the range, or an operand that is not known is not normal. */
function unlessInside(e: OpEmitter, s: Shape, r: Local, unknown: readonly Local[], slow: Label): void {
  const c = e.code;
  const magnitude = e.float.scratch("v128", "magnitude");
  c.get(r).vector(s.abs).tee(magnitude);
  // The least magnitude; a NaN in the result stays, and there is none in operands without one there.
  for (const operand of unknown) c.get(operand).vector(s.abs).vector(s.pmin);
  c.get(e.float.bound(s.lane, "smallest")).vector(s.ge);
  c.get(magnitude).get(e.float.bound(s.lane, "infinity")).vector(s.lt).vector(V.v128_and);
  unlessAll(e, s, slow);
}
/** Branches when a lane is neither zero nor a finite number well above the denormals. */
function unlessNumbers(e: OpEmitter, s: Shape, operand: Local, slow: Label): void {
  const c = e.code;
  const magnitude = e.float.scratch("v128", "magnitude");
  c.get(operand).vector(s.abs).tee(magnitude).get(e.float.bound(s.lane, "smallest")).vector(s.ge);
  c.get(operand).get(e.float.bound(s.lane, "zero")).vector(s.eq).vector(V.v128_or);
  c.get(magnitude).get(e.float.bound(s.lane, "infinity")).vector(s.lt).vector(V.v128_and);
  unlessAll(e, s, slow);
}
/** What tests compare with is there before anything conditional. */
function prepareBounds(e: OpEmitter, lane: FloatType, ...which: Bound[]): void {
  for (const one of which) e.float.bound(lane, one);
}

for (const s of [singles, doubles]) {
  means(s.name, (e) => {
    const c = e.code;
    const pushOperands = (kind: number): Code => c.get(kind === operation.sqrt ? e.v : e.u).get(e.v).get(result);
    const rare = (kind: number, done: Label): void => {
      if (isArithmetic(kind)) doneWithZeros(e, s.name, kind <= operation.sub, () => pushOperands(kind), done);
      c.get(e.vp);
      e.pushImm32();
      c.get(e.u).get(e.v);
      e.callRuntime(`sse_${s.name}`);
      c.set(result);
      settle(e, s.name, () => pushOperands(kind));
    };
    const kind = e.imm;
    const result = e.float.scratch("v128", "result");
    e.pushA("v128");
    c.set(e.u);
    e.pushB("v128");
    c.set(e.v);
    const inline = kind === undefined ? undefined : inlineOperation(e, s, kind, result);
    if (kind === undefined || inline === undefined) {
      c.get(e.vp);
      e.pushImm32();
      c.get(e.u).get(e.v);
      e.callRuntime(`sse_${s.name}`);
      c.set(result);
      leaveOnTrap(e);
    } else {
      prepareBounds(e, s.lane, "smallest", "infinity", ...(isArithmetic(kind) ? [] : (["zero"] as const)));
      orElse(e, inline, (done) => rare(kind, done));
    }
    e.write("v128", () => c.get(result));
    if (inline === undefined || kind === undefined) return;
    if (kind !== operation.sqrt) e.float.holdsNumbers("a", s.lane, s.lanes);
    e.float.holdsNumbers("b", s.lane, s.lanes);
    if (kind < operation.cmp || kind >= operation.round) e.float.holdsNumbers("d", s.lane, s.lanes);
  });
}

/** What writes `result` and branches where the runtime has to be asked; undefined: always ask. */
function inlineOperation(e: OpEmitter, s: Shape, kind: number, result: Local): ((slow: Label) => void) | undefined {
  const c = e.code;
  const unknown: Local[] = [];
  if (kind !== operation.sqrt && kind < operation.round && !areNumbers(e, "a", s)) unknown.push(e.u);
  if (!areNumbers(e, "b", s) && !(e.float.sameOperands && unknown.length > 0)) unknown.push(e.v);
  if (isArithmetic(kind)) {
    return (slow) => {
      if (kind === operation.sqrt) c.get(e.v).vector(s.sqrt).set(result);
      else c.get(e.u).get(e.v).vector(s.arithmetic[kind]).set(result);
      unlessFast(e, slow);
      unlessInside(e, s, result, unknown, slow);
    };
  }
  const ofNumbers = (slow: Label, needsFast: boolean): void => {
    if (needsFast) unlessFast(e, slow);
    else unlessKnown(e, slow);
    for (const operand of unknown) unlessNumbers(e, s, operand, slow);
  };
  if (kind === operation.min || kind === operation.max) {
    // The second operand, unless the first is less (greater): Wasm's pmin gives the first unless the second is less.
    return (slow) => {
      ofNumbers(slow, false);
      c.get(e.v).get(e.u).vector(kind === operation.min ? s.pmin : s.pmax).set(result);
    };
  }
  if (kind >= operation.cmp && kind < operation.round) {
    return (slow) => {
      ofNumbers(slow, false);
      const comparison = [s.eq, s.lt, s.le][kind & 3];
      // Numbers are never unordered.
      if (comparison === undefined) c.get(e.float.bound(s.lane, "zero"));
      else c.get(e.u).get(e.v).vector(comparison);
      if (kind & 4) c.vector(V.v128_not);
      c.set(result);
    };
  }
  if (kind < operation.round) return undefined;
  const how = kind - operation.round;
  return (slow) => {
    ofNumbers(slow, (how & 8) === 0 || (how & 4) !== 0);
    c.get(e.v).vector(s.roundings[how & 4 ? 0 : how & 3]).set(result);
  };
}

for (const s of [singles, doubles]) {
  means(`${s.name}_dot`, (e) => {
    e.code.get(e.vp);
    e.pushImm32();
    e.pushA("v128");
    e.pushB("v128");
    e.callRuntime(`sse_${s.name}_dot`);
    e.code.set(e.u);
    leaveOnTrap(e);
    e.write("v128", () => e.code.get(e.u));
  });
}

// Conversions.

means("f64x2_from_i32", (e) => {
  e.write("v128", () => {
    e.pushA("v128");
    e.code.vector(V.f64x2_convert_low_i32x4_s);
  });
  e.float.holdsNumbers("d", "f64", 2);
});

/** Conversions, as jit/lift/sse-float.ts numbers them; those of MMX registers, which nobody uses much, are not here. */
const conversion = { dq2ps: 0, ps2dq: 2, tps2dq: 3, pd2dq: 6, tpd2dq: 7, pd2ps: 8, ps2pd: 9 } as const;

means("fp_convert", (e) => {
  const c = e.code;
  const result = e.float.scratch("v128", "result");
  e.pushA("v128");
  c.set(e.u);
  const ask = (): void => {
    c.get(e.vp);
    e.pushImm32();
    c.get(e.u);
    e.callRuntime("sse_fp_convert");
    c.set(result);
  };
  const inline = e.imm === undefined ? undefined : inlineConversion(e, e.imm, result);
  const lanes: readonly [FloatType, 2 | 4] | undefined =
    e.imm === conversion.dq2ps ? ["f32", 4] : e.imm === conversion.pd2ps ? ["f32", 2] : e.imm === conversion.ps2pd ? ["f64", 2] : undefined;
  if (inline === undefined) {
    ask();
    leaveOnTrap(e);
  } else {
    orElse(e, inline, () => {
      ask();
      if (lanes === undefined) leaveOnTrap(e);
      else settle(e, lanes[0] === "f32" ? "f32x4" : "f64x2", () => c.get(result).get(result).get(result));
    });
  }
  e.write("v128", () => c.get(result));
  if (inline !== undefined && lanes !== undefined) e.float.holdsNumbers("d", ...lanes);
});

function inlineConversion(e: OpEmitter, kind: number, result: Local): ((slow: Label) => void) | undefined {
  const c = e.code;
  switch (kind) {
    case conversion.dq2ps:
      return (slow) => {
        unlessFast(e, slow);
        c.get(e.u).vector(V.f32x4_convert_i32x4_s).set(result);
      };
    case conversion.ps2dq:
    case conversion.tps2dq:
    case conversion.pd2dq:
    case conversion.tpd2dq: {
      const s = kind < conversion.pd2dq ? singles : doubles;
      prepareBounds(e, s.lane, "two31");
      return (slow) => {
        unlessFast(e, slow);
        c.get(e.u);
        if ((kind & 1) === 0) c.vector(s.roundings[0]);
        c.tee(result).vector(s.abs).get(e.float.bound(s.lane, "two31")).vector(s.lt);
        unlessAll(e, s, slow);
        c.get(result).vector(s === singles ? V.i32x4_trunc_sat_f32x4_s : V.i32x4_trunc_sat_f64x2_s_zero).set(result);
      };
    }
    case conversion.pd2ps:
      prepareBounds(e, "f64", "singles", "infinity");
      return (slow) => {
        unlessFast(e, slow);
        // In the range of singles, and above their denormals.
        c.get(e.u).vector(V.f32x4_demote_f64x2_zero).tee(result).vector(V.f64x2_promote_low_f32x4).vector(V.f64x2_abs).tee(e.v);
        c.get(e.float.bound("f64", "singles")).vector(V.f64x2_ge);
        c.get(e.v).get(e.float.bound("f64", "infinity")).vector(V.f64x2_lt).vector(V.v128_and);
        unlessAll(e, doubles, slow);
      };
    case conversion.ps2pd:
      prepareBounds(e, "f64", "singles", "infinity", "zero");
      return (slow) => {
        unlessKnown(e, slow);
        c.get(e.u).vector(V.f64x2_promote_low_f32x4).tee(result).vector(V.f64x2_abs).tee(e.v);
        c.get(e.float.bound("f64", "singles")).vector(V.f64x2_ge);
        c.get(result).get(e.float.bound("f64", "zero")).vector(V.f64x2_eq).vector(V.v128_or);
        c.get(e.v).get(e.float.bound("f64", "infinity")).vector(V.f64x2_lt).vector(V.v128_and);
        unlessAll(e, doubles, slow);
      };
    default:
      return undefined;
  }
}
