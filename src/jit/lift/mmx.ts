/** MMX instructions that XMM registers do not share. (Those they share are in packed-integer.ts.) */
import { Helper, Op } from "#ir";
import type { Rule } from "./lifter.ts";
import { requireMmx, requireSse } from "./system.ts";
import { checkMmx, clearUpper, enterMmx, immediate, mmxOf, readMmx, writeMmx, xmmOf } from "./vector-operands.ts";

/** MOVQ and MOVNTQ. */
const movq: Rule = (l) => {
  if (!requireMmx(l)) return;
  checkMmx(l);
  if (l.isMemory(0)) {
    l.store(Op.st64, mmxOf(l, 1));
    enterMmx(l);
    return;
  }
  const source = l.isMemory(1) ? l.temp() : mmxOf(l, 1);
  if (l.isMemory(1)) l.load(Op.ld64, source);
  enterMmx(l);
  writeMmx(l, mmxOf(l, 0), source);
};

const pshufw: Rule = (l) => {
  if (!requireMmx(l)) return;
  checkMmx(l);
  const v = readMmx(l, 1);
  enterMmx(l);
  l.ir.rri(Op.v_pshuflw, v, v, immediate(l), 0);
  writeMmx(l, mmxOf(l, 0), v);
};

const movq2dq: Rule = (l) => {
  if (!requireSse(l)) return;
  enterMmx(l);
  const d = xmmOf(l, 0);
  l.ir.rrr(Op.mov64, d, mmxOf(l, 1));
  clearUpper(l, d);
};
const movdq2q: Rule = (l) => {
  if (!requireSse(l)) return;
  enterMmx(l);
  writeMmx(l, mmxOf(l, 0), xmmOf(l, 1));
};

const emms: Rule = (l) => {
  if (requireMmx(l)) l.ir.call(Helper.mmx_emms);
};

export const mmxRules: Record<string, Rule> = { "movq-mmx": movq, movntq: movq, pshufw, movq2dq, movdq2q, emms };
