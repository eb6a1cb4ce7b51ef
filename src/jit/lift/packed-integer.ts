/**
 * Packed integers: one rule for the MMX and the XMM form of an instruction.
 *
 * On MMX registers the 128-bit operation works in the low half of vector temporaries, and where an operation mixes its
 * operands' elements (packs, horizontal additions) both operands together make one vector.
 */
import { Op } from "#ir";
import type { Rule } from "./lifter.ts";
import { movdXmm, palignrXmm, pextrwXmm, pinsrwXmm, pmovmskbXmm } from "./sse-moves.ts";
import { requireMmx, requireSse } from "./system.ts";
import {
  checkMmx,
  enterMmx,
  immediate,
  isMmx,
  mmxOf,
  readMmx,
  readVector,
  writeMmx,
  xmmOf,
  zeros,
} from "./vector-operands.ts";

/** How the MMX form comes of the 128-bit operation. */
type MmxForm =
  /** Element by element. */
  | "lanes"
  /** The operation on the vector that both operands make, the source above. */
  | "joined"
  /** The upper half of the 128-bit result. */
  | "upper";

/** d = op(d, source) */
function packed(op: number, form: MmxForm = "lanes"): Rule {
  return (l) => {
    if (!isMmx(l, 0)) {
      if (!requireSse(l)) return;
      const source = readVector(l, 1);
      const d = xmmOf(l, 0);
      l.ir.rrr(op, d, d, source);
      return;
    }
    if (!requireMmx(l)) return;
    checkMmx(l);
    const source = readMmx(l, 1);
    const d = mmxOf(l, 0);
    const v = l.vtemp();
    enterMmx(l);
    l.ir.rrr(Op.mov64, v, d);
    if (form === "joined") {
      l.ir.rrr(Op.mov64, v + 8, source);
      l.ir.rrr(op, v, v, v);
    } else l.ir.rrr(op, v, v, source);
    writeMmx(l, d, form === "upper" ? v + 8 : v);
  };
}

/** d = op(source) */
function unary(op: number): Rule {
  return (l) => {
    if (!isMmx(l, 0)) {
      if (!requireSse(l)) return;
      const source = readVector(l, 1);
      l.ir.rrr(op, xmmOf(l, 0), source);
      return;
    }
    if (!requireMmx(l)) return;
    checkMmx(l);
    const source = readMmx(l, 1);
    enterMmx(l);
    l.ir.rrr(op, source, source);
    writeMmx(l, mmxOf(l, 0), source);
  };
}

/** Shifts, whose count is a register, memory, or an immediate. `op`: the form by register; `bits`: of an element. */
function shift(op: number, byImmediate: number, bits: number, signed: boolean): Rule {
  const whole = packed(op);
  return (l, i) => {
    if (!l.isImmediate(1)) return whole(l, i);
    const mmx = isMmx(l, 0);
    if (!(mmx ? requireMmx(l) : requireSse(l))) return;
    let count = immediate(l);
    if (signed) count = Math.min(count, bits - 1);
    const d = mmx ? l.vtemp() : xmmOf(l, 0);
    if (mmx) {
      enterMmx(l);
      l.ir.rrr(Op.mov64, d, mmxOf(l, 0));
    }
    if (count < bits) l.ir.rri(byImmediate, d, d, count, 0);
    else l.ir.rrr(Op.movv, d, zeros(l));
    if (mmx) writeMmx(l, mmxOf(l, 0), d);
  };
}

/** PSHUFB: MMX has eight bytes to choose from, so that bit 3 of an index does not count. */
const pshufbXmm = packed(Op.v_pshufb);
const pshufb: Rule = (l, i) => {
  if (!isMmx(l, 0)) return pshufbXmm(l, i);
  if (!requireMmx(l)) return;
  checkMmx(l);
  const source = readMmx(l, 1);
  const v = l.vtemp();
  enterMmx(l);
  const t = l.constant(0x87878787, 0x87878787);
  l.ir.rrr(Op.and64, source, source, t);
  l.ir.rrr(Op.mov64, v, mmxOf(l, 0));
  l.ir.rrr(Op.v_swizzle, v, v, source);
  writeMmx(l, mmxOf(l, 0), v);
};

const palignr: Rule = (l, i) => {
  if (!isMmx(l, 0)) return palignrXmm(l, i);
  if (!requireMmx(l)) return;
  checkMmx(l);
  const v = readMmx(l, 1);
  const d = mmxOf(l, 0);
  enterMmx(l);
  l.ir.rrr(Op.mov64, v + 8, d);
  l.ir.pos(Op.v_palignr, v, zeros(l), v, Math.min(immediate(l), 32));
  writeMmx(l, d, v);
};

const movd: Rule = (l, i) => {
  if (isMmx(l, 0)) {
    if (!requireMmx(l)) return;
    checkMmx(l);
    const t = l.temp();
    const source = l.read(1);
    l.ir.rrr(l.size(1) === 8 ? Op.mov64 : Op.mov32, t, source);
    enterMmx(l);
    writeMmx(l, mmxOf(l, 0), t);
  } else if (isMmx(l, 1)) {
    if (!requireMmx(l)) return;
    checkMmx(l);
    if (l.isMemory(0)) l.write(0, mmxOf(l, 1));
    enterMmx(l);
    if (!l.isMemory(0)) l.write(0, mmxOf(l, 1));
  } else movdXmm(l, i);
};

const pmovmskb: Rule = (l, i) => {
  if (!isMmx(l, 1)) return pmovmskbXmm(l, i);
  if (!requireMmx(l)) return;
  const v = l.vtemp();
  enterMmx(l);
  l.ir.rrr(Op.mov64, v, mmxOf(l, 1));
  l.ir.rrr(Op.v_pmovmskb, l.registerOf(0), v);
  l.ir.rri(Op.and32i, l.registerOf(0), l.registerOf(0), 0xff);
};

const pinsrw: Rule = (l, i) => {
  if (!isMmx(l, 0)) return pinsrwXmm(l, i);
  if (!requireMmx(l)) return;
  checkMmx(l);
  const source = l.isMemory(1) ? l.temp() : l.registerOf(1);
  if (l.isMemory(1)) l.load(Op.ld16, source);
  enterMmx(l);
  const d = mmxOf(l, 0);
  l.ir.rrr(Op.mov16, d + 2 * (immediate(l) & 3), source);
  writeMmx(l, d, d);
};
const pextrw: Rule = (l, i) => {
  if (!isMmx(l, 1)) return pextrwXmm(l, i);
  if (!requireMmx(l)) return;
  enterMmx(l);
  l.ir.rrr(Op.zx16_32, l.registerOf(0), mmxOf(l, 1) + 2 * (immediate(l) & 3));
};

export const packedRules: Record<string, Rule> = {
  movd,
  pmovmskb,
  pinsrw,
  pextrw,
  palignr,
  pshufb,
  packsswb: packed(Op.v_packsswb, "joined"),
  packuswb: packed(Op.v_packuswb, "joined"),
  packssdw: packed(Op.v_packssdw, "joined"),
  packusdw: packed(Op.v_packusdw),
  punpcklbw: packed(Op.v_punpcklbw),
  punpcklwd: packed(Op.v_punpcklwd),
  punpckldq: packed(Op.v_punpckldq),
  pand: packed(Op.v_and),
  pandn: packed(Op.v_andnot),
  por: packed(Op.v_or),
  pxor: packed(Op.v_xor),
  psllw: shift(Op.v_psllw, Op.v_psllwi, 16, false),
  pslld: shift(Op.v_pslld, Op.v_pslldi, 32, false),
  psllq: shift(Op.v_psllq, Op.v_psllqi, 64, false),
  psrlw: shift(Op.v_psrlw, Op.v_psrlwi, 16, false),
  psrld: shift(Op.v_psrld, Op.v_psrldi, 32, false),
  psrlq: shift(Op.v_psrlq, Op.v_psrlqi, 64, false),
  psraw: shift(Op.v_psraw, Op.v_psrawi, 16, true),
  psrad: shift(Op.v_psrad, Op.v_psradi, 32, true),
  pabsb: unary(Op.v_pabsb),
  pabsw: unary(Op.v_pabsw),
  pabsd: unary(Op.v_pabsd),
  phaddw: packed(Op.v_phaddw, "joined"),
  phaddd: packed(Op.v_phaddd, "joined"),
  phaddsw: packed(Op.v_phaddsw, "joined"),
  phsubw: packed(Op.v_phsubw, "joined"),
  phsubd: packed(Op.v_phsubd, "joined"),
  phsubsw: packed(Op.v_phsubsw, "joined"),
  ...Object.fromEntries(
    (
      "paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddsw paddusb paddusw psubsb psubsw psubusb psubusw " +
      "pminub pminsb pminuw pminsw pminud pminsd pmaxub pmaxsb pmaxuw pmaxsw pmaxud pmaxsd pavgb pavgw " +
      "pcmpeqb pcmpeqw pcmpeqd pcmpeqq pcmpgtb pcmpgtw pcmpgtd pcmpgtq pmullw pmulld pmulhw pmulhuw pmulhrsw pmuludq pmuldq " +
      "pmaddwd pmaddubsw psadbw psignb psignw psignd"
    )
      .split(" ")
      .map((name) => [name, packed(Op[`v_${name}` as keyof typeof Op])]),
  ),
};

// The MMX form of an upper half is the upper half of what the lower halves give interleaved.
for (const suffix of ["bw", "wd", "dq"] as const) {
  const mmx = packed(Op[`v_punpckl${suffix}`], "upper");
  const xmm = packed(Op[`v_punpckh${suffix}`]);
  packedRules[`punpckh${suffix}`] = (l, i) => (isMmx(l, 0) ? mmx(l, i) : xmm(l, i));
}
