/**
 * The stack: PUSH, POP and their like; `push`, `pop` and `adjust` serve calls and returns too.
 *
 * The stack pointer is RSP, ESP or SP with the code size 64, 32, 16: a 32-bit code segment over a 16-bit stack segment,
 * or the other way round, is not told apart. Pops compute where they read before rSP moves; rSP moves after the last
 * access.
 */
import { Helper, Op } from "#ir";
import { at } from "#vcpu";
import { RF, VM } from "#x86";
import { type Lifter, log2, type Rule, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp } from "./lifter.ts";

const SS = 2;

/** The field with the linear address of rSP + offset. */
function slot(l: Lifter, offset: number, base = rsp): number {
  if (l.long && offset === 0) return base;
  l.ir.stackSegment();
  const t = l.temp();
  if (l.long) l.ir.mem(Op.lea64, t, base, offset);
  else if (l.i.mode === 32) l.ir.mem(Op.lea32, t, base, offset);
  else {
    l.ir.rrr(Op.zx16_32, t, base);
    l.ir.rri(Op.add16i, t, t, offset);
  }
  return l.long ? t : l.linear(t, SS);
}

/** rSP += bytes, as wide as the stack pointer is. */
export function adjust(l: Lifter, bytes: number): void {
  if (l.long) l.ir.mem(Op.lea64, rsp, rsp, bytes);
  else if (l.i.mode === 32) l.ir.mem(Op.lea32, rsp, rsp, bytes);
  else l.ir.rri(Op.add16i, rsp, rsp, bytes);
}

/** Pushes the low `size` bytes of a field. */
export function push(l: Lifter, field: number, size: number): void {
  if (l.long && size === 8) return l.ir.mem(Op.push64, field, rsp, 0);
  if (l.long) l.ir.mem(Op.st8 + 2 * log2(size), field, rsp, -size);
  else l.ir.mem(Op.st8 + 2 * log2(size), field, slot(l, -size), 0);
  adjust(l, -size);
}

/** Reads the top of the stack into a temporary, zero-extended; rSP has yet to move. */
export function peek(l: Lifter, size: number): number {
  const t = l.temp();
  l.ir.mem(size === 8 ? Op.ld64 : size === 4 ? Op.ld32 : Op.ldz16_32, t, slot(l, 0), 0);
  return t;
}

const pushOperand: Rule = (l, i) => push(l, l.read(0), i.operandSize);

/** The selector is zero-extended, as AMD's processors do also for 32 bits. */
const pushSegment: Rule = (l, i) => {
  const t = l.temp();
  l.ir.rrr(Op.mov32, t, at.SEG_SELECTOR + 4 * l.fixedRegister(0));
  push(l, t, i.operandSize);
};

/** A destination in memory that is addressed by rSP is addressed by its new value. */
const pop: Rule = (l, i) => {
  const size = i.operandSize;
  if (l.isMemory(0)) {
    const value = peek(l, size);
    l.storeAt(Op.st8 + 2 * log2(size), value, i.base === 4 ? size : 0);
    adjust(l, size);
    return;
  }
  const d = l.registerOf(0);
  if (l.long && size === 8) return l.ir.mem(Op.pop64, d, rsp, 0);
  const value = peek(l, size);
  adjust(l, size);
  l.ir.rrr(Op.mov8 + log2(size), d, value);
};

/** Their order on the stack, from the top. */
const all = [rdi, rsi, rbp, rsp, rbx, rdx, rcx, rax];

const pusha: Rule = (l, i) => {
  const size = i.operandSize;
  const top = slot(l, -8 * size);
  const place = l.temp();
  // rAX first: a fault on the way leaves what lies above it written.
  for (let n = 7; n >= 0; n--) access(l, Op.st8 + 2 * log2(size), all[n] as number, top, n * size, place);
  adjust(l, -8 * size);
};

const popa: Rule = (l, i) => {
  l.ir.call(Helper.popa, slot(l, 0), 0, i.operandSize);
  adjust(l, 8 * i.operandSize);
};

const pushf: Rule = (l, i) => {
  const t = l.temp();
  l.ir.rrr(Op.getflags, t, 0);
  l.ir.rrr(Op.or64, t, t, at.EFLAGS);
  l.ir.rri(Op.and64i, t, t, ~(RF | VM));
  push(l, t, i.operandSize);
};

/** The helper knows which flags this privilege may change. Interrupts, traps and AC may mean something new afterwards. */
const popf: Rule = (l, i) => {
  const value = peek(l, i.operandSize);
  l.ir.call(Helper.sys_popf, value, 0, i.operandSize);
  adjust(l, i.operandSize);
  l.sync();
};

/** An access at base + displacement, which outside 64-bit code wraps at 32 bits: `place` is a temporary for the sum. */
function access(l: Lifter, op: number, v: number, base: number, displacement: number, place: number): void {
  if (l.long || displacement === 0) return l.ir.mem(op, v, base, displacement);
  l.ir.mem(Op.lea32, place, base, displacement);
  l.ir.mem(op, v, place, 0);
}

/** ENTER size, level: pushes rBP and `level` - 1 outer frame pointers and the new one, then makes room. */
const enter: Rule = (l, i) => {
  const size = i.operandSize;
  const room = i.immLow & 0xffff;
  const level = i.imm2 & 31;
  const store = Op.st8 + 2 * log2(size);
  const frame = l.temp();
  if (l.i.mode === 16) {
    l.ir.rrr(Op.zx16_32, frame, rsp);
    l.ir.rri(Op.add16i, frame, frame, -size);
  } else l.ir.mem(l.long ? Op.lea64 : Op.lea32, frame, rsp, -size);
  l.ir.stackSegment();
  const stack = l.long ? frame : l.linear(frame, SS);
  const place = l.temp();
  const t = l.temp();
  l.ir.mem(store, rbp, stack, 0);
  if (level > 0) {
    // Both pointers go down together, and wrap where addresses have 32 bits.
    const outer = l.temp();
    l.ir.rrr(Op.mov64, outer, slot(l, 0, rbp));
    l.ir.rrr(Op.mov64, place, stack);
    const step = l.constant(size);
    const down = l.long ? Op.sub64 : Op.sub32;
    for (let n = 1; n < level; n++) {
      l.ir.rrr(down, outer, outer, step);
      l.ir.rrr(down, place, place, step);
      l.ir.mem(Op.ld8 + 2 * log2(size), t, outer, 0);
      l.ir.mem(store, t, place, 0);
    }
    access(l, store, frame, stack, -level * size, place);
  }
  const below = -level * size - room;
  // The new top of the stack must be writable.
  if (room > 0) access(l, Op.ldm8 + 2 * log2(size), t, stack, below, place);
  if (l.long) l.ir.mem(Op.lea64, rsp, frame, below);
  else if (l.i.mode === 32) l.ir.mem(Op.lea32, rsp, frame, below);
  else l.ir.rri(Op.add16i, rsp, frame, below);
  l.ir.rrr(Op.mov8 + log2(size), rbp, frame);
};

const leave: Rule = (l, i) => {
  const size = i.operandSize;
  const t = l.temp();
  l.ir.mem(Op.ld8 + 2 * log2(size), t, slot(l, 0, rbp), 0);
  if (l.long) l.ir.mem(Op.lea64, rsp, rbp, size);
  else if (l.i.mode === 32) l.ir.mem(Op.lea32, rsp, rbp, size);
  else l.ir.rri(Op.add16i, rsp, rbp, size);
  l.ir.rrr(Op.mov8 + log2(size), rbp, t);
};

export const stackRules: Record<string, Rule> = {
  push: pushOperand,
  "push-sreg": pushSegment,
  pop,
  pusha,
  popa,
  pushf,
  popf,
  enter,
  leave,
};
