/**
 * System instructions. What they do is in the runtime (src/runtime/deliver.ts, src/runtime/system/); here stand their
 * operands, and where blocks end: after whatever may change the mode, the mappings, or what waits for delivery.
 *
 * Privilege is part of the mode as far as "user or not" goes; the helpers tell rings 1 and 2 from 0.
 */
import { Helper, Op } from "#ir";
import { at, Mode } from "#vcpu";
import { IF, type Instruction } from "#x86";
import { type Lifter, log2, type Rule, rdx } from "./lifter.ts";
import { raise } from "./raise.ts";
import { adjust, peek } from "./stack.ts";

const UD = 6;
const GP = 13;

const SS = 2;

const isUser = (l: Lifter): boolean => (l.mode & Mode.tlbMask) === 0;

/** #UD: what does not exist, here or at all. */
export const undefinedInstruction: Rule = (l) => raise(l, UD);

/** False, with #GP raised, in user code. */
function requireSystem(l: Lifter): boolean {
  if (!isUser(l)) return true;
  raise(l, GP);
  return false;
}

/** For x87 instructions (not WAIT). False where they cannot run: #NM is raised and the block has ended. */
export function requireFpu(l: Lifter): boolean {
  if ((l.mode & Mode.noFpu) === 0) return true;
  l.ir.call(Helper.sys_no_fpu, 0, 0, 0);
  l.dispatch();
  return false;
}

/** For MMX instructions. As `requireFpu`; CR0.EM raises #UD. */
export function requireMmx(l: Lifter): boolean {
  if ((l.mode & Mode.noFpu) === 0) return true;
  l.ir.call(Helper.sys_no_fpu, 0, 0, 1);
  l.dispatch();
  return false;
}

/** For SSE instructions: as `requireMmx`, and #UD where CR4.OSFXSR is clear. */
export function requireSse(l: Lifter): boolean {
  if ((l.mode & Mode.noSse) !== 0) {
    raise(l, UD);
    return false;
  }
  return requireMmx(l);
}

/** For WAIT, which faults only with CR0.MP and CR0.TS together. The instruction goes on. */
export function checkWait(l: Lifter): void {
  if ((l.mode & Mode.noFpu) !== 0) l.ir.call(Helper.sys_no_fpu, 0, 0, 2);
}

/** A helper without operands that may change what follows. */
function plain(helper: number, imm = 0): Rule {
  return (l) => {
    if (!requireSystem(l)) return;
    l.ir.call(helper, 0, 0, imm);
    l.sync();
  };
}

// Interrupts by instruction.

function softwareInterrupt(l: Lifter, vector: number): void {
  l.ir.call(Helper.sys_int, l.nextRip(), 0, vector);
  l.dispatch();
}

const int1: Rule = (l) => {
  l.ir.call(Helper.sys_int1, l.nextRip());
  l.dispatch();
};

/** Only where OF is set; else on with the next instruction. */
const into: Rule = (l) => {
  const next = l.nextRip();
  const overflow = l.temp();
  l.condition(0, overflow);
  l.ir.call(Helper.sys_into, next, overflow);
  l.dispatch();
};

/** #BR where the index is below the first bound or above the second. */
const bound: Rule = (l) => {
  const size = l.i.operandSize;
  const n = log2(size);
  const low = l.temp();
  const high = l.temp();
  l.loadAt(Op.ld8 + 2 * n, low, 0);
  l.loadAt(Op.ld8 + 2 * n, high, size);
  l.ir.call(Helper.sys_bound, l.registerOf(0), low, size);
};

// Far transfers.

/** Loads a far pointer from memory into two successive temporaries, and gives the first: offset, then selector. */
function farPointer(l: Lifter): number {
  const size = l.i.operandSize;
  const offset = l.temp();
  const selector = l.temp();
  l.loadAt(size === 8 ? Op.ld64 : size === 4 ? Op.ld32 : Op.ldz16_32, offset, 0);
  l.loadAt(Op.ldz16_32, selector, size);
  return offset;
}

/** The target of a far jump or call, in two successive temporaries. */
function farTarget(l: Lifter): number {
  if (l.place(0) === "memory") return farPointer(l);
  const mask = l.i.operandSize === 2 ? 0xffff : -1;
  const offset = l.constant(l.i.immLow & mask, 0);
  l.constant(l.i.imm2 & 0xffff, 0);
  return offset;
}

const jmpFar: Rule = (l, i) => {
  const target = farTarget(l);
  l.ir.call(Helper.sys_jmp_far, target, target + 8, i.operandSize);
  l.dispatch();
};

const callFar: Rule = (l, i) => {
  const target = farTarget(l);
  l.ir.stackSegment();
  l.ir.call(Helper.sys_call_far, target, l.nextRip(), i.operandSize);
  l.dispatch();
};

const retFar: Rule = (l, i) => {
  l.ir.stackSegment();
  l.ir.call(Helper.sys_ret_far, i.row.operands.length === 1 ? i.immLow & 0xffff : 0, 0, i.operandSize);
  l.dispatch();
};

const iret: Rule = (l, i) => {
  l.ir.stackSegment();
  l.ir.call(Helper.sys_iret, 0, 0, i.operandSize);
  l.dispatch();
};

const syscall: Rule = (l) => {
  l.ir.call(Helper.sys_syscall, l.nextRip());
  l.dispatch();
};

const sysret: Rule = (l, i) => {
  l.ir.call(Helper.sys_sysret, 0, 0, i.operandSize);
  l.dispatch();
};

// Segments and tables.

/** In the helper's operand: by MOV or POP, after which a load of SS holds interrupts and debug exceptions back. LSS does not. */
const loadedAlone = 8;

/** After a segment load: the mode may be another one outside 64-bit code, and SS may hold interrupts back. */
function loadSegment(l: Lifter, selector: number, segment: number): void {
  l.ir.call(Helper.sys_load_segment, selector, 0, segment);
}
const endsBlock = (l: Lifter, segment: number): boolean => !l.long || segment === SS;

const movFromSegment: Rule = (l, i) => {
  if ((i.reg & 7) > 5) return undefinedInstruction(l, i);
  const t = l.temp();
  l.ir.rrr(Op.mov32, t, at.SEG_SELECTOR + 4 * (i.reg & 7));
  l.write(0, t);
};

const movToSegment: Rule = (l, i) => {
  const segment = i.reg & 7;
  if (segment === 1 || segment > 5) return undefinedInstruction(l, i);
  loadSegment(l, l.read(1), segment | loadedAlone);
  if (endsBlock(l, segment)) l.sync();
};

const popSegment: Rule = (l, i) => {
  const segment = l.fixedRegister(0);
  loadSegment(l, peek(l, i.operandSize), segment | loadedAlone);
  adjust(l, i.operandSize);
  if (endsBlock(l, segment)) l.sync();
};

/** By opcode: C4 LES, C5 LDS, 0F B2 LSS, 0F B4 LFS, 0F B5 LGS. */
const farPointerSegments: ReadonlyMap<number, number> = new Map([
  [0xc4, 0],
  [0xc5, 3],
  [0xb2, 2],
  [0xb4, 4],
  [0xb5, 5],
]);

const loadFarPointer: Rule = (l, i) => {
  const segment = farPointerSegments.get(i.row.opcode) ?? 0;
  const offset = farPointer(l);
  loadSegment(l, offset + 8, segment);
  l.ir.rrr(Op.mov8 + log2(i.operandSize), l.registerOf(0), offset);
  if (endsBlock(l, segment)) l.sync();
};

/** SLDT STR SMSW: a register gets the field as wide as it is, memory two bytes. */
function storeField(field: number): Rule {
  return (l) => {
    if (isUser(l)) l.ir.call(Helper.sys_umip);
    const t = l.temp();
    l.ir.rrr(field === at.CR0 ? Op.mov64 : Op.mov32, t, field);
    l.write(0, t);
  };
}

function storeTable(base: number, limit: number): Rule {
  return (l) => {
    if (isUser(l)) l.ir.call(Helper.sys_umip);
    l.storeAt(Op.st16, limit, 0);
    l.storeAt(l.long ? Op.st64 : Op.st32, base, 2);
  };
}

function loadTable(which: number): Rule {
  return (l, i) => {
    if (!requireSystem(l)) return;
    const limit = l.temp();
    const base = l.temp();
    l.loadAt(Op.ldz16_32, limit, 0);
    l.loadAt(l.long ? Op.ld64 : Op.ld32, base, 2);
    // A 16-bit operand size gives 24 bits of base.
    if (!l.long && i.operandSize === 2) l.ir.rri(Op.and64i, base, base, 0xffffff, 0);
    l.ir.call(Helper.sys_load_table, base, limit, which);
  };
}

function loadSystemSegment(helper: number): Rule {
  return (l) => {
    if (!requireSystem(l)) return;
    l.ir.call(helper, l.read(0));
  };
}

const selectorOf = (l: Lifter, n: number): number => {
  if (!l.isMemory(n)) return l.registerOf(n);
  const t = l.temp();
  l.load(Op.ldz16_32, t);
  return t;
};

function describe(which: number): Rule {
  return (l, i) => l.ir.call(Helper.sys_lar_lsl, selectorOf(l, 1), l.registerOf(0), i.operandSize + which);
}

function verify(which: number): Rule {
  return (l) => l.ir.call(Helper.sys_verify, selectorOf(l, 0), 0, which);
}

const arpl: Rule = (l) => {
  const memory = l.isMemory(0);
  const d = memory ? l.address() : l.registerOf(0);
  l.ir.call(Helper.sys_arpl, d, l.registerOf(1), memory ? 1 + l.i.segment : 0);
};

function readBase(segment: number): Rule {
  return (l, i) => {
    l.ir.call(Helper.sys_fsgsbase);
    l.ir.rrr(i.operandSize === 8 ? Op.mov64 : Op.mov32, l.registerOf(0), at.SEG_BASE + 8 * segment);
  };
}

function writeBase(segment: number): Rule {
  return (l, i) => l.ir.call(Helper.sys_write_base, l.registerOf(0), segment, i.operandSize);
}

const swapgs: Rule = (l) => {
  if (!requireSystem(l)) return;
  const t = l.temp();
  const gs = at.SEG_BASE + 8 * 5;
  l.ir.rrr(Op.mov64, t, gs);
  l.ir.rrr(Op.mov64, gs, at.KERNEL_GS_BASE);
  l.ir.rrr(Op.mov64, at.KERNEL_GS_BASE, t);
};

// Control and debug registers.

const controlFields: Readonly<Record<number, number>> = { 0: at.CR0, 2: at.CR2, 3: at.CR3, 4: at.CR4, 8: at.CR8 };

/** CR8 by LOCK MOV CR0 is AMD's way for 32-bit code. */
const controlNumber = (i: Instruction): number => (i.lock && i.reg === 0 ? 8 : i.reg);

const movFromControl: Rule = (l, i) => {
  const field = controlFields[controlNumber(i)];
  if (field === undefined) return undefinedInstruction(l, i);
  if (!requireSystem(l)) return;
  l.ir.rrr(l.long ? Op.mov64 : Op.mov32, l.register(i.rm, 8), field);
};

const movToControl: Rule = (l, i) => {
  const n = controlNumber(i);
  if (controlFields[n] === undefined) return undefinedInstruction(l, i);
  if (!requireSystem(l)) return;
  let value = l.register(i.rm, 8);
  if (!l.long) {
    const t = l.temp();
    l.ir.rrr(Op.mov32, t, value);
    value = t;
  }
  l.ir.call(Helper.sys_write_cr, value, 0, n);
  l.sync();
};

const movFromDebug: Rule = (l, i) => {
  const t = l.temp();
  l.ir.call(Helper.sys_read_dr, t, 0, i.reg);
  l.ir.rrr(l.long ? Op.mov64 : Op.mov32, l.register(i.rm, 8), t);
};

const movToDebug: Rule = (l, i) => {
  const t = l.temp();
  l.ir.rrr(l.long ? Op.mov64 : Op.mov32, t, l.register(i.rm, 8));
  l.ir.call(Helper.sys_write_dr, t, 0, i.reg);
  l.sync();
};

const lmsw: Rule = (l) => {
  if (!requireSystem(l)) return;
  l.ir.call(Helper.sys_lmsw, l.read(0));
  l.sync();
};

const invlpg: Rule = (l) => {
  if (!requireSystem(l)) return;
  l.ir.call(Helper.sys_invlpg, l.address());
  l.sync();
};

const invpcid: Rule = (l) => {
  if (!requireSystem(l)) return;
  const pcid = l.temp();
  const address = l.temp();
  l.loadAt(Op.ld64, pcid, 0);
  l.loadAt(Op.ld64, address, 8);
  l.ir.call(Helper.sys_invpcid, l.registerOf(0), pcid, l.long ? 8 : 4);
  l.sync();
};

// Flags and waiting.

const cli: Rule = (l) => {
  if (!isUser(l)) return l.ir.rri(Op.and64i, at.EFLAGS, at.EFLAGS, ~IF);
  l.ir.call(Helper.sys_interrupt_flag, 0, 0, 0);
};

const sti: Rule = (l) => {
  l.ir.call(Helper.sys_interrupt_flag, 0, 0, 1);
  l.poll();
};

function accessCheck(set: number): Rule {
  return (l, i) => {
    if (isUser(l)) return undefinedInstruction(l, i);
    l.ir.call(Helper.sys_access_check, 0, 0, set);
    l.sync();
  };
}

// Ports. A device may want attention at once, so blocks end.

const portOf = (l: Lifter, n: number): number => (l.isImmediate(n) ? l.constant(l.i.immLow & 0xff, 0) : rdx);

const input: Rule = (l) => {
  l.ir.call(Helper.sys_in, portOf(l, 1), 0, l.size(0));
  l.sync();
};

const output: Rule = (l) => {
  l.ir.call(Helper.sys_out, portOf(l, 0), 0, l.size(1));
  l.sync();
};

function stringIo(n: number, outs: number): Rule {
  return (l, i) => {
    l.ir.call(
      Helper.sys_string_io,
      outs !== 0 ? i.segment : 0,
      i.addressSize,
      l.size(n) | (i.rep !== 0 ? 16 : 0) | outs,
    );
    l.sync();
  };
}

// The processor's own registers.

/** EDX:EAX from the helper; the block goes on. */
function answer(helper: number, imm = 0): Rule {
  return (l) => l.ir.call(helper, 0, 0, imm);
}

/** What looks at the time ends its block: the count of retired instructions is exact there, whoever runs it. */
function answerInTime(helper: number, imm: number): Rule {
  return (l) => {
    l.ir.call(helper, 0, 0, imm);
    l.jump(l.next);
  };
}

const random: Rule = (l, i) => l.ir.call(Helper.sys_random, l.registerOf(0), 0, i.operandSize);

const rdmsr: Rule = (l) => {
  if (!requireSystem(l)) return;
  l.ir.call(Helper.sys_rdmsr);
  l.jump(l.next);
};

// Extended state.

const stateForm = (l: Lifter, i: Instruction): number => (i.operandSize === 8 ? 1 : 0) | (l.long ? 2 : 0);

/** FXSAVE and FXRSTOR: #NM with CR0.EM or CR0.TS. */
function legacyState(helper: number): Rule {
  return (l, i) => {
    if (!requireFpu(l)) return;
    const writes = helper === Helper.sys_fxsave;
    const last = l.lastByte(512, writes);
    l.ir.call(helper, l.address(writes, 512), last, stateForm(l, i));
  };
}

function extendedState(helper: number): Rule {
  return (l, i) => l.ir.call(helper, l.address(helper === Helper.sys_xsave, 576), 0, stateForm(l, i));
}

const ldmxcsr: Rule = (l) => {
  if (requireSse(l)) l.ir.call(Helper.sys_ldmxcsr, l.read(0));
};

const stmxcsr: Rule = (l) => {
  if (requireSse(l)) l.store(Op.st32, at.MXCSR);
};

const nothing: Rule = (l) => {
  requireSystem(l);
};

export const systemRules: Record<string, Rule> = {
  "(bad)": undefinedInstruction,
  undefined: undefinedInstruction,
  ud: undefinedInstruction,
  monitor: undefinedInstruction,
  mwait: undefinedInstruction,
  // As on AMD's processors in long mode.
  sysenter: undefinedInstruction,
  sysexit: undefinedInstruction,
  int3: (l) => softwareInterrupt(l, 3),
  int: (l) => softwareInterrupt(l, l.i.immLow & 0xff),
  int1,
  into,
  bound,
  jmpf: jmpFar,
  callf: callFar,
  retf: retFar,
  iret,
  syscall,
  sysret,
  "mov-from-sreg": movFromSegment,
  "mov-to-sreg": movToSegment,
  "pop-sreg": popSegment,
  "load-far-pointer": loadFarPointer,
  sldt: storeField(at.LDTR_SELECTOR),
  str: storeField(at.TR_SELECTOR),
  smsw: storeField(at.CR0),
  sgdt: storeTable(at.GDTR_BASE, at.GDTR_LIMIT),
  sidt: storeTable(at.IDTR_BASE, at.IDTR_LIMIT),
  lgdt: loadTable(0),
  lidt: loadTable(1),
  lldt: loadSystemSegment(Helper.sys_lldt),
  ltr: loadSystemSegment(Helper.sys_ltr),
  lar: describe(0),
  lsl: describe(16),
  verr: verify(0),
  verw: verify(1),
  arpl,
  rdfsbase: readBase(4),
  rdgsbase: readBase(5),
  wrfsbase: writeBase(4),
  wrgsbase: writeBase(5),
  swapgs,
  "mov-from-cr": movFromControl,
  "mov-to-cr": movToControl,
  "mov-from-dr": movFromDebug,
  "mov-to-dr": movToDebug,
  clts: plain(Helper.sys_clts),
  lmsw,
  xgetbv: answer(Helper.sys_xgetbv),
  xsetbv: answer(Helper.sys_xsetbv),
  invlpg,
  invpcid,
  invd: nothing,
  wbinvd: nothing,
  cli,
  sti,
  clac: accessCheck(0),
  stac: accessCheck(1),
  hlt: plain(Helper.sys_hlt),
  in: input,
  out: output,
  ins: stringIo(0, 0),
  outs: stringIo(1, 32),
  rdmsr,
  wrmsr: plain(Helper.sys_wrmsr),
  rdtsc: answerInTime(Helper.sys_rdtsc, 0),
  rdtscp: answerInTime(Helper.sys_rdtsc, 1),
  rdpmc: (l) => raise(l, GP),
  cpuid: answer(Helper.sys_cpuid),
  rdrand: random,
  rdseed: random,
  hypercall: answer(Helper.sys_hypercall),
  fxsave: legacyState(Helper.sys_fxsave),
  fxrstor: legacyState(Helper.sys_fxrstor),
  xsave: extendedState(Helper.sys_xsave),
  xrstor: extendedState(Helper.sys_xrstor),
  ldmxcsr,
  stmxcsr,
};
