/**
 * SSE arithmetic in compiled blocks, where what is common is inline (jit/emit/vector-float.ts and vector-float-packed.ts): single instructions, and
 * sequences whose results are the next one's operands. Zeros meet everything else often: they have a way of their own. The real CPU judges.
 */
import { describe, expect, test } from "vitest";
import { type CaseForm, differences } from "./compiled-loop.ts";
import { nativeJudge, SSE_BYTES } from "./judge.ts";
import { binary, Random, seedOf } from "./operands.ts";
import { showSse } from "./sse-cases.ts";

const judge = nativeJudge();
const CASES = Number(process.env.FP_CASES ?? 4000);
const SEQUENCES = 40;

/** As assemble_sse of test/native/fp-judge.c has it. */
const form: CaseForm = {
  kind: 1,
  bytes: SSE_BYTES,
  around: (code) => [
    ...[0x0f, 0x10, 0x07, 0x0f, 0x10, 0x4f, 16, 0x48, 0x8b, 0x47, 32, 0x0f, 0xae, 0x57, 44],
    ...code,
    ...[0x0f, 0xae, 0x5f, 44, 0x48, 0x89, 0x47, 32, 0x0f, 0x11, 0x07, 0x9c, 0x58, 0x89, 0x47, 40],
  ],
  // RFLAGS are those of the loop; nothing is trapped.
  compared: (byte) => byte < 40 || (byte >= 44 && byte < 48),
  show: showSse,
};

type Lanes = "f32" | "f64";
interface Form {
  readonly name: string;
  readonly code: readonly number[];
  readonly lanes: Lanes;
}

/** Prefixes and suffixes of the four shapes. */
const shapes = [
  { suffix: "SS", prefix: [0xf3], lanes: "f32" },
  { suffix: "SD", prefix: [0xf2], lanes: "f64" },
  { suffix: "PS", prefix: [], lanes: "f32" },
  { suffix: "PD", prefix: [0x66], lanes: "f64" },
] as const;

/** xmm0 with xmm1, and xmm0 with itself. */
const arithmetic: readonly Form[] = shapes.flatMap(({ suffix, prefix, lanes }) =>
  Object.entries({ SQRT: 0x51, ADD: 0x58, MUL: 0x59, SUB: 0x5c, MIN: 0x5d, DIV: 0x5e, MAX: 0x5f }).flatMap(
    ([name, opcode]) =>
      [0xc1, 0xc0].map((modrm) => ({
        name: `${name}${suffix} xmm0, xmm${modrm & 7}`,
        code: [...prefix, 0x0f, opcode, modrm],
        lanes,
      })),
  ),
);
const others: readonly Form[] = [
  ...shapes.flatMap(({ suffix, prefix, lanes }) =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((predicate) => ({
      name: `CMP${suffix} ${predicate}`,
      code: [...prefix, 0x0f, 0xc2, 0xc1, predicate],
      lanes,
    })),
  ),
  { name: "CVTSS2SD", code: [0xf3, 0x0f, 0x5a, 0xc1], lanes: "f32" },
  { name: "CVTSD2SS", code: [0xf2, 0x0f, 0x5a, 0xc1], lanes: "f64" },
  { name: "CVTPS2PD", code: [0x0f, 0x5a, 0xc1], lanes: "f32" },
  { name: "CVTPD2PS", code: [0x66, 0x0f, 0x5a, 0xc1], lanes: "f64" },
  { name: "COMISS", code: [0x0f, 0x2f, 0xc1], lanes: "f32" },
  { name: "UCOMISD", code: [0x66, 0x0f, 0x2e, 0xc1], lanes: "f64" },
];

/** Moves between the registers, for sequences. */
const moves: readonly (readonly number[])[] = [
  [0x0f, 0x28, 0xc8], // movaps %xmm0, %xmm1
  [0x0f, 0x57, 0xc0], // xorps %xmm0, %xmm0
  [0x0f, 0xc6, 0xc0, 0x1b], // shufps: lanes turned round
];

/** A lane: a zero, a number of the middle, or any. */
function lane(random: Random, fractionBits: 23 | 52): bigint {
  const bits = fractionBits === 23 ? 32n : 64n;
  const any = binary(random, fractionBits);
  const sign = (any >> (bits - 1n)) << (bits - 1n);
  if (random.one(3)) return sign;
  if (random.one(2)) return any;
  const exponent = BigInt((fractionBits === 23 ? 127 : 1023) + random.below(12) - 6);
  return sign | (exponent << BigInt(fractionBits)) | (any & ((1n << BigInt(fractionBits)) - 1n));
}

/** All exceptions are masked. Most often MXCSR is as programs have it once a result was not exact. */
function makeCases(random: Random, lanes: Lanes): Uint8Array {
  const cases = new Uint8Array(CASES * SSE_BYTES);
  for (let n = 0; n < CASES; n++) {
    const c = new DataView(cases.buffer, n * SSE_BYTES, SSE_BYTES);
    for (let at = 0; at < 32; at += lanes === "f32" ? 4 : 8) {
      if (lanes === "f32") c.setUint32(at, Number(lane(random, 23)), true);
      else c.setBigUint64(at, lane(random, 52), true);
    }
    const raised = random.one(8) ? random.u32() & 0x3f : 0x20;
    const mode = random.one(8) ? random.below(4) << 13 : 0;
    const zeroing = random.one(6) ? random.u32() & 0x8040 : 0;
    c.setUint32(44, 0x1f80 | raised | mode | zeroing, true);
  }
  return cases;
}

describe.skipIf(!judge)("in compiled code", () => {
  test.each([...arithmetic, ...others])(
    "$name does what the CPU does",
    ({ name, code, lanes }) => {
      // What a comparison found is seen in RAX: LAHF.
      const seen = name.includes("COMI") ? [0x9f] : [];
      expect(differences(judge, form, [...code, ...seen], makeCases(new Random(seedOf(name)), lanes))).toBe("");
    },
    10000 + 5 * CASES,
  );

  test.each(["f32", "f64"] as const)(
    "sequences of %s do what the CPU does",
    (lanes) => {
      const random = new Random(seedOf(lanes));
      const pieces = [...arithmetic.filter((each) => each.lanes === lanes).map(({ code }) => code), ...moves];
      for (let n = 0; n < SEQUENCES; n++) {
        const code: number[] = [];
        while (code.length < 16) code.push(...random.pick(pieces));
        const text = code.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
        expect(differences(judge, form, code, makeCases(random, lanes)), text).toBe("");
      }
    },
    60000 + 100 * CASES,
  );
});
