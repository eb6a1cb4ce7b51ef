/** Branches, calls, returns, software interrupts, and what does nothing. */
import { ALL_FLAGS, IF, NT, OF, RF, TF, ZF } from "../flags.ts";
import { CONDITIONS, hex, lift, only32, type RowSource, reads, row, size, writes } from "./define.ts";

const f64 = size("f64");

/** The condition is the low nibble of the opcode. */
const conditional = CONDITIONS.flatMap(([cc, flags], n) => [
  row(hex(0x70 + n), `j${cc} Jb`, reads(flags), lift("jcc")),
  row(`0F ${hex(0x80 + n)}`, `j${cc} Jz`, reads(flags), lift("jcc")),
]);

const near = [
  row("E8", "call Jz"),
  row("E9", "jmp Jz"),
  row("EB", "jmp Jb"),
  row("FF /2", "call Ev", f64),
  row("FF /4", "jmp Ev", f64),
  row("C2", "ret Iw", f64),
  row("C3", "ret", f64),
  // These count rCX or test it, of the address size.
  row("E0", "loopne Jb", reads(ZF)),
  row("E1", "loope Jb", reads(ZF)),
  row("E2", "loop Jb"),
  row("E3", "jcxz Jb"),
];

const far = [
  row("9A", "callf Ap", only32, size("v")),
  row("EA", "jmpf Ap", only32, size("v")),
  row("FF /3", "callf Mp", size("v")),
  row("FF /5", "jmpf Mp", size("v")),
  row("CA", "retf Iw", size("v")),
  row("CB", "retf", size("v")),
  row("CF", "iret", size("v"), writes(ALL_FLAGS), reads(NT)),
];

const interrupts = [
  row("CC", "int3", writes(TF | IF | NT | RF)),
  row("CD", "int Ib", writes(TF | IF | NT | RF)),
  row("CE", "into", only32, reads(OF), writes(TF | IF | NT | RF)),
  row("F1", "int1", writes(TF | IF | NT | RF)),
  row("62", "bound Gv Ma", only32),
];

/** UD0 and UD1 have a ModRM byte, so a fault on a later page may come before #UD. */
const undefined_ = [
  row("0F 0B", "ud2", lift("ud")),
  row("0F B9", "ud1 Gv Ev", lift("ud")),
  row("0F FF", "ud0 Gv Ev", lift("ud")),
];

/** 0F 18 to 0F 1F are reserved as hints: whatever is not named does nothing. */
const nops = [
  row("90", "nop"),
  row("F3 90", "pause"),
  ...[0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f].map((code) => row(`0F ${hex(code)}`, "nop Ev")),
  row("0F 18 /0", "prefetchnta Mb", lift("nop")),
  row("0F 18 /1", "prefetcht0 Mb", lift("nop")),
  row("0F 18 /2", "prefetcht1 Mb", lift("nop")),
  row("0F 18 /3", "prefetcht2 Mb", lift("nop")),
  row("NP 0F 1C /0", "cldemote Mb", lift("nop")),
  row("0F 0D mem", "prefetch Mb", lift("nop")),
  row("0F 0D /1", "prefetchw Mb", lift("nop")),
  row("0F 0D /2", "prefetchwt1 Mb", lift("nop")),
  row("F3 0F 1E FA", "endbr64", lift("nop")),
  row("F3 0F 1E FB", "endbr32", lift("nop")),
  // Reads the shadow stack pointer where there is one.
  row("F3 0F 1E /1", "rdssp Ry", lift("nop")),
];

export const controlFlow: RowSource[] = [...conditional, ...near, ...far, ...interrupts, ...undefined_, ...nops];
