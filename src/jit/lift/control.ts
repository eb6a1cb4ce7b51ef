/**
 * Near jumps, calls, returns and loops.
 *
 * Direct targets are distances from the block's start, so that a translation belongs to no address. Where the operand
 * size is 16 bits the target is computed and cut to 16 bits. (A 32-bit jump across the end of the 4 GiB is not cut.)
 */
import { Op } from "#ir";
import { at } from "#vcpu";
import { type Lifter, type Rule, rcx, rsp } from "./lifter.ts";
import { adjust, peek, push } from "./stack.ts";

/** Field with the address `offset` from the block's start, cut to 16 bits. */
function shortAddress(l: Lifter, offset: number): number {
  const t = l.ripAt(offset);
  l.ir.rrr(Op.zx16_32, t, t);
  return t;
}

/** Jumps to the relative target of the instruction. */
function jumpRelative(l: Lifter): void {
  const target = l.next + l.i.immLow;
  if (l.i.operandSize === 2) l.jumpTo(shortAddress(l, target));
  else l.jump(target);
}

/** Jumps to the relative target where the i8 `taken` is not zero, else goes on. */
function branchRelative(l: Lifter, taken: number): void {
  const target = l.next + l.i.immLow;
  if (l.i.operandSize !== 2) return l.branchIfNonzero(taken, target);
  const t = l.nextRip();
  l.ir.rrr(Op.select64, t, taken, shortAddress(l, target));
  l.jumpTo(t);
}

const jcc: Rule = (l, i) => {
  const cc = i.row.opcode & 15;
  if (i.operandSize !== 2) return l.branch(cc, l.next + i.immLow);
  const t = l.temp();
  l.condition(cc, t);
  branchRelative(l, t);
};

/** The field with an indirect target, as wide as the operand says; safe from what a push does to rSP, and canonical. */
function indirectTarget(l: Lifter, calls: boolean): number {
  const target = targetOperand(l);
  if (l.i.operandSize === 8) {
    if (calls) l.ir.stackSegment();
    l.ir.pos(Op.canonical, 0, target, 0, calls ? 1 : 0);
  }
  return target;
}

function targetOperand(l: Lifter): number {
  const size = l.i.operandSize;
  if (l.isMemory(0)) {
    const t = l.temp();
    l.load(size === 8 ? Op.ld64 : size === 4 ? Op.ld32 : Op.ldz16_32, t);
    return t;
  }
  const register = l.registerOf(0);
  if (size === 8 && register !== rsp) return register;
  const t = l.temp();
  l.ir.rrr(size === 8 ? Op.mov64 : size === 4 ? Op.mov32 : Op.zx16_32, t, register);
  return t;
}

const jmp: Rule = (l) => {
  if (l.place(0) === "relative") jumpRelative(l);
  else l.jumpTo(indirectTarget(l, false));
};

function pushReturnAddress(l: Lifter): void {
  if (l.long) l.ir.mem(Op.pushpc, at.RIP, rsp, l.next);
  else push(l, l.nextRip(), l.i.operandSize);
}

const call: Rule = (l) => {
  if (l.place(0) === "relative") {
    pushReturnAddress(l);
    jumpRelative(l);
    return;
  }
  const target = indirectTarget(l, true);
  pushReturnAddress(l);
  l.jumpTo(target);
};

const ret: Rule = (l, i) => {
  const size = i.operandSize;
  const release = i.row.operands.length === 1 ? i.immLow & 0xffff : 0;
  const target = peek(l, size);
  if (size === 8) l.ir.pos(Op.canonical, 0, target, 0);
  adjust(l, size + release);
  l.jumpTo(target, true);
};

/** d = 1 where rCX of the address size is not zero, else 0. */
function counterNonzero(l: Lifter): number {
  const size = l.i.addressSize;
  const t = l.temp();
  const d = l.temp();
  l.ir.rrr(size === 8 ? Op.mov64 : size === 4 ? Op.mov32 : Op.zx16_32, t, rcx);
  // Bit 63 of t | -t.
  l.ir.rrr(Op.sub64, d, at.ZERO, t);
  l.ir.rrr(Op.or64, d, d, t);
  l.ir.rri(Op.shr64i, d, d, 63);
  return d;
}

/** `cc`: the condition that must hold besides a nonzero count, or -1. No flag changes. */
function loop(cc: number): Rule {
  return (l, i) => {
    l.ir.rri(i.addressSize === 8 ? Op.sub64i : i.addressSize === 4 ? Op.sub32i : Op.sub16i, rcx, rcx, 1);
    const taken = counterNonzero(l);
    if (cc >= 0) {
      const t = l.temp();
      l.condition(cc, t);
      l.ir.rrr(Op.and64, taken, taken, t);
    }
    branchRelative(l, taken);
  };
}

const jcxz: Rule = (l) => {
  const taken = counterNonzero(l);
  l.ir.rri(Op.xor64i, taken, taken, 1);
  branchRelative(l, taken);
};

export const controlRules: Record<string, Rule> = {
  jmp,
  jcc,
  call,
  ret,
  loop: loop(-1),
  loope: loop(4),
  loopne: loop(5),
  jcxz,
};
