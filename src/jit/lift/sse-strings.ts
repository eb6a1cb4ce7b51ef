/** The string comparisons of SSE4.2, and the masked stores. */
import { Helper, Op } from "#ir";
import { type Lifter, type Rule, rcx, rdi } from "./lifter.ts";
import { sse } from "./sse-moves.ts";
import { requireMmx } from "./system.ts";
import { enterMmx, immediate, isMmx, mmxOf, readVector, xmmOf } from "./vector-operands.ts";

/** Bits above the immediate, as runtime/vector-strings.ts has them. */
const explicit = 0x100;
const wideLengths = 0x200;
const givesMask = 0x400;

function compareStrings(flags: number): Rule {
  return sse((l) => {
    const source = readVector(l, 1);
    const wide = l.i.rex & 8 ? wideLengths : 0;
    l.ir.call(Helper.compare_strings, xmmOf(l, 0), source, immediate(l) | flags | wide);
  });
}

/** Bytes (bit 0), "equal each" (bits 2 and 3): strcmp's. */
const isSameString = (imm: number): boolean => (imm & 0b1101) === 0b1000;

const compareImplicit: Rule = (l, i) => {
  if (isSameString(immediate(l))) sameString(l, i);
  else compareOthers(l, i);
};
const compareOthers = compareStrings(0);
const sameString = sse((l) => l.ir.pos(Op.v_same_string, rcx, xmmOf(l, 0), readVector(l, 1), immediate(l)));

/** The linear address DS:rDI, in a field. */
function destination(l: Lifter): number {
  const size = l.i.addressSize;
  let offset = rdi;
  if (size !== 8) {
    offset = l.temp();
    l.ir.rrr(size === 4 ? Op.mov32 : Op.zx16_32, offset, rdi);
  }
  return l.linear(offset, l.i.segment, true, isMmx(l, 0) ? 8 : 16);
}

/** MASKMOVDQU, MASKMOVQ: the bytes whose mask byte has its top bit set go to [rDI]. */
const maskedStore: Rule = (l, i) => {
  const mmx = isMmx(l, 0);
  if (mmx) {
    if (!requireMmx(l)) return;
    enterMmx(l);
    l.ir.call(Helper.store_masked, destination(l), mmxOf(l, 0), mmxOf(l, 1) | (1 << 16));
  } else maskedXmm(l, i);
};
const maskedXmm = sse((l) => l.ir.call(Helper.store_masked, destination(l), xmmOf(l, 0), xmmOf(l, 1)));

export const sseStringRules: Record<string, Rule> = {
  pcmpestrm: compareStrings(explicit | givesMask),
  pcmpestri: compareStrings(explicit),
  pcmpistrm: compareStrings(givesMask),
  pcmpistri: compareImplicit,
  maskmovq: maskedStore,
  maskmovdqu: maskedStore,
};
