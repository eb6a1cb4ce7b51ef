/**
 * XCHG, XADD, CMPXCHG and its wide forms.
 *
 * With memory they are always done by atomic operations, LOCK or not (XCHG has an implied one): what is written back
 * when a comparison fails is what was there.
 */
import { Helper, Op } from "#ir";
import { type Lifter, log2, type Rule, rax, rbx, rcx, rdx } from "./lifter.ts";

function xchg(l: Lifter): void {
  const n = log2(l.size(0));
  const t = l.temp();
  const register = l.registerOf(1);
  l.ir.rrr(Op.mov8 + n, t, register);
  if (l.isMemory(0)) {
    l.atomic(Op.atomic_xchg8 + n, t);
    l.ir.rrr(Op.mov8 + n, register, t);
    return;
  }
  const other = l.registerOf(0);
  l.ir.rrr(Op.mov8 + n, register, other);
  l.ir.rrr(Op.mov8 + n, other, t);
}

function xadd(l: Lifter): void {
  const n = log2(l.size(0));
  const source = l.registerOf(1);
  const old = l.temp();
  const sum = l.temp();
  if (l.isMemory(0)) {
    l.ir.rrr(Op.mov8 + n, old, source);
    l.atomic(Op.atomic_xadd8 + n, old);
    l.ir.rrr(Op.add8f + n, sum, old, source);
    l.ir.rrr(Op.mov8 + n, source, old);
    return;
  }
  const d = l.registerOf(0);
  l.ir.rrr(Op.mov8 + n, old, d);
  l.ir.rrr(Op.add8f + n, sum, d, source);
  l.ir.rrr(Op.mov8 + n, source, old);
  l.ir.rrr(Op.mov8 + n, d, sum);
}

/**
 * Where the comparison fails only the accumulator is written, where it succeeds only the destination: a 32-bit register
 * that is not written keeps its upper half.
 */
function cmpxchg(l: Lifter): void {
  const size = l.size(0);
  const n = log2(size);
  const ir = l.ir;
  const source = l.registerOf(1);
  const old = l.temp();
  const differs = l.temp();
  // A 32-bit value was zero-extended into its temporary, and is selected whole.
  const select = size === 4 ? Op.select64 : Op.select8 + n;
  if (l.isMemory(0)) {
    ir.rrr(Op.mov8 + n, old, rax);
    ir.mem2(Op.atomic_cmpxchg8 + n, old, l.address(true, size), 0, source);
    ir.rrr(Op.cmp8 + n, 0, rax, old);
    l.condition(5, differs);
    ir.rrr(select, rax, differs, old);
    return;
  }
  const d = l.registerOf(0);
  const equal = l.temp();
  const replacement = l.temp();
  ir.rrr(Op.mov8 + n, old, d);
  ir.rrr(Op.mov8 + n, replacement, source);
  ir.rrr(Op.cmp8 + n, 0, rax, old);
  l.condition(5, differs);
  l.condition(4, equal);
  ir.rrr(select, rax, differs, old);
  ir.rrr(select, d, equal, replacement);
}

/** 64 bits: EDX:EAX is compared, ECX:EBX replaces. Of the flags only ZF changes. */
function cmpxchg8b(l: Lifter): void {
  const ir = l.ir;
  const expected = l.temp();
  const replacement = l.temp();
  const old = l.temp();
  const t = l.temp();
  const flags = l.temp();
  ir.rrr(Op.mov32, expected, rax);
  ir.rri(Op.shl64i, t, rdx, 32);
  ir.rrr(Op.or64, expected, expected, t);
  ir.rrr(Op.mov32, replacement, rbx);
  ir.rri(Op.shl64i, t, rcx, 32);
  ir.rrr(Op.or64, replacement, replacement, t);
  ir.rrr(Op.mov64, old, expected);
  ir.rrr(Op.getflags, flags, 0);
  ir.mem2(Op.atomic_cmpxchg64, old, l.address(true, 8), 0, replacement);
  ir.rrr(Op.cmp64, 0, expected, old);
  l.condition(5, t);
  ir.rrr(Op.mov32, replacement, old);
  ir.rrr(Op.select64, rax, t, replacement);
  ir.rri(Op.shr64i, replacement, old, 32);
  ir.rrr(Op.select64, rdx, t, replacement);
  l.condition(4, t);
  ir.rri(Op.shl64i, t, t, 6);
  ir.rri(Op.and64i, flags, flags, ~0x40);
  ir.rrr(Op.or64, flags, flags, t);
  ir.rrr(Op.setflags, 0, flags);
}

/** 128 bits have no atomic operation in Wasm: the helper does it, and says in a temporary whether it exchanged. */
function cmpxchg16b(l: Lifter): void {
  const ir = l.ir;
  const equal = l.temp();
  const flags = l.temp();
  ir.rrr(Op.getflags, flags, 0);
  ir.call(Helper.cmpxchg16b, l.address(), equal, l.i.lock ? 1 : 0);
  ir.rri(Op.shl64i, equal, equal, 6);
  ir.rri(Op.and64i, flags, flags, ~0x40);
  ir.rrr(Op.or64, flags, flags, equal);
  ir.rrr(Op.setflags, 0, flags);
}

export const exchangeRules: Record<string, Rule> = { xchg, xadd, cmpxchg, cmpxchg8b, cmpxchg16b };
