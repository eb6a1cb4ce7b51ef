/**
 * SSE arithmetic, comparisons and conversions. Scalars are fields of their size, so that the rest of a register stays;
 * packed forms are one operation, as the exceptions of all lanes come together.
 */
import { Op } from "#ir";
import type { Rule } from "./lifter.ts";
import { sse } from "./sse-moves.ts";
import {
  checkMmx,
  enterMmx,
  immediate,
  mmxOf,
  readLow,
  readMmx,
  readScalar,
  readVector,
  writeMmx,
  xmmOf,
} from "./vector-operands.ts";

/** Operations of f32x4 and f64x2, as runtime/fp/sse-packed.ts numbers them. */
const Packed = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  min: 4,
  max: 5,
  sqrt: 6,
  rcp: 7,
  rsqrt: 8,
  addsub: 9,
  cmp: 0x10,
  round: 0x20,
} as const;
/** Conversions of fp_convert, likewise. */
const Convert = {
  dq2ps: 0,
  pi2ps: 1,
  ps2dq: 2,
  tps2dq: 3,
  ps2pi: 4,
  tps2pi: 5,
  pd2dq: 6,
  tpd2dq: 7,
  pd2ps: 8,
  ps2pd: 9,
} as const;

/** d = op(d, source) on the low lane; `imm` takes the immediate as well. */
function scalar(op: number, size: 4 | 8, imm = false): Rule {
  return sse((l) => {
    const source = readScalar(l, 1, size);
    const d = xmmOf(l, 0);
    l.ir.pos(op, d, d, source, imm ? immediate(l) : 0);
  });
}
/** d = op(source) on the low lane. */
function scalarUnary(op: number, size: 4 | 8, imm = false): Rule {
  return sse((l) => {
    const source = readScalar(l, 1, size);
    l.ir.pos(op, xmmOf(l, 0), source, 0, imm ? immediate(l) : 0);
  });
}
/** RCPSS, RSQRTSS: no exceptions. */
function approximate(op: number): Rule {
  return sse((l) => {
    const source = readScalar(l, 1, 4);
    l.ir.rrr(op, xmmOf(l, 0), source);
  });
}
/** d = op(d, source), or of the source alone, on all lanes. */
function packed(op: number, kind: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    l.ir.pos(op, d, d, source, kind);
  });
}
/** CMPxx: bits 0-2 of the immediate count. */
function compare(op: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    l.ir.pos(op, d, d, source, Packed.cmp | (immediate(l) & 7));
  });
}
function compareScalar(op: number, size: 4 | 8): Rule {
  return sse((l) => {
    const source = readScalar(l, 1, size);
    const d = xmmOf(l, 0);
    l.ir.pos(op, d, d, source, immediate(l) & 7);
  });
}
function round(op: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    l.ir.pos(op, xmmOf(l, 0), source, source, Packed.round | (immediate(l) & 15));
  });
}
/** COMIS (quiet 0) and UCOMIS. */
function compareToFlags(op: number, size: 4 | 8, quiet: 0 | 1): Rule {
  return sse((l) => {
    const source = readScalar(l, 1, size);
    l.ir.pos(op, 0, xmmOf(l, 0), source, quiet);
  });
}
/** HADD and HSUB: the even lanes of both operands with the odd ones. */
function horizontal(op: number, kind: number): Rule {
  const single = op === Op.f32x4;
  return sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    const even = l.vtemp();
    const odd = l.vtemp();
    if (single) {
      l.ir.pos(Op.v_shufps, even, d, source, 0x88);
      l.ir.pos(Op.v_shufps, odd, d, source, 0xdd);
    } else {
      l.ir.rrr(Op.v_punpcklqdq, even, d, source);
      l.ir.rrr(Op.v_punpckhqdq, odd, d, source);
    }
    l.ir.pos(op, d, even, odd, kind);
  });
}
function dot(op: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    l.ir.pos(op, d, d, source, immediate(l));
  });
}

// Conversions.

/** CVTSI2SS, CVTSI2SD. */
function fromInteger(narrow: number, wide: number): Rule {
  return sse((l) => {
    const source = l.read(1);
    const d = xmmOf(l, 0);
    const op = l.size(1) === 8 ? wide : narrow;
    if (op === Op.f64_from_i32) l.ir.rrr(op, d, source);
    else l.ir.pos(op, d, source, 0);
  });
}
/** CVT(T)SS2SI, CVT(T)SD2SI. */
function toInteger(narrow: number, wide: number, size: 4 | 8): Rule {
  return sse((l) => {
    const source = readScalar(l, 1, size);
    l.ir.pos(l.size(0) === 8 ? wide : narrow, l.registerOf(0), source, 0);
  });
}
/** Conversions of whole vectors; `size` bytes are read. */
function convert(kind: number, size: 8 | 16): Rule {
  return sse((l) => {
    const source = size === 16 ? readVector(l, 1) : readLow(l, 1, size);
    l.ir.pos(Op.fp_convert, xmmOf(l, 0), source, 0, kind);
  });
}
const cvtdq2pd = sse((l) => {
  const source = readLow(l, 1, 8);
  l.ir.rrr(Op.f64x2_from_i32, xmmOf(l, 0), source);
});

/** Of two lanes into an MMX register. The x87 state is that of MMX code even where #XM is raised. */
function toMmx(kind: number, size: 8 | 16): Rule {
  return sse((l) => {
    checkMmx(l);
    const source = size === 16 ? readVector(l, 1) : readLow(l, 1, size);
    const v = l.vtemp();
    enterMmx(l);
    l.ir.pos(Op.fp_convert, v, source, 0, kind);
    writeMmx(l, mmxOf(l, 0), v);
  });
}
/** From memory both leave the x87 state alone. */
const cvtpi2ps = sse((l) => {
  const source = readMmx(l, 1);
  const v = l.vtemp();
  if (!l.isMemory(1)) enterMmx(l);
  l.ir.pos(Op.fp_convert, v, source, 0, Convert.pi2ps);
  l.ir.rrr(Op.mov64, xmmOf(l, 0), v);
});
const cvtpi2pd = sse((l) => {
  const source = readMmx(l, 1);
  if (!l.isMemory(1)) enterMmx(l);
  l.ir.rrr(Op.f64x2_from_i32, xmmOf(l, 0), source);
});

export const sseFloatRules: Record<string, Rule> = {
  rcpss: approximate(Op.f32_rcp),
  rsqrtss: approximate(Op.f32_rsqrt),
  rcpps: packed(Op.f32x4, Packed.rcp),
  rsqrtps: packed(Op.f32x4, Packed.rsqrt),
  sqrtss: scalarUnary(Op.f32_sqrt, 4),
  sqrtsd: scalarUnary(Op.f64_sqrt, 8),
  cmpps: compare(Op.f32x4),
  cmppd: compare(Op.f64x2),
  cmpss: compareScalar(Op.f32_cmp, 4),
  cmpsd: compareScalar(Op.f64_cmp, 8),
  ucomiss: compareToFlags(Op.f32_comi, 4, 1),
  ucomisd: compareToFlags(Op.f64_comi, 8, 1),
  comiss: compareToFlags(Op.f32_comi, 4, 0),
  comisd: compareToFlags(Op.f64_comi, 8, 0),
  roundss: scalarUnary(Op.f32_round, 4, true),
  roundsd: scalarUnary(Op.f64_round, 8, true),
  roundps: round(Op.f32x4),
  roundpd: round(Op.f64x2),
  haddps: horizontal(Op.f32x4, Packed.add),
  haddpd: horizontal(Op.f64x2, Packed.add),
  hsubps: horizontal(Op.f32x4, Packed.sub),
  hsubpd: horizontal(Op.f64x2, Packed.sub),
  addsubps: packed(Op.f32x4, Packed.addsub),
  addsubpd: packed(Op.f64x2, Packed.addsub),
  dpps: dot(Op.f32x4_dot),
  dppd: dot(Op.f64x2_dot),
  cvtsi2ss: fromInteger(Op.f32_from_i32, Op.f32_from_i64),
  cvtsi2sd: fromInteger(Op.f64_from_i32, Op.f64_from_i64),
  cvtss2si: toInteger(Op.f32_to_i32, Op.f32_to_i64, 4),
  cvtsd2si: toInteger(Op.f64_to_i32, Op.f64_to_i64, 8),
  cvttss2si: toInteger(Op.f32_trunc_i32, Op.f32_trunc_i64, 4),
  cvttsd2si: toInteger(Op.f64_trunc_i32, Op.f64_trunc_i64, 8),
  cvtss2sd: scalarUnary(Op.f32_to_f64, 4),
  cvtsd2ss: scalarUnary(Op.f64_to_f32, 8),
  cvtps2pd: convert(Convert.ps2pd, 8),
  cvtpd2ps: convert(Convert.pd2ps, 16),
  cvtdq2ps: convert(Convert.dq2ps, 16),
  cvtps2dq: convert(Convert.ps2dq, 16),
  cvttps2dq: convert(Convert.tps2dq, 16),
  cvtpd2dq: convert(Convert.pd2dq, 16),
  cvttpd2dq: convert(Convert.tpd2dq, 16),
  cvtdq2pd,
  cvtpi2ps,
  cvtpi2pd,
  cvtps2pi: toMmx(Convert.ps2pi, 8),
  cvttps2pi: toMmx(Convert.tps2pi, 8),
  cvtpd2pi: toMmx(Convert.pd2dq, 16),
  cvttpd2pi: toMmx(Convert.tpd2dq, 16),
};
for (const name of ["add", "sub", "mul", "div", "min", "max"] as const) {
  sseFloatRules[`${name}ss`] = scalar(Op[`f32_${name}`], 4);
  sseFloatRules[`${name}sd`] = scalar(Op[`f64_${name}`], 8);
}
for (const name of ["add", "sub", "mul", "div", "min", "max", "sqrt"] as const) {
  sseFloatRules[`${name}ps`] = packed(Op.f32x4, Packed[name]);
  sseFloatRules[`${name}pd`] = packed(Op.f64x2, Packed[name]);
}
