/**
 * MMX, and the packed integer operations that came first for MMX registers and then, with 66, for XMM registers.
 * Both forms share a lifting rule; it goes by the operand's size. Every MMX form but EMMS needs the x87 state.
 */
import { group, lift, type RowSource, row } from "./define.ts";

/** Opcode, mnemonic, feature of the MMX form; the XMM form is `later`. */
function both(later: string, first: string, operations: readonly (readonly [string, string])[]): RowSource[] {
  return operations.flatMap(([code, name]) => [
    row(`NP ${code}`, `${name} Pq Qq`, { feature: first }),
    row(`66 ${code}`, `${name} Vo Wo`, { feature: later }),
  ]);
}

const packed = both("sse2", "mmx", [
  ["0F 63", "packsswb"],
  ["0F 64", "pcmpgtb"],
  ["0F 65", "pcmpgtw"],
  ["0F 66", "pcmpgtd"],
  ["0F 67", "packuswb"],
  ["0F 68", "punpckhbw"],
  ["0F 69", "punpckhwd"],
  ["0F 6A", "punpckhdq"],
  ["0F 6B", "packssdw"],
  ["0F 74", "pcmpeqb"],
  ["0F 75", "pcmpeqw"],
  ["0F 76", "pcmpeqd"],
  ["0F D1", "psrlw"],
  ["0F D2", "psrld"],
  ["0F D3", "psrlq"],
  ["0F D5", "pmullw"],
  ["0F D8", "psubusb"],
  ["0F D9", "psubusw"],
  ["0F DB", "pand"],
  ["0F DC", "paddusb"],
  ["0F DD", "paddusw"],
  ["0F DF", "pandn"],
  ["0F E1", "psraw"],
  ["0F E2", "psrad"],
  ["0F E5", "pmulhw"],
  ["0F E8", "psubsb"],
  ["0F E9", "psubsw"],
  ["0F EB", "por"],
  ["0F EC", "paddsb"],
  ["0F ED", "paddsw"],
  ["0F EF", "pxor"],
  ["0F F1", "psllw"],
  ["0F F2", "pslld"],
  ["0F F3", "psllq"],
  ["0F F5", "pmaddwd"],
  ["0F F8", "psubb"],
  ["0F F9", "psubw"],
  ["0F FA", "psubd"],
  ["0F FC", "paddb"],
  ["0F FD", "paddw"],
  ["0F FE", "paddd"],
]);

const addedBySse = both("sse2", "sse", [
  ["0F DA", "pminub"],
  ["0F DE", "pmaxub"],
  ["0F E0", "pavgb"],
  ["0F E3", "pavgw"],
  ["0F E4", "pmulhuw"],
  ["0F EA", "pminsw"],
  ["0F EE", "pmaxsw"],
  ["0F F6", "psadbw"],
]);

const addedBySse2 = both("sse2", "sse2", [
  ["0F D4", "paddq"],
  ["0F F4", "pmuludq"],
  ["0F FB", "psubq"],
]);

const addedBySsse3 = both("ssse3", "ssse3", [
  ["0F 38 00", "pshufb"],
  ["0F 38 01", "phaddw"],
  ["0F 38 02", "phaddd"],
  ["0F 38 03", "phaddsw"],
  ["0F 38 04", "pmaddubsw"],
  ["0F 38 05", "phsubw"],
  ["0F 38 06", "phsubd"],
  ["0F 38 07", "phsubsw"],
  ["0F 38 08", "psignb"],
  ["0F 38 09", "psignw"],
  ["0F 38 0A", "psignd"],
  ["0F 38 0B", "pmulhrsw"],
  ["0F 38 1C", "pabsb"],
  ["0F 38 1D", "pabsw"],
  ["0F 38 1E", "pabsd"],
]);

/** The low halves: the MMX form reads only 32 bits of memory, the XMM form reads and aligns all 16 bytes. */
const lowHalves = (
  [
    ["0F 60", "punpcklbw"],
    ["0F 61", "punpcklwd"],
    ["0F 62", "punpckldq"],
  ] as const
).flatMap(([code, name]) => [
  row(`NP ${code}`, `${name} Pq Qd`, { feature: "mmx" }),
  row(`66 ${code}`, `${name} Vo Wo`, { feature: "sse2" }),
]);

const shiftsByConstant = (
  [
    ["0F 71 /2", "psrlw"],
    ["0F 71 /4", "psraw"],
    ["0F 71 /6", "psllw"],
    ["0F 72 /2", "psrld"],
    ["0F 72 /4", "psrad"],
    ["0F 72 /6", "pslld"],
    ["0F 73 /2", "psrlq"],
    ["0F 73 /6", "psllq"],
  ] as const
).flatMap(([code, name]) => [
  row(`NP ${code}`, `${name} Nq Ib`, { feature: "mmx" }),
  row(`66 ${code}`, `${name} Uo Ib`, { feature: "sse2" }),
]);

const moves = [
  row("NP 0F 6E", "movd Pq Ey"),
  row("NP 0F 7E", "movd Ey Pq"),
  row("NP 0F 6F", "movq Pq Qq", lift("movq-mmx")),
  row("NP 0F 7F", "movq Qq Pq", lift("movq-mmx")),
  row("NP 0F E7", "movntq Mq Pq", { feature: "sse" }),
  row("NP 0F F7", "maskmovq Pq Nq", { feature: "sse" }),
  row("NP 0F D7", "pmovmskb Gd Nq", { feature: "sse" }),
  row("NP 0F 70", "pshufw Pq Qq Ib", { feature: "sse" }),
  row("NP 0F C4", "pinsrw Pq RdMw Ib", { feature: "sse" }),
  row("NP 0F C5", "pextrw Gd Nq Ib", { feature: "sse" }),
  row("NP 0F 3A 0F", "palignr Pq Qq Ib", { feature: "ssse3" }),
  row("NP 0F 77", "emms"),
];

export const mmx: RowSource[] = group("mmx", [
  ...packed,
  ...addedBySse,
  ...addedBySse2,
  ...addedBySsse3,
  ...lowHalves,
  ...shiftsByConstant,
  ...moves,
]);
