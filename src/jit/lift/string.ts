/**
 * String instructions. Without REP they are plain IR; with it a runtime helper does the whole loop (runtime/string.ts),
 * and counts as one instruction. INS and OUTS are with the system instructions.
 */
import { Helper, type HelperName, Op } from "#ir";
import { at } from "#vcpu";
import { type Lifter, log2, type Rule, rax, rdi, rsi } from "./lifter.ts";

const ES = 0;
const SS = 2;

/** An index register as the offset it is: of the address size, zero-extended. */
function offset(l: Lifter, register: number): number {
  const size = l.i.addressSize;
  if (size === 8) return register;
  const t = l.temp();
  l.ir.rrr(size === 4 ? Op.mov32 : Op.zx16_32, t, register);
  return t;
}

/** Fields with the linear addresses of the source and of the destination. */
const source = (l: Lifter): number => l.linear(offset(l, rsi), l.i.segment, false, l.i.operandSize);
const destination = (l: Lifter, writes: boolean): number => l.linear(offset(l, rdi), ES, writes, l.i.operandSize);

/** The field with what the index registers move by. */
function stride(l: Lifter, n: number): number {
  if (n === 0) return at.DIRECTION;
  const t = l.temp();
  l.ir.rri(Op.shl64i, t, at.DIRECTION, n);
  return t;
}
function advance(l: Lifter, register: number, by: number): void {
  l.ir.rrr(Op.add8 + log2(l.i.addressSize), register, register, by);
}

/** The whole loop, in the notation of runtime/string.ts. */
function repeat(l: Lifter, helper: HelperName, n: number): void {
  const i = l.i;
  const imm = n | (log2(i.addressSize) << 2) | (l.long ? 0 : 16) | (i.rep === 0xf2 ? 32 : 0);
  if (i.segment === SS && helper !== "rep_stos" && helper !== "rep_scas") l.ir.stackSegment();
  l.ir.call(Helper[helper], l.segmentBase(i.segment), l.segmentBase(ES), imm);
}

const movs: Rule = (l, i) => {
  const n = log2(i.operandSize);
  if (i.rep !== 0) return repeat(l, "rep_movs", n);
  const t = l.temp();
  l.ir.mem(Op.ld8 + 2 * n, t, source(l), 0);
  l.ir.mem(Op.st8 + 2 * n, t, destination(l, true), 0);
  const by = stride(l, n);
  advance(l, rsi, by);
  advance(l, rdi, by);
};

const cmps: Rule = (l, i) => {
  const n = log2(i.operandSize);
  if (i.rep !== 0) return repeat(l, "rep_cmps", n);
  const t = l.temp();
  const u = l.temp();
  // As AMD's processors do, ES:rDI first.
  l.ir.mem(Op.ld8 + 2 * n, u, destination(l, false), 0);
  l.ir.mem(Op.ld8 + 2 * n, t, source(l), 0);
  const by = stride(l, n);
  advance(l, rsi, by);
  advance(l, rdi, by);
  l.ir.rrr(Op.cmp8 + n, 0, t, u);
};

const stos: Rule = (l, i) => {
  const n = log2(i.operandSize);
  if (i.rep !== 0) return repeat(l, "rep_stos", n);
  l.ir.mem(Op.st8 + 2 * n, rax, destination(l, true), 0);
  advance(l, rdi, stride(l, n));
};

const lods: Rule = (l, i) => {
  const n = log2(i.operandSize);
  if (i.rep !== 0) return repeat(l, "rep_lods", n);
  l.ir.mem(Op.ld8 + 2 * n, rax, source(l), 0);
  advance(l, rsi, stride(l, n));
};

const scas: Rule = (l, i) => {
  const n = log2(i.operandSize);
  if (i.rep !== 0) return repeat(l, "rep_scas", n);
  const t = l.temp();
  l.ir.mem(Op.ld8 + 2 * n, t, destination(l, false), 0);
  advance(l, rdi, stride(l, n));
  l.ir.rrr(Op.cmp8 + n, 0, rax, t);
};

export const stringRules: Record<string, Rule> = { movs, cmps, stos, lods, scas };
