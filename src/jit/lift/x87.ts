/**
 * x87 (runtime/fp/helpers.ts does the work). After an instruction that is not one of control, FOP, FIP and FDP say which it
 * was. #MF of an earlier instruction comes before anything that this one's memory operand may raise.
 */
import { Helper, Op } from "#ir";
import { at } from "#vcpu";
import type { Lifter, Rule } from "./lifter.ts";
import { checkWait, requireFpu } from "./system.ts";

/** Formats of loads and stores, as runtime/fp/helpers.ts numbers them. */
const loadFormat = { single: 0, double: 1, extended: 2, integer: 3, decimal: 4 } as const;
const storeFormat = { single: 0, double: 1, extended: 2, word: 3, doubleword: 4, quadword: 5, decimal: 6 } as const;
const pops = 0x10;
const truncates = 0x20;
/** Forms of arithmetic and comparisons. */
const form = {
  single: 0x00,
  double: 0x10,
  integer: 0x20,
  fromRegister: 0x30,
  toRegister: 0x40,
  toRegisterPop: 0x50,
} as const;
const quiet = 4;
const registerForms = {
  load: 0,
  store: 1,
  storePop: 2,
  exchange: 3,
  move: 4,
  free: 5,
  freePop: 6,
  storePopAny: 7,
} as const;
const control = { init: 0, clear: 1, loadControl: 2, storeControl: 3, storeStatus: 4 } as const;
const environment = { small: 1, whole: 2, load: 4 } as const;

const modrm = (l: Lifter): number => (l.i.mod << 6) | ((l.i.reg & 7) << 3) | (l.i.rm & 7);
/** i of ST(i), at its place in a helper's immediate. */
const registerField = (l: Lifter): number => (l.i.rm & 7) << 8;

/** A rule of an instruction that FOP, FIP and FDP tell of afterwards. */
function noted(rule: Rule): Rule {
  return (l, i) => {
    if (!requireFpu(l)) return;
    // Before the segment checks of 32-bit code.
    if (i.hasMemory && !l.long) l.ir.call(Helper.x87_wait);
    const address = i.hasMemory ? l.address(false, l.size(0)) : -1;
    rule(l, i);
    l.ir.rri(Op.const16, at.FOP, 0, ((i.row.opcode & 7) << 8) | modrm(l));
    l.ir.mem(l.long ? Op.lea64 : Op.lea32, at.FIP, at.RIP, l.position);
    if (address >= 0) l.ir.rrr(Op.mov64, at.FDP, address);
  };
}

/** What memory has, in a field: #MF first. Integers are extended. */
function read(l: Lifter, op: number): number {
  l.ir.call(Helper.x87_wait);
  const t = l.temp();
  l.load(op, t);
  return t;
}

const fld = noted((l) => {
  if (!l.i.hasMemory) return l.ir.call(Helper.x87_register, 0, 0, registerForms.load | registerField(l));
  const size = l.size(0);
  if (size === 10) return loadTen(l, loadFormat.extended);
  const t = read(l, size === 4 ? Op.ld32 : Op.ld64);
  l.ir.call(Helper.x87_load, t, 0, size === 4 ? loadFormat.single : loadFormat.double);
});
/** Ten bytes: eight, then two. */
function loadTen(l: Lifter, format: number): void {
  const low = read(l, Op.ld64);
  const high = l.temp();
  l.loadAt(Op.ld16, high, 8);
  l.ir.call(Helper.x87_load, low, high, format);
}
const fild = noted((l) => {
  const size = l.size(0);
  const t = read(l, size === 2 ? Op.lds16_64 : size === 4 ? Op.lds32_64 : Op.ld64);
  l.ir.call(Helper.x87_load, t, 0, loadFormat.integer);
});
const fbld = noted((l) => loadTen(l, loadFormat.decimal));

/** FST and FSTP. */
function storeReal(flags: number): Rule {
  return noted((l) => {
    if (!l.i.hasMemory) {
      const stored = l.i.row.opcode === 0xd9 ? registerForms.storePopAny : registerForms.storePop;
      return l.ir.call(Helper.x87_register, 0, 0, (flags & pops ? stored : registerForms.store) | registerField(l));
    }
    const size = l.size(0);
    const format = size === 4 ? storeFormat.single : size === 8 ? storeFormat.double : storeFormat.extended;
    l.ir.call(Helper.x87_store, l.address(true, size), 0, format | flags);
  });
}
/** FIST, FISTP, FISTTP. */
function storeInteger(flags: number): Rule {
  return noted((l) => {
    const size = l.size(0);
    const format = size === 2 ? storeFormat.word : size === 4 ? storeFormat.doubleword : storeFormat.quadword;
    l.ir.call(Helper.x87_store, l.address(true, size), 0, format | flags);
  });
}
const fbstp = noted((l) => l.ir.call(Helper.x87_store, l.address(true, 10), 0, storeFormat.decimal | pops));

/** The memory operand of arithmetic, with its form. */
function memoryOperand(l: Lifter): number {
  const size = l.size(0);
  return read(l, size === 8 ? Op.ld64 : Op.ld32);
}
const memoryForm = (l: Lifter): number => (l.size(0) === 8 ? form.double : form.single);

/** FADD and its like: the operation is the opcode's /r field. */
const arithmetic = noted((l) => {
  const op = l.i.reg & 7;
  if (l.i.hasMemory) return l.ir.call(Helper.x87_arith, memoryOperand(l), 0, op | memoryForm(l));
  const opcode = l.i.row.opcode;
  const to = opcode === 0xd8 ? form.fromRegister : opcode === 0xdc ? form.toRegister : form.toRegisterPop;
  l.ir.call(Helper.x87_arith, 0, 0, op | to | registerField(l));
});
const integerArithmetic = noted((l) => {
  const t = read(l, l.size(0) === 2 ? Op.lds16_32 : Op.ld32);
  l.ir.call(Helper.x87_arith, t, 0, (l.i.reg & 7) | form.integer);
});

/** FCOM and its like; `flags`: registers to pop, quiet. */
function compare(flags: number): Rule {
  return noted((l) => {
    if (l.i.hasMemory) return l.ir.call(Helper.x87_compare, memoryOperand(l), 0, flags | memoryForm(l));
    // FCOMPP and FUCOMPP have the register in their code.
    l.ir.call(Helper.x87_compare, 0, 0, flags | form.fromRegister | registerField(l));
  });
}
function compareInteger(flags: number): Rule {
  return noted((l) => {
    const t = read(l, l.size(0) === 2 ? Op.lds16_32 : Op.ld32);
    l.ir.call(Helper.x87_compare, t, 0, flags | form.integer);
  });
}
function compareToFlags(flags: number): Rule {
  return noted((l) => {
    const t = l.temp();
    l.ir.call(Helper.x87_compare_flags, t, 0, flags | registerField(l));
    l.ir.rrr(Op.setflags, 0, t);
  });
}

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
  l.ir.call(Helper.x87_wait);
};
function controlStore(which: number): Rule {
  return fpu((l) => {
    const t = l.temp();
    l.ir.call(Helper.x87_control, t, 0, which);
    l.write(0, t);
  });
}
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
  fcomp: compare(1),
  fcompp: compare(2),
  fucom: compare(quiet),
  fucomp: compare(quiet | 1),
  fucompp: compare(quiet | 2),
  ficom: compareInteger(0),
  ficomp: compareInteger(1),
  fcomi: compareToFlags(0),
  fcomip: compareToFlags(1),
  fucomi: compareToFlags(quiet),
  fucomip: compareToFlags(quiet | 1),
  fxch: register(registerForms.exchange),
  ffree: register(registerForms.free),
  ffreep: register(registerForms.freePop),
  fwait,
  fnop,
  fninit: controlOnly(control.init),
  fnclex: controlOnly(control.clear),
  fldcw: fpu((l) => l.ir.call(Helper.x87_control, read(l, Op.ld16), 0, control.loadControl)),
  fnstcw: controlStore(control.storeControl),
  fnstsw: controlStore(control.storeStatus),
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
  "fchs fabs ftst fxam fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz f2xm1 fyl2x fptan fpatan fxtract fprem1 fdecstp fincstp " +
  "fprem fyl2xp1 fsqrt fsincos frndint fscale fsin fcos"
).split(" ")) {
  x87Rules[name] = top;
}
