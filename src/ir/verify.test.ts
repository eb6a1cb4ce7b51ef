import { describe, expect, test } from "vitest";
import { at, gpr, temp } from "#vcpu";
import { IrBuilder } from "./builder.ts";
import { Helper } from "./helpers.ts";
import { Op } from "./ops.ts";
import { print } from "./print.ts";
import { verify } from "./verify.ts";

const rax = gpr(0);
const rcx = gpr(1);
const rsp = gpr(4);

/** The IR that `write` emits as one instruction, ended by a jump unless it ends itself. */
function instruction(write: (ir: IrBuilder) => void, end = true): IrBuilder {
  const ir = new IrBuilder();
  ir.reset();
  ir.beginInstruction(3, 1);
  write(ir);
  if (end) ir.jump(Op.jmp, 5);
  return ir;
}
const problems = (ir: IrBuilder): string[] => verify(ir, new Set([0]));

describe("IR prints", () => {
  test("one operation a line, fields by name", () => {
    const ir = instruction((b) => {
      b.rrr(Op.sub32f, rax, rax, temp(0));
      b.rrr(Op.mov8, rax + 1, gpr(9));
      b.rri(Op.const64, temp(3), 0, -2, -1);
      b.rri(Op.const64, temp(3), 0, 1, 1);
      b.memx(Op.ld64, temp(1), gpr(5), rcx, 2, -16);
      b.mem(Op.lea64, temp(1), at.RIP, 0x10);
      b.mem2(Op.atomic_cmpxchg32, temp(1), gpr(7), 0, gpr(6));
      b.mem(Op.ld8, temp(2), at.ZERO, 0x1000);
      b.call(Helper.div, temp(1), 0, 8);
      b.rrr(Op.getflags, temp(4), 0);
      b.rrr(Op.movv, at.XMM + 16, at.VTEMP);
    });
    ir.branch(Op.jccsub4, 0x20, -7);
    expect(print(ir.words()).replace(/ +@/g, " @").split("\n")).toEqual([
      "sub32f rax, rax, t0",
      "mov8 ah, r9",
      "const64 t3, -2",
      "const64 t3, 0x100000001",
      "ld64x t1, [rbp + rcx*4 - 0x10] @3",
      "lea64 t1, [rip + 0x10]",
      "atomic_cmpxchg32 t1, [rdi], rsi @3",
      "ld8 t2, [0x1000] @3",
      "call div, t1, 0/rax, 8 @3",
      "getflags t4",
      "movv xmm1, v0",
      "jmp +5",
      "jccsub4 +0x20 else -7",
    ]);
  });
});

describe("the verifier", () => {
  test("accepts a read-modify-write with flags before its store", () => {
    const ir = instruction((b) => {
      b.memx(Op.ldm32, temp(0), rcx, rax, 1, 8);
      b.rrr(Op.add32f, temp(0), temp(0), rcx);
      b.memx(Op.st32, temp(0), rcx, rax, 1, 8);
    });
    expect(problems(ir)).toEqual([]);
  });
  test("refuses a store after flags were written where nothing prepared it", () => {
    const ir = instruction((b) => {
      b.mem(Op.ld32, temp(0), rcx, 8);
      b.rrr(Op.add32f, temp(0), temp(0), rcx);
      b.mem(Op.st32, temp(0), rcx, 8);
    });
    expect(problems(ir).join()).toContain("may leave after flags was written");
  });
  test("refuses a load after a register was written", () => {
    const ir = instruction((b) => {
      b.mem(Op.pop64, temp(0), rsp, 0);
      b.mem(Op.ld32, temp(1), rcx, 8);
    });
    expect(problems(ir).join()).toContain("may leave after rsp was written");
  });
  test("does not take the prepared place for prepared once its base has changed", () => {
    const ir = instruction((b) => {
      b.mem(Op.ldm32, temp(0), temp(1), 0);
      b.rri(Op.add64i, temp(1), temp(1), 4);
      b.rrr(Op.add32f, temp(0), temp(0), rcx);
      b.mem(Op.st32, temp(0), temp(1), 0);
    });
    expect(problems(ir)).toHaveLength(1);
  });
  test("asks for an end, and only one", () => {
    expect(problems(instruction((b) => b.rrr(Op.mov64, rax, rcx), false)).join()).toContain("does not end the block");
    const twice = instruction((b) => b.jump(Op.jmp, 1));
    expect(problems(twice).join()).toContain("ends the block before its last operation");
  });
  test("refuses fields that are misaligned or outside the record", () => {
    expect(problems(instruction((b) => b.rrr(Op.mov16, rax + 1, rcx))).join()).toContain("ah is no i16");
    expect(problems(instruction((b) => b.rrr(Op.mov64, 0xfff8, rcx))).join()).toContain("outside the record");
  });
});
