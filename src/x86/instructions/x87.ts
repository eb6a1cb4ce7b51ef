/**
 * x87 (SDM 2A and 1, "Programming with the x87 FPU"). Memory sizes: Md Mq Mt are reals of 4, 8, 10 bytes unless the
 * mnemonic says integer (fi..., Mw Md Mq) or BCD (fb..., Mt).
 */
import { CF, PF, ZF } from "../flags.ts";
import { arithmetic as allStatusFlags, group, hex, lift, type RowSource, reads, row, size } from "./define.ts";

/** The eight operations in the order of their digit. */
const operations = ["fadd", "fmul", "fcom", "fcomp", "fsub", "fsubr", "fdiv", "fdivr"];

/** Where ST(i) is the destination, the digits of SUB and SUBR, DIV and DIVR are exchanged. */
const reversed = ["fadd", "fmul", "", "", "fsubr", "fsub", "fdivr", "fdiv"];

const arithmetic = operations.flatMap((name, n) => [
  row(`D8 /${n} mem`, `${name} Md`),
  row(`DC /${n} mem`, `${name} Mq`),
  row(`DA /${n} mem`, `${name.replace("f", "fi")} Md`),
  row(`DE /${n} mem`, `${name.replace("f", "fi")} Mw`),
  row(`D8 /${n}`, `${name} ST0 STi`),
]);
const intoRegister = reversed.flatMap((name, n) =>
  name === "" ? [] : [row(`DC /${n}`, `${name} STi ST0`), row(`DE /${n}`, `${name}p STi ST0`)],
);

const loadsAndStores = [
  row("D9 /0 mem", "fld Md"),
  row("DD /0 mem", "fld Mq"),
  row("DB /5 mem", "fld Mt"),
  row("D9 /0", "fld STi"),
  row("D9 /2 mem", "fst Md"),
  row("DD /2 mem", "fst Mq"),
  row("DD /2", "fst STi"),
  row("D9 /3 mem", "fstp Md"),
  row("DD /3 mem", "fstp Mq"),
  row("DB /7 mem", "fstp Mt"),
  row("DD /3", "fstp STi"),
  // Undocumented twins. D9 /3 does not check for an empty source.
  row("D9 /3", "fstp STi"),
  row("DF /2", "fstp STi"),
  row("DF /3", "fstp STi"),
  row("DF /0 mem", "fild Mw"),
  row("DB /0 mem", "fild Md"),
  row("DF /5 mem", "fild Mq"),
  row("DF /2 mem", "fist Mw"),
  row("DB /2 mem", "fist Md"),
  row("DF /3 mem", "fistp Mw"),
  row("DB /3 mem", "fistp Md"),
  row("DF /7 mem", "fistp Mq"),
  row("DF /1 mem", "fisttp Mw", { feature: "sse3" }),
  row("DB /1 mem", "fisttp Md", { feature: "sse3" }),
  row("DD /1 mem", "fisttp Mq", { feature: "sse3" }),
  row("DF /4 mem", "fbld Mt"),
  row("DF /6 mem", "fbstp Mt"),
  row("D9 /1", "fxch STi"),
  row("DD /1", "fxch STi"),
  row("DF /1", "fxch STi"),
];

const compares = [
  row("DC /2", "fcom ST0 STi"),
  row("DC /3", "fcomp ST0 STi"),
  row("DE /2", "fcomp ST0 STi"),
  row("DE D9", "fcompp"),
  row("DD /4", "fucom STi"),
  row("DD /5", "fucomp STi"),
  row("DA E9", "fucompp"),
  ...(
    [
      ["DB /5", "fucomi"],
      ["DB /6", "fcomi"],
      ["DF /5", "fucomip"],
      ["DF /6", "fcomip"],
    ] as const
  ).map(([code, name]) => row(code, `${name} ST0 STi`, allStatusFlags, { feature: "cmov" })),
  row("D9 E4", "ftst"),
  row("D9 E5", "fxam"),
];

/** FCMOVcc: DA moves if, DB if not. */
const conditionalMoves = (
  [
    ["b", CF],
    ["e", ZF],
    ["be", CF | ZF],
    ["u", PF],
  ] as const
).flatMap(([cc, flags], n) => [
  row(`DA /${n}`, `fcmov${cc} ST0 STi`, reads(flags), { feature: "cmov" }),
  row(`DB /${n}`, `fcmovn${cc} ST0 STi`, reads(flags), { feature: "cmov" }),
]);

/** D9 E0 to D9 FF, all on the stack top. */
const topOperations = (
  [
    [0xd0, "fnop"],
    [0xe0, "fchs"],
    [0xe1, "fabs"],
    [0xe8, "fld1"],
    [0xe9, "fldl2t"],
    [0xea, "fldl2e"],
    [0xeb, "fldpi"],
    [0xec, "fldlg2"],
    [0xed, "fldln2"],
    [0xee, "fldz"],
    [0xf0, "f2xm1"],
    [0xf1, "fyl2x"],
    [0xf2, "fptan"],
    [0xf3, "fpatan"],
    [0xf4, "fxtract"],
    [0xf5, "fprem1"],
    [0xf6, "fdecstp"],
    [0xf7, "fincstp"],
    [0xf8, "fprem"],
    [0xf9, "fyl2xp1"],
    [0xfa, "fsqrt"],
    [0xfb, "fsincos"],
    [0xfc, "frndint"],
    [0xfd, "fscale"],
    [0xfe, "fsin"],
    [0xff, "fcos"],
  ] as const
).map(([byte, name]) => row(`D9 ${hex(byte)}`, name));

const control = [
  row("9B", "fwait"),
  row("D9 /4 mem", "fldenv Menv", size("z")),
  row("D9 /6 mem", "fnstenv Menv", size("z")),
  row("DD /4 mem", "frstor Mfst", size("z")),
  row("DD /6 mem", "fnsave Mfst", size("z")),
  row("D9 /5 mem", "fldcw Mw"),
  row("D9 /7 mem", "fnstcw Mw"),
  row("DD /7 mem", "fnstsw Mw"),
  row("DF E0", "fnstsw AX"),
  row("DB E2", "fnclex"),
  row("DB E3", "fninit"),
  // The interrupt enables of the 8087 and the protected mode switch of the 80287 do nothing any more.
  row("DB E0", "fneni", lift("fnop")),
  row("DB E1", "fndisi", lift("fnop")),
  row("DB E4", "fnsetpm", lift("fnop")),
  row("DD /0", "ffree STi"),
  row("DF /0", "ffreep STi"),
];

export const x87: RowSource[] = group("fpu", [
  ...arithmetic,
  ...intoRegister,
  ...loadsAndStores,
  ...compares,
  ...conditionalMoves,
  ...topOperations,
  ...control,
]);
