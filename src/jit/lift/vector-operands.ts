/**
 * Operands in XMM and MMX registers.
 *
 * An XMM register is sixteen bytes of the record, so that a lane is a field like any other: the i64 at xmm(n) + 8 is the
 * upper half, the w32 at xmm(n) + 4 its second single. An MMX register is the i64 at fpr(n); what is computed on it goes
 * through the low half of vector temporaries.
 */
import { Helper, Op } from "#ir";
import { at, fpr, xmm } from "#vcpu";
import type { Lifter } from "./lifter.ts";

/** Whether operand n is an MMX register (or memory in its stead). */
export function isMmx(l: Lifter, n: number): boolean {
  const kind = l.i.row.operands[n];
  return kind === "Pq" || kind === "Qq" || kind === "Nq" || kind === "Pd" || kind === "Qd";
}

/** The XMM register that operand n names. */
export function xmmOf(l: Lifter, n: number): number {
  const place = l.place(n);
  return place === "xmm-reg" ? xmm(l.i.reg) : place === "xmm-fixed" ? xmm(0) : xmm(l.i.rm);
}

/** The MMX register that operand n names. */
export const mmxOf = (l: Lifter, n: number): number => fpr((l.place(n) === "mmx-reg" ? l.i.reg : l.i.rm) & 7);

/** The field of all sixteen bytes of operand n; memory is loaded, aligned if the row asks for that. */
export function readVector(l: Lifter, n: number): number {
  if (!l.isMemory(n)) return xmmOf(l, n);
  const v = l.vtemp();
  l.load(l.i.row.alignment === 16 ? Op.ldva : Op.ldv, v);
  return v;
}

/** The low `size` bytes of operand n, in a field of which no more counts: an XMM register, or a TEMP with what memory has. */
export function readScalar(l: Lifter, n: number, size: number): number {
  if (!l.isMemory(n)) return xmmOf(l, n);
  const t = l.temp();
  l.load(size === 8 ? Op.ld64 : size === 4 ? Op.ld32 : size === 2 ? Op.ld16 : Op.ld8, t);
  return t;
}

/** As `readScalar`, in the low bytes of a vector whose others mean nothing. */
export function readLow(l: Lifter, n: number, size: number): number {
  if (!l.isMemory(n)) return xmmOf(l, n);
  const v = l.vtemp();
  l.load(size === 8 ? Op.ld64 : size === 4 ? Op.ldw32 : Op.ld16, v);
  return v;
}

/** Clears the upper half of an XMM register (or VTEMP). */
export const clearUpper = (l: Lifter, v: number): void => l.ir.rrr(Op.mov64, v + 8, at.ZERO);

/** An immediate byte. */
export const immediate = (l: Lifter): number => l.i.immLow & 0xff;

/** A vector of zeros. */
export function zeros(l: Lifter): number {
  const v = l.vtemp();
  l.ir.rrr(Op.v_splatq, v, at.ZERO);
  return v;
}

// MMX.

/** Before an MMX instruction touches memory: #MF where an x87 exception waits. */
export function checkMmx(l: Lifter): void {
  if (l.i.hasMemory) l.ir.pos(Op.x87_wait, 0, 0, 0);
}
/** The x87 state becomes that of MMX code; this may raise #MF, so nothing architectural is written before. */
export const enterMmx = (l: Lifter): void => l.ir.call(Helper.mmx_begin);

/** MMX operand n in the low half of a vector temporary. */
export function readMmx(l: Lifter, n: number): number {
  const v = l.vtemp();
  if (l.isMemory(n)) {
    const size = l.size(n);
    l.load(size === 4 ? Op.ldw32 : Op.ld64, v);
  } else l.ir.rrr(Op.mov64, v, mmxOf(l, n));
  return v;
}
/** An MMX register is written: its sign and exponent become all ones. */
export function writeMmx(l: Lifter, register: number, field: number): void {
  if (field !== register) l.ir.rrr(Op.mov64, register, field);
  l.ir.rri(Op.const16, register + 8, 0, 0xffff);
}
