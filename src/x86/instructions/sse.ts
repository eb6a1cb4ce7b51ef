/**
 * SSE, SSE2 and SSE3: floating point, moves and conversions. (Packed integers shared with MMX are in mmx.ts.)
 * A 16-byte memory operand must be aligned unless the row says otherwise.
 */
import { aligned, arithmetic as allStatusFlags, group, lift, type RowSource, row } from "./define.ts";

const anywhere = aligned(1);

/** Operations that exist as ps, pd, ss, sd. */
const fourfold = (
  [
    ["0F 51", "sqrt"],
    ["0F 58", "add"],
    ["0F 59", "mul"],
    ["0F 5C", "sub"],
    ["0F 5D", "min"],
    ["0F 5E", "div"],
    ["0F 5F", "max"],
  ] as const
).flatMap(([code, name]) => [
  row(`NP ${code}`, `${name}ps Vo Wo`, { feature: "sse" }),
  row(`66 ${code}`, `${name}pd Vo Wo`),
  row(`F3 ${code}`, `${name}ss Vd Wd`, { feature: "sse" }),
  row(`F2 ${code}`, `${name}sd Vq Wq`),
]);

/** Operations that exist as ps and pd. */
const twofold = (
  [
    ["0F 14", "unpcklp"],
    ["0F 15", "unpckhp"],
    ["0F 54", "andp"],
    ["0F 55", "andnp"],
    ["0F 56", "orp"],
    ["0F 57", "xorp"],
  ] as const
).flatMap(([code, name]) => [
  row(`NP ${code}`, `${name}s Vo Wo`, { feature: "sse" }),
  row(`66 ${code}`, `${name}d Vo Wo`),
]);

const sse = { feature: "sse" } as const;

const arithmetic = [
  row("NP 0F 52", "rsqrtps Vo Wo", sse),
  row("F3 0F 52", "rsqrtss Vd Wd", sse),
  row("NP 0F 53", "rcpps Vo Wo", sse),
  row("F3 0F 53", "rcpss Vd Wd", sse),
  row("NP 0F C2", "cmpps Vo Wo Ib", sse),
  row("66 0F C2", "cmppd Vo Wo Ib"),
  row("F3 0F C2", "cmpss Vd Wd Ib", sse),
  row("F2 0F C2", "cmpsd Vq Wq Ib"),
  row("NP 0F C6", "shufps Vo Wo Ib", sse),
  row("66 0F C6", "shufpd Vo Wo Ib"),
  row("NP 0F 2E", "ucomiss Vd Wd", sse, allStatusFlags),
  row("66 0F 2E", "ucomisd Vq Wq", allStatusFlags),
  row("NP 0F 2F", "comiss Vd Wd", sse, allStatusFlags),
  row("66 0F 2F", "comisd Vq Wq", allStatusFlags),
];

const floatMoves = [
  row("NP 0F 10", "movups Vo Wo", sse, anywhere),
  row("NP 0F 11", "movups Wo Vo", sse, anywhere),
  row("66 0F 10", "movupd Vo Wo", anywhere),
  row("66 0F 11", "movupd Wo Vo", anywhere),
  // From memory the rest of the register is cleared, from a register it stays.
  row("F3 0F 10", "movss Vd Wd", sse),
  row("F3 0F 11", "movss Wd Vd", sse),
  row("F2 0F 10", "movsd Vq Wq"),
  row("F2 0F 11", "movsd Wq Vq"),
  row("NP 0F 28", "movaps Vo Wo", sse),
  row("NP 0F 29", "movaps Wo Vo", sse),
  row("66 0F 28", "movapd Vo Wo"),
  row("66 0F 29", "movapd Wo Vo"),
  row("NP 0F 2B", "movntps Mo Vo", sse),
  row("66 0F 2B", "movntpd Mo Vo"),
  row("NP 0F 12 mem", "movlps Vq Mq", sse),
  row("NP 0F 12 reg", "movhlps Vo Uo", sse),
  row("NP 0F 13", "movlps Mq Vq", sse),
  row("NP 0F 16 mem", "movhps Vo Mq", sse),
  row("NP 0F 16 reg", "movlhps Vo Uq", sse),
  row("NP 0F 17", "movhps Mq Vo", sse),
  row("66 0F 12", "movlpd Vq Mq"),
  row("66 0F 13", "movlpd Mq Vq"),
  row("66 0F 16", "movhpd Vo Mq"),
  row("66 0F 17", "movhpd Mq Vo"),
  row("NP 0F 50", "movmskps Gd Uo", sse),
  row("66 0F 50", "movmskpd Gd Uo"),
];

const conversions = [
  row("NP 0F 2A", "cvtpi2ps Vq Qq", sse),
  row("66 0F 2A", "cvtpi2pd Vo Qq"),
  row("F3 0F 2A", "cvtsi2ss Vd Ey", sse),
  row("F2 0F 2A", "cvtsi2sd Vq Ey"),
  row("NP 0F 2C", "cvttps2pi Pq Wq", sse),
  row("66 0F 2C", "cvttpd2pi Pq Wo"),
  row("F3 0F 2C", "cvttss2si Gy Wd", sse),
  row("F2 0F 2C", "cvttsd2si Gy Wq"),
  row("NP 0F 2D", "cvtps2pi Pq Wq", sse),
  row("66 0F 2D", "cvtpd2pi Pq Wo"),
  row("F3 0F 2D", "cvtss2si Gy Wd", sse),
  row("F2 0F 2D", "cvtsd2si Gy Wq"),
  row("NP 0F 5A", "cvtps2pd Vo Wq"),
  row("66 0F 5A", "cvtpd2ps Vo Wo"),
  row("F3 0F 5A", "cvtss2sd Vq Wd"),
  row("F2 0F 5A", "cvtsd2ss Vd Wq"),
  row("NP 0F 5B", "cvtdq2ps Vo Wo"),
  row("66 0F 5B", "cvtps2dq Vo Wo"),
  row("F3 0F 5B", "cvttps2dq Vo Wo"),
  row("66 0F E6", "cvttpd2dq Vo Wo"),
  row("F3 0F E6", "cvtdq2pd Vo Wq"),
  row("F2 0F E6", "cvtpd2dq Vo Wo"),
];

const integerMoves = [
  row("66 0F 6E", "movd Vo Ey"),
  row("66 0F 7E", "movd Ey Vo"),
  row("66 0F 6F", "movdqa Vo Wo"),
  row("66 0F 7F", "movdqa Wo Vo"),
  row("F3 0F 6F", "movdqu Vo Wo", anywhere),
  row("F3 0F 7F", "movdqu Wo Vo", anywhere),
  // Both clear the upper half of a destination register.
  row("F3 0F 7E", "movq Vq Wq", lift("movq-xmm")),
  row("66 0F D6", "movq Wq Vq", lift("movq-xmm")),
  row("F3 0F D6", "movq2dq Vq Nq"),
  row("F2 0F D6", "movdq2q Pq Uq"),
  row("66 0F E7", "movntdq Mo Vo"),
  row("66 0F F7", "maskmovdqu Vo Uo"),
  row("66 0F D7", "pmovmskb Gd Uo"),
];

const integers = [
  row("66 0F 6C", "punpcklqdq Vo Wo"),
  row("66 0F 6D", "punpckhqdq Vo Wo"),
  row("66 0F 70", "pshufd Vo Wo Ib"),
  row("F3 0F 70", "pshufhw Vo Wo Ib"),
  row("F2 0F 70", "pshuflw Vo Wo Ib"),
  row("66 0F 73 /3", "psrldq Uo Ib"),
  row("66 0F 73 /7", "pslldq Uo Ib"),
  row("66 0F C4", "pinsrw Vo RdMw Ib"),
  row("66 0F C5", "pextrw Gd Uo Ib"),
];

const sse3 = group("sse3", [
  row("66 0F 7C", "haddpd Vo Wo"),
  row("F2 0F 7C", "haddps Vo Wo"),
  row("66 0F 7D", "hsubpd Vo Wo"),
  row("F2 0F 7D", "hsubps Vo Wo"),
  row("66 0F D0", "addsubpd Vo Wo"),
  row("F2 0F D0", "addsubps Vo Wo"),
  row("F2 0F F0", "lddqu Vo Mo", anywhere),
  row("F2 0F 12", "movddup Vo Wq"),
  row("F3 0F 12", "movsldup Vo Wo"),
  row("F3 0F 16", "movshdup Vo Wo"),
]);

export const sseTo3: RowSource[] = group("sse2", [
  ...fourfold,
  ...twofold,
  ...arithmetic,
  ...floatMoves,
  ...conversions,
  ...integerMoves,
  ...integers,
  ...sse3,
]);
