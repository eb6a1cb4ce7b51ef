/** Moves, extensions, conditional moves, addresses, and moves of flags. */
import { Helper, Op } from "#ir";
import { at } from "#vcpu";
import { DF } from "#x86";
import { type Lifter, log2, type Rule, rax, rbx, rdx } from "./lifter.ts";

function mov(l: Lifter): void {
  const size = l.size(0);
  const n = log2(size);
  if (l.isMemory(0)) return l.store(Op.st8 + 2 * n, l.read(1));
  const d = l.registerOf(0);
  if (l.isImmediate(1)) {
    const low = l.immediateLow(1);
    if (size === 1) l.ir.rri(Op.const8, d, 0, low);
    else if (size === 2) l.ir.rri(Op.const16, d, 0, low);
    else l.ir.rri(Op.const64, d, 0, low, size === 4 ? 0 : l.immediateHigh(1));
  } else if (l.isMemory(1)) l.load(Op.ld8 + 2 * n, d);
  else l.ir.rrr(Op.mov8 + n, d, l.read(1));
}

function movzx(l: Lifter): void {
  const d = l.registerOf(0);
  const to = l.size(0);
  if (l.size(1) === 1) {
    if (l.isMemory(1)) l.load(to === 2 ? Op.ldz8_16 : Op.ldz8_32, d);
    else l.ir.rrr(to === 2 ? Op.zx8_16 : Op.zx8_32, d, l.registerOf(1));
  } else if (to === 2) {
    if (l.isMemory(1)) l.load(Op.ld16, d);
    else l.ir.rrr(Op.mov16, d, l.registerOf(1));
  } else if (l.isMemory(1)) l.load(Op.ldz16_32, d);
  else l.ir.rrr(Op.zx16_32, d, l.registerOf(1));
}

function movsx(l: Lifter): void {
  const d = l.registerOf(0);
  const to = l.size(0);
  if (l.size(1) === 1) {
    if (l.isMemory(1)) l.load(to === 2 ? Op.lds8_16 : to === 4 ? Op.lds8_32 : Op.lds8_64, d);
    else l.ir.rrr(to === 2 ? Op.sx8_16 : to === 4 ? Op.sx8_32 : Op.sx8_64, d, l.registerOf(1));
  } else if (l.isMemory(1)) l.load(to === 2 ? Op.ld16 : to === 4 ? Op.lds16_32 : Op.lds16_64, d);
  else l.ir.rrr(to === 2 ? Op.mov16 : to === 4 ? Op.sx16_32 : Op.sx16_64, d, l.registerOf(1));
}

/** Without REX.W nothing is extended; a memory operand is 32 bits also where 16 are kept. */
function movsxd(l: Lifter): void {
  const d = l.registerOf(0);
  const to = l.size(0);
  if (to === 2) l.ir.rrr(Op.mov16, d, l.read(1));
  else if (l.isMemory(1)) l.load(to === 8 ? Op.lds32_64 : Op.ld32, d);
  else l.ir.rrr(to === 8 ? Op.sx32_64 : Op.mov32, d, l.registerOf(1));
}

function lea(l: Lifter): void {
  const size = l.size(0);
  const d = l.registerOf(0);
  if (size === 2) {
    const t = l.temp();
    l.effectiveAddress(Op.lea32, t);
    l.ir.rrr(Op.mov16, d, t);
  } else l.effectiveAddress(size === 4 ? Op.lea32 : Op.lea64, d);
}

function bswap(l: Lifter): void {
  const d = l.registerOf(0);
  const size = l.i.operandSize;
  // Undefined for 16 bits; processors clear them.
  if (size === 2) l.ir.rri(Op.const16, d, 0, 0);
  else l.ir.rrr(size === 4 ? Op.bswap32 : Op.bswap64, d, d);
}

/** AL = [rBX + AL]. */
function xlat(l: Lifter): void {
  const t = l.temp();
  l.ir.rrr(Op.zx8_32, t, rax);
  const addressSize = l.i.addressSize;
  if (addressSize === 8) l.ir.rrr(Op.add64, t, t, rbx);
  else if (addressSize === 4) l.ir.rrr(Op.add32, t, t, rbx);
  else l.ir.rrr(Op.add16, t, t, rbx);
  l.ir.mem(Op.ld8, rax, l.linear(t, l.i.segment), 0);
}

/** CBW CWDE CDQE. */
function cbw(l: Lifter): void {
  const size = l.i.operandSize;
  l.ir.rrr(size === 2 ? Op.sx8_16 : size === 4 ? Op.sx16_32 : Op.sx32_64, rax, rax);
}

/** CWD CDQ CQO: rDX is filled with the sign of rAX. */
function cwd(l: Lifter): void {
  const size = l.i.operandSize;
  l.ir.rri(Op.sar8i + log2(size), rdx, rax, size * 8 - 1);
}

function setcc(l: Lifter, i: { row: { opcode: number } }): void {
  const t = l.temp();
  l.condition(i.row.opcode & 15, t);
  l.write(0, t);
}

/** The source is read whatever the condition, and a 32-bit destination's upper half is always cleared. */
function cmovcc(l: Lifter, i: { row: { opcode: number } }): void {
  const source = l.read(1);
  const t = l.temp();
  l.condition(i.row.opcode & 15, t);
  l.ir.rrr(Op.select8 + log2(l.size(0)), l.registerOf(0), t, source);
}

const ah = rax + 1;
/** SF ZF AF PF CF, the flags that AH carries. */
const ahFlags = 0xd5;

function lahf(l: Lifter): void {
  const t = l.temp();
  l.ir.rrr(Op.getflags, t, 0);
  l.ir.rri(Op.or64i, t, t, 2);
  l.ir.rrr(Op.mov8, ah, t);
}

function sahf(l: Lifter): void {
  const t = l.temp();
  const u = l.temp();
  l.ir.rrr(Op.getflags, t, 0);
  l.ir.rri(Op.and64i, t, t, ~ahFlags);
  l.ir.rrr(Op.zx8_32, u, ah);
  l.ir.rri(Op.and64i, u, u, ahFlags);
  l.ir.rrr(Op.or64, t, t, u);
  l.ir.rrr(Op.setflags, 0, t);
}

function cmc(l: Lifter): void {
  const t = l.temp();
  l.condition(3, t);
  l.ir.rrr(Op.setcarry, 0, t);
}

function salc(l: Lifter): void {
  const t = l.temp();
  l.condition(2, t);
  l.ir.rrr(Op.sub8, rax, at.ZERO, t);
}

function cld(l: Lifter): void {
  l.ir.rri(Op.and64i, at.EFLAGS, at.EFLAGS, ~DF);
  l.ir.rri(Op.const64, at.DIRECTION, 0, 1);
}
function std(l: Lifter): void {
  l.ir.rri(Op.or64i, at.EFLAGS, at.EFLAGS, DF);
  l.ir.rri(Op.const64, at.DIRECTION, 0, -1);
}

/** DAA DAS AAA AAS AAM AAD, numbered as runtime/integer.ts does; flags travel through a temporary. */
function decimal(kind: number): Rule {
  return (l, i) => {
    const t = l.temp();
    l.ir.rrr(Op.getflags, t, 0);
    l.ir.call(Helper.decimal, t, i.immLow & 0xff, kind);
    l.ir.rrr(Op.setflags, 0, t);
  };
}

const nothing: Rule = () => {};
const fence: Rule = (l) => l.ir.call(Helper.fence);

export const moveRules: Record<string, Rule> = {
  mov,
  movnti: mov,
  movzx,
  movsx,
  movsxd,
  lea,
  bswap,
  xlat,
  cbw,
  cwd,
  setcc,
  cmovcc,
  lahf,
  sahf,
  clc: (l) => l.ir.rrr(Op.setcarry, 0, at.ZERO),
  stc: (l) => l.ir.rrr(Op.setcarry, 0, l.constant(1)),
  cmc,
  salc,
  cld,
  std,
  daa: decimal(0),
  das: decimal(1),
  aaa: decimal(2),
  aas: decimal(3),
  aam: decimal(4),
  aad: decimal(5),
  nop: nothing,
  pause: nothing,
  lfence: nothing,
  sfence: nothing,
  mfence: fence,
  // Nothing is cached, but the address is checked as a load's.
  clflush: (l) => l.load(Op.ld8, l.temp()),
};
