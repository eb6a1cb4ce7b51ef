/**
 * x87 (runtime/fp/helpers.ts does the work). After an instruction that is not one of control, FOP, FIP and FDP say which it
 * was. #MF of an earlier instruction comes before anything that this one's memory operand may raise.
 */
import { Helper, Op } from "#ir";
import { at } from "#vcpu";
import type { Lifter, Rule } from "./lifter.ts";
import { checkWait, requireFpu } from "./system.ts";

/** Bits of immediates above i of ST(i), as runtime/fp/x87-common.ts has them. */
const pops = 8;
const toRegister = 16;
const reversed = 32;
const quiet = 32;
const truncates = 32;
const popsTwo = 64;
/** What runtime/fp/helpers.ts does, as it numbers that. */
const registerForms = { move: 0, free: 1, freePop: 2, storePopAny: 3 } as const;
const control = { init: 0, clear: 1, loadControl: 2 } as const;
const environment = { small: 1, whole: 2, load: 4 } as const;

const modrm = (l: Lifter): number => (l.i.mod << 6) | ((l.i.reg & 7) << 3) | (l.i.rm & 7);
/** i of ST(i). */
const registerOf = (l: Lifter): number => l.i.rm & 7;
/** The same at its place in a helper's immediate. */
const registerField = (l: Lifter): number => registerOf(l) << 8;
/** #MF where an exception waits. */
const wait = (l: Lifter): void => l.ir.pos(Op.x87_wait, 0, 0, 0);

/** A rule of an instruction that FOP, FIP and FDP tell of afterwards. */
function noted(rule: Rule): Rule {
  return (l, i) => {
    if (!requireFpu(l)) return;
    // Before the segment checks of 32-bit code.
    if (!i.hasMemory || !l.long) wait(l);
    const address = i.hasMemory ? l.address(false, l.size(0)) : -1;
    rule(l, i);
    l.ir.rri(Op.const16, at.FOP, 0, ((i.row.opcode & 7) << 8) | modrm(l));
    l.ir.mem(l.long ? Op.lea64 : Op.lea32, at.FIP, at.RIP, l.position);
    if (address >= 0) l.ir.rrr(Op.mov64, at.FDP, address);
  };
}

/** What memory has, in a field: #MF first. Integers are extended. */
function read(l: Lifter, op: number): number {
  wait(l);
  const t = l.temp();
  l.load(op, t);
  return t;
}
/** Ten bytes, eight and two, loaded by the ops of a pair. */
function readTen(l: Lifter, low: number, high: number): [low: number, high: number] {
  const t = read(l, low);
  const u = l.temp();
  l.loadAt(high, u, 8);
  return [t, u];
}

const fld = noted((l) => {
  if (!l.i.hasMemory) return l.ir.rri(Op.x87_ld_st, 0, 0, registerOf(l));
  const size = l.size(0);
  if (size === 10) return l.ir.rrr(Op.x87_ld_f80, 0, ...readTen(l, Op.ld64, Op.ld16));
  if (size === 4) l.ir.rrr(Op.x87_ld_f32, 0, read(l, Op.ld32));
  else l.ir.rrr(Op.x87_ld_f64, 0, read(l, Op.ld64));
});
const fild = noted((l) => {
  const size = l.size(0);
  l.ir.rrr(Op.x87_ld_int, 0, read(l, size === 2 ? Op.lds16_64 : size === 4 ? Op.lds32_64 : Op.ld64));
});
const fbld = noted((l) => {
  const [low, high] = readTen(l, Op.ld64, Op.ld16);
  l.ir.call(Helper.x87_load_decimal, low, high);
});

/** FST and FSTP. What memory has is loaded first, for writing: so nothing has happened where it faults. */
function storeReal(flags: number): Rule {
  return noted((l) => {
    if (!l.i.hasMemory) {
      // D9 /3, which no manual has, pops an empty register without a fault.
      if (flags & pops && l.i.row.opcode === 0xd9)
        return l.ir.call(Helper.x87_register, 0, 0, registerForms.storePopAny | registerField(l));
      return l.ir.rri(Op.x87_st_st, 0, 0, flags | registerOf(l));
    }
    const size = l.size(0);
    if (size === 4) {
      const t = read(l, Op.ldm32);
      l.ir.rri(Op.x87_st_f32, t, t, flags);
      return l.store(Op.st32, t);
    }
    if (size === 8) {
      const t = read(l, Op.ldm64);
      l.ir.rri(Op.x87_st_f64, t, t, flags);
      return l.store(Op.st64, t);
    }
    const [low, high] = readTen(l, Op.ldm64, Op.ldm16);
    l.ir.pos(Op.x87_st_f80, low, low, high, flags);
    l.ir.rrr(Op.x87_st_high, high, 0);
    l.store(Op.st64, low);
    l.storeAt(Op.st16, high, 8);
  });
}
/** FIST, FISTP, FISTTP. */
function storeInteger(flags: number): Rule {
  return noted((l) => {
    const size = l.size(0);
    const t = read(l, size === 2 ? Op.ldm16 : size === 4 ? Op.ldm32 : Op.ldm64);
    l.ir.rri(size === 2 ? Op.x87_st_i16 : size === 4 ? Op.x87_st_i32 : Op.x87_st_i64, t, t, flags);
    l.store(size === 2 ? Op.st16 : size === 4 ? Op.st32 : Op.st64, t);
  });
}
const fbstp = noted((l) => l.ir.call(Helper.x87_store_decimal, l.address(true, 10)));

/** The operation, FADD and its like, by the opcode's /r field; bit 0 of the last two pairs means reversed. */
const onRegisters = {
  0: Op.x87_add_st,
  1: Op.x87_mul_st,
  4: Op.x87_sub_st,
  5: Op.x87_sub_st,
  6: Op.x87_div_st,
  7: Op.x87_div_st,
} as const;
const arithmetic = noted((l) => {
  const op = (l.i.reg & 7) as keyof typeof onRegisters;
  if (l.i.hasMemory) {
    if (l.size(0) === 8) return l.ir.rri(Op.x87_op_f64, 0, read(l, Op.ld64), op);
    return l.ir.rri(Op.x87_op_f32, 0, read(l, Op.ld32), op);
  }
  const { opcode } = l.i.row;
  const to = opcode === 0xd8 ? 0 : opcode === 0xdc ? toRegister : toRegister | pops;
  l.ir.rri(onRegisters[op], 0, 0, to | registerOf(l) | (op >= 4 && op & 1 ? reversed : 0));
});
const integerArithmetic = noted((l) => {
  const t = read(l, l.size(0) === 2 ? Op.lds16_32 : Op.ld32);
  l.ir.rri(Op.x87_op_int, 0, t, l.i.reg & 7);
});

/** FCOM and its like; of memory operands at most one register is popped. */
function compare(flags: number): Rule {
  return noted((l) => {
    // FCOMPP and FUCOMPP have the register in their code.
    if (!l.i.hasMemory) return l.ir.rri(Op.x87_compare_st, 0, 0, flags | registerOf(l));
    const popped = flags & pops ? 1 : 0;
    if (l.size(0) === 8) l.ir.rri(Op.x87_compare_f64, 0, read(l, Op.ld64), popped);
    else l.ir.rri(Op.x87_compare_f32, 0, read(l, Op.ld32), popped);
  });
}
function compareInteger(popped: number): Rule {
  return noted((l) => {
    const t = read(l, l.size(0) === 2 ? Op.lds16_32 : Op.ld32);
    l.ir.rri(Op.x87_compare_int, 0, t, popped);
  });
}
function compareToFlags(flags: number): Rule {
  return noted((l) => {
    const t = l.temp();
    l.ir.rri(Op.x87_comi_st, t, 0, flags | registerOf(l));
    l.ir.rrr(Op.setflags, 0, t);
  });
}

/** FCHS and FABS (1). */
function sign(which: 0 | 1): Rule {
  return noted((l) => l.ir.rri(Op.x87_sign, 0, 0, which));
}
/** FLD1 and FLDZ: constants of which no rounding mode thinks otherwise. */
function constant(high: number): Rule {
  return noted((l) => l.ir.rrr(Op.x87_ld_f64, 0, l.constant(0, high)));
}
const fxch = noted((l) => l.ir.rri(Op.x87_exchange, 0, 0, registerOf(l)));
function register(which: number): Rule {
  return noted((l) => l.ir.call(Helper.x87_register, 0, 0, which | registerField(l)));
}
/** FCMOVcc: DA /0 to /3 are B E BE U, DB their opposites. */
const fcmov = noted((l) => {
  const t = l.temp();
  const n = l.i.reg & 3;
  l.condition((n === 3 ? 10 : 2 + 2 * n) | (l.i.row.opcode & 1), t);
  l.ir.call(Helper.x87_register, t, 0, registerForms.move | registerField(l));
});
/** FNOP waits; FNENI, FNDISI and FNSETPM are not even that. */
const fnop: Rule = (l, i) => {
  if (i.row.opcode === 0xd9) top(l, i);
  else requireFpu(l);
};
const top = noted((l) => l.ir.call(Helper.x87_top, 0, 0, modrm(l)));

// Control.

const fpu =
  (rule: Rule): Rule =>
  (l, i) => {
    if (requireFpu(l)) rule(l, i);
  };

const fwait: Rule = (l) => {
  checkWait(l);
  wait(l);
};
const fnstsw = fpu((l) => {
  const t = l.temp();
  // TOP stands apart, four bits up.
  l.ir.rri(Op.shl16i, t, at.FTOP, 7);
  l.ir.rrr(Op.or16, t, t, at.FSW);
  l.write(0, t);
});
function controlOnly(which: number): Rule {
  return fpu((l) => l.ir.call(Helper.x87_control, 0, 0, which));
}
function environmentMove(flags: number): Rule {
  return fpu((l) => {
    const small = l.i.operandSize === 2 ? environment.small : 0;
    const bytes = (small !== 0 ? 14 : 28) + ((flags & environment.whole) !== 0 ? 80 : 0);
    l.ir.call(Helper.x87_environment, l.address((flags & environment.load) === 0, bytes), 0, flags | small);
  });
}

export const x87Rules: Record<string, Rule> = {
  fld,
  fild,
  fbld,
  fst: storeReal(0),
  fstp: storeReal(pops),
  fist: storeInteger(0),
  fistp: storeInteger(pops),
  fisttp: storeInteger(pops | truncates),
  fbstp,
  fcom: compare(0),
  fcomp: compare(pops),
  fcompp: compare(popsTwo),
  fucom: compare(quiet),
  fucomp: compare(quiet | pops),
  fucompp: compare(quiet | popsTwo),
  ficom: compareInteger(0),
  ficomp: compareInteger(1),
  fcomi: compareToFlags(0),
  fcomip: compareToFlags(pops),
  fucomi: compareToFlags(quiet),
  fucomip: compareToFlags(quiet | pops),
  fsqrt: noted((l) => l.ir.rrr(Op.x87_sqrt, 0, 0)),
  fchs: sign(0),
  fabs: sign(1),
  fld1: constant(0x3ff00000),
  fldz: constant(0),
  fxch,
  ffree: register(registerForms.free),
  ffreep: register(registerForms.freePop),
  fwait,
  fnop,
  fninit: controlOnly(control.init),
  fnclex: controlOnly(control.clear),
  fldcw: fpu((l) => l.ir.call(Helper.x87_control, read(l, Op.ld16), 0, control.loadControl)),
  fnstcw: fpu((l) => l.write(0, at.FCW)),
  fnstsw,
  fnstenv: environmentMove(0),
  fldenv: environmentMove(environment.load),
  fnsave: environmentMove(environment.whole),
  frstor: environmentMove(environment.whole | environment.load),
};
for (const name of ["add", "mul", "sub", "subr", "div", "divr"]) {
  x87Rules[`f${name}`] = arithmetic;
  x87Rules[`f${name}p`] = arithmetic;
  x87Rules[`fi${name}`] = integerArithmetic;
}
for (const condition of ["b", "e", "be", "u", "nb", "ne", "nbe", "nu"]) x87Rules[`fcmov${condition}`] = fcmov;
for (const name of (
  "ftst fxam fldl2t fldl2e fldpi fldlg2 fldln2 f2xm1 fyl2x fptan fpatan fxtract fprem1 fdecstp fincstp " +
  "fprem fyl2xp1 fsincos frndint fscale fsin fcos"
).split(" ")) {
  x87Rules[name] = top;
}
