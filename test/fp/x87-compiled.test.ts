/**
 * x87 instructions in compiled blocks, where registers stay in locals and what is common is inline (jit/emit/x87.ts): single
 * ones, and sequences that keep values from one instruction to the next. The real CPU judges.
 */
import { describe, expect, test } from "vitest";
import { type CaseForm, differences } from "./compiled-loop.ts";
import { nativeJudge, X87_BYTES } from "./judge.ts";
import { Random, seedOf } from "./operands.ts";
import { makeCase, type Operand, show } from "./x87-cases.ts";

const judge = nativeJudge();
const CASES = Number(process.env.FP_CASES ?? 2000);
const SEQUENCES = 40;
/** As assemble_x87 of test/native/fp-judge.c has it; rsi is the case's operand. */
const form: CaseForm = {
  kind: 0,
  bytes: X87_BYTES,
  around: (code) => [
    ...[0x48, 0x8d, 0x77, 112, 0xdb, 0xe3, 0xdd, 0x27, 0xff, 0xb7, 128, 0, 0, 0, 0x9d],
    ...code,
    ...[0x9c, 0x8f, 0x87, 128, 0, 0, 0, 0xdd, 0x37],
  ],
  // All but the instruction and operand pointers.
  compared: (byte) => byte < 12 || (byte >= 28 && byte < 136 && !(byte >= 108 && byte < 112)),
  show,
};

function makeCases(random: Random, operand: Operand): Uint8Array {
  const cases = new Uint8Array(CASES * X87_BYTES);
  for (let n = 0; n < CASES; n++) makeCase(random, new DataView(cases.buffer, n * X87_BYTES, X87_BYTES), operand);
  return cases;
}

const forms: (readonly [name: string, code: readonly number[], operand?: Operand])[] = [
  ...[0xc1, 0xc9, 0xe1, 0xe9, 0xf1, 0xf9].map((m) => [`D8 ${m.toString(16)}`, [0xd8, m]] as const),
  ...[0xc2, 0xca, 0xe2, 0xea, 0xf2, 0xfa].map((m) => [`DE ${m.toString(16)}`, [0xde, m]] as const),
  ...[0x06, 0x0e, 0x26, 0x2e, 0x36].map((m) => [`D8 ${m.toString(16)} m32`, [0xd8, m], "f32"] as const),
  ...[0x06, 0x0e, 0x26, 0x2e, 0x36].map((m) => [`DC ${m.toString(16)} m64`, [0xdc, m], "f64"] as const),
  ...[0x06, 0x0e, 0x26].map((m) => [`DA ${m.toString(16)} m32int`, [0xda, m], "int"] as const),
  ["FLD m32", [0xd9, 0x06], "f32"],
  ["FLD m64", [0xdd, 0x06], "f64"],
  ["FLD m80", [0xdb, 0x2e]],
  ["FLD ST(3)", [0xd9, 0xc3]],
  ["FILD m16", [0xdf, 0x06], "int"],
  ["FILD m64", [0xdf, 0x2e], "int"],
  ["FST m32", [0xd9, 0x16]],
  ["FSTP m64", [0xdd, 0x1e]],
  ["FSTP m80", [0xdb, 0x3e]],
  ["FSTP ST(2)", [0xdd, 0xda]],
  ["FISTP m32", [0xdb, 0x1e]],
  ["FISTTP m64", [0xdd, 0x0e]],
  ["FXCH ST(2)", [0xd9, 0xca]],
  ["FCHS", [0xd9, 0xe0]],
  ["FABS", [0xd9, 0xe1]],
  ["FLDZ", [0xd9, 0xee]],
  ["FSQRT", [0xd9, 0xfa]],
  ["FCOMI ST(1)", [0xdb, 0xf1]],
  ["FUCOMIP ST(1)", [0xdf, 0xe9]],
  ["FNSTSW", [0xdd, 0x3e]],
];

/** What a sequence is made of; the exceptions of all are masked. */
const pieces: readonly (readonly number[])[] = [
  ...[0xc0, 0xc1, 0xc9, 0xc8, 0xe2, 0xea, 0xf1].map((m) => [0xd8, m]),
  ...[0xc1, 0xc9, 0xe1, 0xe9, 0xf9].map((m) => [0xde, m]),
  ...[0xc1, 0xca].map((m) => [0xdc, m]),
  ...[0xc9, 0xca, 0xcb, 0xc0, 0xc1, 0xe0, 0xe1, 0xe8, 0xee, 0xfa].map((m) => [0xd9, m]),
  ...[0xd9, 0xd8, 0xd2].map((m) => [0xdd, m]),
  ...[
    [0xdb, 0xf1],
    [0xdf, 0xe9],
    [0xd9, 0x06],
    [0xdd, 0x06],
    [0xdc, 0x0e],
    [0xdd, 0x1e],
    [0xdd, 0x16],
    [0xdb, 0x3e],
    [0xdb, 0x2e],
  ],
];

describe.skipIf(!judge)("in compiled code", () => {
  test.each(forms.map(([name, code, operand]) => ({ name, code, operand })))(
    "$name does what the CPU does",
    ({ name, code, operand }) => {
      expect(differences(judge, form, code, makeCases(new Random(seedOf(name)), operand))).toBe("");
    },
    10000 + 5 * CASES,
  );

  test(
    "sequences of x87 instructions do what the CPU does",
    () => {
      const random = new Random(seedOf("sequences"));
      for (let n = 0; n < SEQUENCES; n++) {
        const code: number[] = [];
        while (code.length < 19) code.push(...random.pick(pieces));
        const cases = makeCases(random, random.pick([undefined, "f32", "f64"]));
        for (let at = 0; at < cases.length; at += X87_BYTES) {
          cases[at] = 0x7f; // all masked
          // Values that are common, so that one instruction's result is the next one's operand.
          if (random.one(4)) continue;
          cases[at + 1] = 0x03;
          for (let i = 0; i < 8; i++) {
            const high = at + 28 + 10 * i;
            cases[high + 7] = (cases[high + 7] as number) | 0x80;
            cases[high + 8] = random.below(256);
            cases[high + 9] = random.one(2) ? 0x3f : 0xbf;
          }
        }
        expect(differences(judge, form, code, cases), code.map((byte) => byte.toString(16)).join(" ")).toBe("");
      }
    },
    60000 + 100 * CASES,
  );
});
