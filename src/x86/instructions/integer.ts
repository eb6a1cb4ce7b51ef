/** The general-purpose instructions: arithmetic, logic, moves, shifts, bits (SDM 2). */
import { AF, CF, OF, PF, SF, STATUS_FLAGS, ZF } from "../flags.ts";
import {
  arithmetic,
  CONDITIONS,
  counting,
  hex,
  lift,
  lockable,
  logic,
  multiplying,
  only32,
  only64,
  type RowDetails,
  type RowSource,
  reads,
  row,
  size,
  writes,
} from "./define.ts";

/** ADD OR ADC SBB AND SUB XOR CMP share one pattern of nine codes. */
function eightOperations(): RowSource[] {
  const operations: [string, ...RowDetails[]][] = [
    ["add", arithmetic],
    ["or", logic],
    ["adc", arithmetic, reads(CF)],
    ["sbb", arithmetic, reads(CF)],
    ["and", logic],
    ["sub", arithmetic],
    ["xor", logic],
    ["cmp", arithmetic],
  ];
  return operations.flatMap(([name, ...details], n) => {
    const atMemory = name === "cmp" ? details : [...details, lockable];
    return [
      row(hex(n * 8), `${name} Eb Gb`, ...atMemory),
      row(hex(n * 8 + 1), `${name} Ev Gv`, ...atMemory),
      row(hex(n * 8 + 2), `${name} Gb Eb`, ...details),
      row(hex(n * 8 + 3), `${name} Gv Ev`, ...details),
      row(hex(n * 8 + 4), `${name} AL Ib`, ...details),
      row(hex(n * 8 + 5), `${name} rAX Iz`, ...details),
      row(`80 /${n}`, `${name} Eb Ib`, ...atMemory),
      row(`81 /${n}`, `${name} Ev Iz`, ...atMemory),
      row(`82 /${n}`, `${name} Eb Ib`, ...atMemory, only32),
      row(`83 /${n}`, `${name} Ev Ibs`, ...atMemory),
    ];
  });
}

/** Shifts and rotates: the count is masked to five bits, six for 64-bit operands; masked count 0 changes no flag. */
function shifts(): RowSource[] {
  const rotate: RowDetails = { flagsWritten: CF | OF, flagsDepend: "rotate" };
  const shift: RowDetails = { flagsWritten: STATUS_FLAGS & ~AF, flagsUndefined: AF, flagsDepend: "shift" };
  const operations: [string, string, ...RowDetails[]][] = [
    ["rol", "/0", rotate],
    ["ror", "/1", rotate],
    ["rcl", "/2", rotate, reads(CF)],
    ["rcr", "/3", rotate, reads(CF)],
    ["shl", "/4", shift],
    ["shr", "/5", shift],
    // The manual does not name /6; every processor takes it as /4.
    ["shl", "/6", shift],
    ["sar", "/7", shift],
  ];
  return operations.flatMap(([name, digit, ...details]) => [
    row(`C0 ${digit}`, `${name} Eb Ib`, ...details),
    row(`C1 ${digit}`, `${name} Ev Ib`, ...details),
    row(`D0 ${digit}`, `${name} Eb 1`, ...details),
    row(`D1 ${digit}`, `${name} Ev 1`, ...details),
    row(`D2 ${digit}`, `${name} Eb CL`, ...details),
    row(`D3 ${digit}`, `${name} Ev CL`, ...details),
  ]);
}

const doubleShift: RowDetails = { flagsWritten: STATUS_FLAGS & ~AF, flagsUndefined: AF, flagsDepend: "double-shift" };
/** BT and its like write CF, leave ZF as it was and the rest undefined. */
const bitTest = writes(CF, OF | SF | AF | PF);

function bitTests(): RowSource[] {
  return (
    [
      ["bt", "A3", "/4"],
      ["bts", "AB", "/5", lockable],
      ["btr", "B3", "/6", lockable],
      ["btc", "BB", "/7", lockable],
    ] as [string, string, string, ...RowDetails[]][]
  ).flatMap(([name, code, digit, ...details]) => [
    row(`0F ${code}`, `${name} Ev Gv`, bitTest, ...details),
    row(`0F BA ${digit}`, `${name} Ev Ib`, bitTest, ...details),
  ]);
}

const multiply = [
  row("69", "imul Gv Ev Iz", multiplying),
  row("6B", "imul Gv Ev Ibs", multiplying),
  row("0F AF", "imul Gv Ev", multiplying),
  row("F6 /4", "mul Eb", multiplying),
  row("F7 /4", "mul Ev", multiplying),
  row("F6 /5", "imul Eb", multiplying, lift("imul-wide")),
  row("F7 /5", "imul Ev", multiplying, lift("imul-wide")),
  row("F6 /6", "div Eb", writes(0, STATUS_FLAGS)),
  row("F7 /6", "div Ev", writes(0, STATUS_FLAGS)),
  row("F6 /7", "idiv Eb", writes(0, STATUS_FLAGS)),
  row("F7 /7", "idiv Ev", writes(0, STATUS_FLAGS)),
];

const unary = [
  row("FE /0", "inc Eb", counting, lockable),
  row("FF /0", "inc Ev", counting, lockable),
  row("FE /1", "dec Eb", counting, lockable),
  row("FF /1", "dec Ev", counting, lockable),
  row("40+r", "inc Zv", counting, only32),
  row("48+r", "dec Zv", counting, only32),
  row("F6 /2", "not Eb", lockable),
  row("F7 /2", "not Ev", lockable),
  row("F6 /3", "neg Eb", arithmetic, lockable),
  row("F7 /3", "neg Ev", arithmetic, lockable),
];

const tests = [
  row("84", "test Eb Gb", logic),
  row("85", "test Ev Gv", logic),
  row("A8", "test AL Ib", logic),
  row("A9", "test rAX Iz", logic),
  row("F6 /0", "test Eb Ib", logic),
  row("F7 /0", "test Ev Iz", logic),
  // Undocumented twins of /0.
  row("F6 /1", "test Eb Ib", logic),
  row("F7 /1", "test Ev Iz", logic),
];

const moves = [
  row("88", "mov Eb Gb"),
  row("89", "mov Ev Gv"),
  row("8A", "mov Gb Eb"),
  row("8B", "mov Gv Ev"),
  row("A0", "mov AL Ob"),
  row("A1", "mov rAX Ov"),
  row("A2", "mov Ob AL"),
  row("A3", "mov Ov rAX"),
  row("B0+r", "mov Zb Ib"),
  row("B8+r", "mov Zv Iv"),
  row("C6 /0", "mov Eb Ib"),
  row("C7 /0", "mov Ev Iz"),
  row("8D", "lea Gv M"),
  row("86", "xchg Eb Gb", lockable),
  row("87", "xchg Ev Gv", lockable),
  row("90+r", "xchg Zv rAX"),
  row("63", "movsxd Gv Ed", only64),
  row("0F B6", "movzx Gv Eb"),
  row("0F B7", "movzx Gv Ew"),
  row("0F BE", "movsx Gv Eb"),
  row("0F BF", "movsx Gv Ew"),
  row("NP 0F C3", "movnti My Gy", { feature: "sse2" }),
  row("0F C8+r", "bswap Zv"),
  row("D7", "xlat", size("b")),
  // CBW CWDE CDQE; CWD CDQ CQO.
  row("98", "cbw", size("v")),
  row("99", "cwd", size("v")),
];

const stack = [
  row("50+r", "push Zv", size("d64")),
  row("58+r", "pop Zv", size("d64")),
  row("68", "push Iz", size("d64")),
  row("6A", "push Ibs", size("d64")),
  row("FF /6", "push Ev", size("d64")),
  row("8F /0", "pop Ev", size("d64")),
  row("06", "push ES", size("d64"), only32, lift("push-sreg")),
  row("07", "pop ES", size("d64"), only32, lift("pop-sreg")),
  row("0E", "push CS", size("d64"), only32, lift("push-sreg")),
  row("16", "push SS", size("d64"), only32, lift("push-sreg")),
  row("17", "pop SS", size("d64"), only32, lift("pop-sreg")),
  row("1E", "push DS", size("d64"), only32, lift("push-sreg")),
  row("1F", "pop DS", size("d64"), only32, lift("pop-sreg")),
  row("0F A0", "push FS", size("d64"), lift("push-sreg")),
  row("0F A1", "pop FS", size("d64"), lift("pop-sreg")),
  row("0F A8", "push GS", size("d64"), lift("push-sreg")),
  row("0F A9", "pop GS", size("d64"), lift("pop-sreg")),
  row("60", "pusha", size("v"), only32),
  row("61", "popa", size("v"), only32),
  row("C8", "enter Iw Ib2", size("d64")),
  row("C9", "leave", size("d64")),
];

const exchanges = [
  row("0F B0", "cmpxchg Eb Gb", arithmetic, lockable),
  row("0F B1", "cmpxchg Ev Gv", arithmetic, lockable),
  row("0F C0", "xadd Eb Gb", arithmetic, lockable),
  row("0F C1", "xadd Ev Gv", arithmetic, lockable),
  // Two registers of operandSize make one operand.
  row("0F C7 /1 W0", "cmpxchg8b Mq", size("y"), writes(ZF), lockable, { feature: "cx8" }),
  row("0F C7 /1 W1", "cmpxchg16b Mo", size("y"), writes(ZF), lockable, { feature: "cx16" }),
];

const bits = [
  ...bitTests(),
  // Without BMI1 and LZCNT an F3 before these means nothing.
  row("0F BC", "bsf Gv Ev", writes(ZF, STATUS_FLAGS & ~ZF)),
  row("0F BD", "bsr Gv Ev", writes(ZF, STATUS_FLAGS & ~ZF)),
  row("F3 0F B8", "popcnt Gv Ev", arithmetic, { feature: "popcnt" }),
  row("0F A4", "shld Ev Gv Ib", doubleShift),
  row("0F A5", "shld Ev Gv CL", doubleShift),
  row("0F AC", "shrd Ev Gv Ib", doubleShift),
  row("0F AD", "shrd Ev Gv CL", doubleShift),
  row("F2 0F 38 F0", "crc32 Gd Eb", { feature: "sse4_2", sizeRule: "b" }),
  row("F2 0F 38 F1", "crc32 Gd Ev", { feature: "sse4_2" }),
  row("0F C7 /6 reg", "rdrand Rv", arithmetic, { feature: "rdrand" }),
  row("0F C7 /7 reg", "rdseed Rv", arithmetic, { feature: "rdseed" }),
];

/** CMOVcc and SETcc: the condition is the low nibble of the opcode. */
const conditional = CONDITIONS.flatMap(([cc, flags], n) => [
  row(`0F ${hex(0x40 + n)}`, `cmov${cc} Gv Ev`, reads(flags), lift("cmovcc")),
  row(`0F ${hex(0x90 + n)}`, `set${cc} Eb`, reads(flags), lift("setcc")),
]);

const low = SF | ZF | AF | PF | CF;
const flagMoves = [
  row("9E", "sahf", writes(low), size("b")),
  row("9F", "lahf", reads(low), size("b")),
  row("F5", "cmc", reads(CF), writes(CF)),
  row("F8", "clc", writes(CF)),
  row("F9", "stc", writes(CF)),
  row("D6", "salc", reads(CF), only32, size("b")),
];

const decimal = [
  row("27", "daa", reads(AF | CF), writes(STATUS_FLAGS & ~OF, OF), only32, size("b")),
  row("2F", "das", reads(AF | CF), writes(STATUS_FLAGS & ~OF, OF), only32, size("b")),
  row("37", "aaa", reads(AF), writes(AF | CF, OF | SF | ZF | PF), only32, size("b")),
  row("3F", "aas", reads(AF), writes(AF | CF, OF | SF | ZF | PF), only32, size("b")),
  row("D4", "aam Ib", writes(SF | ZF | PF, OF | AF | CF), only32, size("b")),
  row("D5", "aad Ib", writes(SF | ZF | PF, OF | AF | CF), only32, size("b")),
];

export const integer: RowSource[] = [
  ...eightOperations(),
  ...shifts(),
  ...multiply,
  ...unary,
  ...tests,
  ...moves,
  ...stack,
  ...exchanges,
  ...bits,
  ...conditional,
  ...flagMoves,
  ...decimal,
];
