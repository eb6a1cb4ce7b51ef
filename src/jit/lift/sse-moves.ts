/** Moves between XMM registers, general registers and memory, and of elements within a vector. */
import { Op } from "#ir";
import { at, xmm } from "#vcpu";
import { type Lifter, log2, type Rule } from "./lifter.ts";
import { requireSse } from "./system.ts";
import { clearUpper, immediate, readLow, readScalar, readVector, xmmOf, zeros } from "./vector-operands.ts";

/** A rule of SSE: raises #UD or #NM where SSE cannot be used. */
export const sse =
  (rule: Rule): Rule =>
  (l, i) => {
    if (requireSse(l)) rule(l, i);
  };

/** MOVAPS, MOVDQU and their like: all sixteen bytes. */
const whole = sse((l) => {
  const aligned = l.i.row.alignment === 16;
  if (l.isMemory(0)) l.store(aligned ? Op.stva : Op.stv, xmmOf(l, 1));
  else if (l.isMemory(1)) l.load(aligned ? Op.ldva : Op.ldv, xmmOf(l, 0));
  else l.ir.rrr(Op.movv, xmmOf(l, 0), xmmOf(l, 1));
});

/** MOVSS and MOVSD: a load clears the rest of the register, a move between registers keeps it. */
function scalarMove(size: 4 | 8): Rule {
  return sse((l) => {
    if (l.isMemory(0)) return l.store(size === 8 ? Op.st64 : Op.st32, xmmOf(l, 1));
    const d = xmmOf(l, 0);
    if (l.isMemory(1)) l.load(size === 8 ? Op.ldz64_128 : Op.ldz32_128, d);
    else l.ir.rrr(size === 8 ? Op.mov64 : Op.movw32, d, xmmOf(l, 1));
  });
}

/** MOVQ: the upper half of a register is cleared. */
const movq = sse((l) => {
  if (l.isMemory(0)) return l.store(Op.st64, xmmOf(l, 1));
  const d = xmmOf(l, 0);
  if (l.isMemory(1)) return l.load(Op.ldz64_128, d);
  l.ir.rrr(Op.mov64, d, xmmOf(l, 1));
  clearUpper(l, d);
});

/** MOVD and MOVQ between a general register or memory and an XMM register. */
export const movdXmm = sse((l) => {
  if (l.place(0) === "xmm-reg") {
    const d = xmmOf(l, 0);
    const wide = l.size(1) === 8;
    if (l.isMemory(1)) return l.load(wide ? Op.ldz64_128 : Op.ldz32_128, d);
    l.ir.rrr(wide ? Op.mov64 : Op.mov32, d, l.registerOf(1));
    clearUpper(l, d);
  } else l.write(0, xmmOf(l, 1));
});

/** MOVLPS, MOVHPS, MOVLPD, MOVHPD with memory: one half. */
function half(offset: 0 | 8): Rule {
  return sse((l) => {
    if (l.isMemory(0)) l.store(Op.st64, xmmOf(l, 1) + offset);
    else l.load(Op.ld64, xmmOf(l, 0) + offset);
  });
}

function mask(op: number): Rule {
  return sse((l) => l.ir.rrr(op, l.registerOf(0), xmmOf(l, 1)));
}
export const pmovmskbXmm = mask(Op.v_pmovmskb);

/** d = op(source) */
function unary(op: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    l.ir.rrr(op, xmmOf(l, 0), source);
  });
}
/** d = op(d, source) */
function binary(op: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    l.ir.rrr(op, d, d, source);
  });
}

/** d = op(source, imm) */
function shuffle(op: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    l.ir.rri(op, xmmOf(l, 0), source, immediate(l), 0);
  });
}
/** The shuffle by a fixed immediate. */
function fixedShuffle(imm: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    l.ir.rri(Op.v_pshufd, xmmOf(l, 0), source, imm, 0);
  });
}

const shufps = sse((l) => {
  const source = readVector(l, 1);
  const d = xmmOf(l, 0);
  l.ir.pos(Op.v_shufps, d, d, source, immediate(l));
});
const shufpd = sse((l) => {
  const source = readVector(l, 1);
  const d = xmmOf(l, 0);
  switch (immediate(l) & 3) {
    case 0:
      return l.ir.rrr(Op.v_punpcklqdq, d, d, source);
    case 1:
      return l.ir.pos(Op.v_palignr, d, source, d, 8);
    case 2:
      return l.ir.pos(Op.v_pblendw, d, d, source, 0xf0);
    default:
      return l.ir.rrr(Op.v_punpckhqdq, d, d, source);
  }
});

const movddup = sse((l) => {
  const source = readScalar(l, 1, 8);
  l.ir.rrr(Op.v_splatq, xmmOf(l, 0), source);
});

/** PSLLDQ (left) and PSRLDQ: by bytes, zeros come in. */
function shiftBytes(left: boolean): Rule {
  return sse((l) => {
    const d = xmmOf(l, 0);
    const count = Math.min(immediate(l), 16);
    const zero = zeros(l);
    if (left) l.ir.pos(Op.v_palignr, d, d, zero, 16 - count);
    else l.ir.pos(Op.v_palignr, d, zero, d, count);
  });
}

/** PALIGNR: the bytes from imm on of destination over source. */
export const palignrXmm = sse((l) => {
  const source = readVector(l, 1);
  const d = xmmOf(l, 0);
  l.ir.pos(Op.v_palignr, d, d, source, Math.min(immediate(l), 32));
});

// One element.

/** PINSRB, PINSRW, PINSRD and PINSRQ: a lane of `size` bytes from a general register or memory. */
function insert(l: Lifter, size: number): void {
  const source = l.isMemory(1) ? l.temp() : l.registerOf(1);
  if (l.isMemory(1)) l.load(Op.ld8 + 2 * log2(size), source);
  const lane = xmmOf(l, 0) + size * (immediate(l) & (16 / size - 1));
  l.ir.rrr(size === 1 ? Op.mov8 : size === 2 ? Op.mov16 : size === 4 ? Op.movw32 : Op.mov64, lane, source);
}
export const pinsrwXmm = sse((l) => insert(l, 2));

/** PEXTRB, PEXTRW: a lane to memory, or extended to a general register. */
function extractNarrow(l: Lifter, size: 1 | 2): void {
  const lane = xmmOf(l, 1) + size * (immediate(l) & (16 / size - 1));
  if (l.isMemory(0)) l.store(size === 1 ? Op.st8 : Op.st16, lane);
  else l.ir.rrr(size === 1 ? Op.zx8_32 : Op.zx16_32, l.registerOf(0), lane);
}
export const pextrwXmm = sse((l) => extractNarrow(l, 2));

/** PEXTRD, PEXTRQ, EXTRACTPS. */
function extract(l: Lifter, size: number): void {
  const lane = xmmOf(l, 1) + size * (immediate(l) & (16 / size - 1));
  if (l.isMemory(0)) l.store(size === 8 ? Op.st64 : Op.st32, lane);
  else if (size === 8) l.ir.rrr(Op.mov64, l.registerOf(0), lane);
  else l.ir.rrr(Op.mov32, l.registerOf(0), lane);
}

/** INSERTPS: imm bits 6-7 choose the source's lane (a register's), 4-5 the destination's, 0-3 the lanes to clear. */
const insertps = sse((l) => {
  const imm = immediate(l);
  const d = xmmOf(l, 0);
  const source = l.isMemory(1) ? readScalar(l, 1, 4) : xmmOf(l, 1) + 4 * (imm >> 6);
  l.ir.rrr(Op.movw32, d + 4 * ((imm >> 4) & 3), source);
  for (let n = 0; n < 4; n++) if ((imm >> n) & 1) l.ir.rrr(Op.movw32, d + 4 * n, at.ZERO);
});

// Blends: the immediate has a bit for each element; `spread` bits of PBLENDW's make one.
function blend(spread: 1 | 2 | 4): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    let mask = 0;
    for (let n = 0; n < 8 / spread; n++) if ((immediate(l) >> n) & 1) mask |= ((1 << spread) - 1) << (n * spread);
    l.ir.pos(Op.v_pblendw, d, d, source, mask);
  });
}
/** By the top bits of XMM0's elements. */
function blendByXmm0(op: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    const v = l.vtemp();
    l.ir.rrr(Op.movv, v, xmm(0));
    l.ir.rrr(op, v, d, source);
    l.ir.rrr(Op.movv, d, v);
  });
}

/** PMOVSX and PMOVZX: `size` bytes are read. */
function extend(op: number, size: 2 | 4 | 8): Rule {
  return sse((l) => {
    const source = readLow(l, 1, size);
    l.ir.rrr(op, xmmOf(l, 0), source);
  });
}

export const sseMoveRules: Record<string, Rule> = {
  movups: whole,
  movupd: whole,
  movaps: whole,
  movapd: whole,
  movdqa: whole,
  movdqu: whole,
  lddqu: whole,
  movntps: whole,
  movntpd: whole,
  movntdq: whole,
  movntdqa: whole,
  movss: scalarMove(4),
  movsd: scalarMove(8),
  "movq-xmm": movq,
  movlps: half(0),
  movlpd: half(0),
  movhpd: half(8),
  movhps: half(8),
  movhlps: sse((l) => l.ir.rrr(Op.mov64, xmmOf(l, 0), xmmOf(l, 1) + 8)),
  movlhps: sse((l) => l.ir.rrr(Op.mov64, xmmOf(l, 0) + 8, xmmOf(l, 1))),
  movmskps: mask(Op.v_movmskps),
  movmskpd: mask(Op.v_movmskpd),
  movddup,
  movsldup: fixedShuffle(0xa0),
  movshdup: fixedShuffle(0xf5),
  pshufd: shuffle(Op.v_pshufd),
  pshuflw: shuffle(Op.v_pshuflw),
  pshufhw: shuffle(Op.v_pshufhw),
  shufps,
  shufpd,
  unpcklps: binary(Op.v_punpckldq),
  unpckhps: binary(Op.v_punpckhdq),
  unpcklpd: binary(Op.v_punpcklqdq),
  unpckhpd: binary(Op.v_punpckhqdq),
  punpcklqdq: binary(Op.v_punpcklqdq),
  punpckhqdq: binary(Op.v_punpckhqdq),
  andps: binary(Op.v_and),
  andpd: binary(Op.v_and),
  andnps: binary(Op.v_andnot),
  andnpd: binary(Op.v_andnot),
  orps: binary(Op.v_or),
  orpd: binary(Op.v_or),
  xorps: binary(Op.v_xor),
  xorpd: binary(Op.v_xor),
  pslldq: shiftBytes(true),
  psrldq: shiftBytes(false),
  pinsrb: sse((l) => insert(l, 1)),
  pinsrd: sse((l) => insert(l, l.size(1))),
  pextrb: sse((l) => extractNarrow(l, 1)),
  pextrd: sse((l) => extract(l, l.size(0))),
  extractps: sse((l) => extract(l, 4)),
  insertps,
  blendps: blend(2),
  blendpd: blend(4),
  pblendw: blend(1),
  pblendvb: blendByXmm0(Op.v_blendb),
  blendvps: blendByXmm0(Op.v_blendd),
  blendvpd: blendByXmm0(Op.v_blendq),
  pmovsxbw: extend(Op.v_pmovsxbw, 8),
  pmovsxbd: extend(Op.v_pmovsxbd, 4),
  pmovsxbq: extend(Op.v_pmovsxbq, 2),
  pmovsxwd: extend(Op.v_pmovsxwd, 8),
  pmovsxwq: extend(Op.v_pmovsxwq, 4),
  pmovsxdq: extend(Op.v_pmovsxdq, 8),
  pmovzxbw: extend(Op.v_pmovzxbw, 8),
  pmovzxbd: extend(Op.v_pmovzxbd, 4),
  pmovzxbq: extend(Op.v_pmovzxbq, 2),
  pmovzxwd: extend(Op.v_pmovzxwd, 8),
  pmovzxwq: extend(Op.v_pmovzxwq, 4),
  pmovzxdq: extend(Op.v_pmovzxdq, 8),
  mpsadbw: sse((l) => {
    const source = readVector(l, 1);
    const d = xmmOf(l, 0);
    l.ir.pos(Op.v_mpsadbw, d, d, source, immediate(l) & 7);
  }),
  ptest: sse((l) => {
    const source = readVector(l, 1);
    l.ir.rrr(Op.v_ptest, 0, xmmOf(l, 0), source);
  }),
  phminposuw: unary(Op.v_phminposuw),
};
