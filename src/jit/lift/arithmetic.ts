/**
 * ADD and its like, counting, negation, products, divisions.
 *
 * Locked forms use the atomic operation that moves memory, then compute the flags anew from the old value.
 */
import { Helper, Op } from "#ir";
import { at } from "#vcpu";
import { type Lifter, log2, type Rule, rax, rdx } from "./lifter.ts";

type Alu = "add" | "or" | "adc" | "sbb" | "and" | "sub" | "xor";

function alu(name: Alu): Rule {
  const byField = Op[`${name}8f`];
  const byImmediate = Op[`${name}8if`];
  return (l, i) => {
    if (i.lock) return lockedAlu(l, name);
    const n = log2(l.size(0));
    const d = l.readModify(0);
    if (l.isImmediate(1)) l.ir.rri(byImmediate + n, d, d, l.immediateLow(1), l.immediateHigh(1));
    else l.ir.rrr(byField + n, d, d, l.read(1));
    l.write(0, d);
  };
}

function lockedAlu(l: Lifter, name: Alu): void {
  const n = log2(l.size(0));
  const source = l.read(1);
  const old = l.temp();
  if (name === "and" || name === "or" || name === "xor") {
    l.ir.rrr(Op.mov8 + n, old, source);
    l.atomic(Op[`atomic_${name}8`] + n, old);
  } else {
    // What is added: the source, with the carry, negated for a subtraction.
    let addend = source;
    if (name === "adc" || name === "sbb") {
      l.condition(2, old);
      l.ir.rrr(Op.add8 + n, old, old, source);
      addend = old;
    }
    if (name === "sub" || name === "sbb") l.ir.rrr(Op.sub8 + n, old, at.ZERO, addend);
    else if (addend !== old) l.ir.rrr(Op.mov8 + n, old, addend);
    l.atomic(Op.atomic_xadd8 + n, old);
  }
  l.ir.rrr(Op[`${name}8f`] + n, l.temp(), old, source);
}

function compare(name: "cmp" | "test"): Rule {
  const byField = Op[`${name}8`];
  const byImmediate = Op[`${name}8i`];
  return (l) => {
    const n = log2(l.size(0));
    const a = l.read(0);
    if (l.isImmediate(1)) l.ir.rri(byImmediate + n, 0, a, l.immediateLow(1), l.immediateHigh(1));
    else l.ir.rrr(byField + n, 0, a, l.read(1));
  };
}

function count(name: "inc" | "dec"): Rule {
  const op = Op[`${name}8f`];
  const step = name === "inc" ? 1 : -1;
  return (l, i) => {
    const n = log2(l.size(0));
    if (i.lock) {
      const old = l.constant(step);
      l.atomic(Op.atomic_xadd8 + n, old);
      l.ir.rrr(op + n, old, old);
      return;
    }
    const d = l.readModify(0);
    l.ir.rrr(op + n, d, d);
    l.write(0, d);
  };
}

function not(l: Lifter): void {
  const n = log2(l.size(0));
  if (l.i.lock) return l.atomic(Op.atomic_xor8 + n, l.constant(-1));
  const d = l.readModify(0);
  l.ir.rrr(Op.not8 + n, d, d);
  l.write(0, d);
}

function neg(l: Lifter): void {
  const size = l.size(0);
  const op = Op.neg8f + log2(size);
  if (l.i.lock) {
    // No atomic operation negates: the helper repeats a compare-and-exchange.
    const old = l.temp();
    l.ir.call(Helper.locked_neg, l.address(true), old, size);
    l.ir.rrr(op, old, old);
    return;
  }
  const d = l.readModify(0);
  l.ir.rrr(op, d, d);
  l.write(0, d);
}

/** Two- and three-operand IMUL: the truncated product. */
function imul(l: Lifter): void {
  const d = l.registerOf(0);
  const n = log2(l.size(0));
  if (l.i.row.operands.length === 3) {
    const a = l.read(1);
    l.ir.rrr(Op.imul8f + n, d, a, l.read(2));
  } else l.ir.rrr(Op.imul8f + n, d, d, l.read(1));
}

/** rDX:rAX (AX for bytes) = rAX * operand; CF = OF = the upper half is not zero. The other flags are undefined. */
function mul(l: Lifter): void {
  const size = l.size(0);
  const source = l.read(0);
  const low = l.temp();
  const high = l.temp();
  if (size === 8) {
    l.ir.rrr(Op.mulhu64, high, rax, source);
    l.ir.rrr(Op.imul64, low, rax, source);
    l.ir.rrr(Op.mov64, rax, low);
    l.ir.rrr(Op.mov64, rdx, high);
  } else {
    const widen = size === 1 ? Op.zx8_32 : size === 2 ? Op.zx16_32 : Op.mov32;
    l.ir.rrr(widen, low, rax);
    l.ir.rrr(widen, high, source);
    l.ir.rrr(Op.imul64, low, low, high);
    l.ir.rri(Op.shr64i, high, low, size * 8);
    halves(l, size, low, high);
  }
  // Bit 63 of high | -high.
  l.ir.rrr(Op.sub64, low, at.ZERO, high);
  l.ir.rrr(Op.or64, low, low, high);
  l.ir.rri(Op.shr64i, low, low, 63);
  l.ir.rrr(Op.setresult8 + log2(size), 0, rax, low);
}

/** As `mul`, signed; CF = OF = the upper half is more than the lower's sign. */
function imulWide(l: Lifter): void {
  const size = l.size(0);
  const source = l.read(0);
  const low = l.temp();
  const high = l.temp();
  if (size === 8) {
    l.ir.rrr(Op.mulhs64, high, rax, source);
    l.ir.rrr(Op.imul64f, low, rax, source);
    l.ir.rrr(Op.mov64, rax, low);
    l.ir.rrr(Op.mov64, rdx, high);
    return;
  }
  l.ir.rrr(Op.imul8f + log2(size), low, rax, source);
  const widen = size === 1 ? Op.sx8_64 : size === 2 ? Op.sx16_64 : Op.sx32_64;
  l.ir.rrr(widen, low, rax);
  l.ir.rrr(widen, high, source);
  l.ir.rrr(Op.imul64, low, low, high);
  if (size !== 1) l.ir.rri(Op.shr64i, high, low, size * 8);
  halves(l, size, low, high);
}

function halves(l: Lifter, size: number, low: number, high: number): void {
  if (size === 1) l.ir.rrr(Op.mov16, rax, low);
  else {
    l.ir.rrr(Op.mov8 + log2(size), rax, low);
    l.ir.rrr(Op.mov8 + log2(size), rdx, high);
  }
}

/** rDX:rAX by the operand: quotient to rAX, remainder to rDX. Bytes and words, which are rare, by a helper. */
function divide(name: "udiv" | "sdiv", helper: number): Rule {
  return (l) => {
    const divisor = l.read(0);
    const size = l.size(0);
    if (size < 4) return l.ir.call(helper, divisor, 0, size);
    const n = log2(size);
    const quotient = l.temp();
    const product = l.temp();
    l.ir.rrr(Op.mov8 + n, quotient, rdx);
    l.ir.pos(size === 4 ? Op[`${name}32`] : Op[`${name}64`], quotient, rax, divisor);
    // Modulo the operand's width, which the remainder fits.
    l.ir.rrr(Op.imul8 + n, product, quotient, divisor);
    l.ir.rrr(Op.sub8 + n, rdx, rax, product);
    l.ir.rrr(Op.mov8 + n, rax, quotient);
  };
}

export const arithmeticRules: Record<string, Rule> = {
  add: alu("add"),
  or: alu("or"),
  adc: alu("adc"),
  sbb: alu("sbb"),
  and: alu("and"),
  sub: alu("sub"),
  xor: alu("xor"),
  cmp: compare("cmp"),
  test: compare("test"),
  inc: count("inc"),
  dec: count("dec"),
  not,
  neg,
  imul,
  mul,
  "imul-wide": imulWide,
  div: divide("udiv", Helper.div),
  idiv: divide("sdiv", Helper.idiv),
};
