import { describe, expect, test } from "vitest";
import { IMAGE_BYTES, nativeJudge } from "./judge.ts";
import { Random, seedOf } from "./operands.ts";
import { bytes, call, IMAGE, makeCase } from "./x87-cases.ts";

const run = nativeJudge();
const CASES = Number(process.env.FP_CASES ?? 3000);
const AREA = IMAGE + 256;
const MXCSR = 24;

/** [name, code, what the runtime does with the area, area bytes not compared]. FIP, FDP, FOP and the selectors never are. */
const forms: [name: string, code: number[], execute: () => void, skipped: (i: number) => boolean][] = [
  ["FNSTENV", [0xd9, 0x36], () => void call("x87_fnstenv", AREA, 0), (i) => i >= 12 && i < 28],
  ["FNSTENV, 16-bit", [0x66, 0xd9, 0x36], () => void call("x87_fnstenv", AREA, 1), (i) => i >= 6 && i < 14],
  ["FLDENV", [0xd9, 0x26], () => void call("x87_fldenv", AREA, 0), () => false],
  ["FLDENV, 16-bit", [0x66, 0xd9, 0x26], () => void call("x87_fldenv", AREA, 1), () => false],
  ["FNSAVE", [0xdd, 0x36], () => void call("x87_fnsave", AREA, 0), (i) => i >= 12 && i < 28],
  ["FNSAVE, 16-bit", [0x66, 0xdd, 0x36], () => void call("x87_fnsave", AREA, 1), (i) => i >= 6 && i < 14],
  ["FRSTOR", [0xdd, 0x26], () => void call("x87_frstor", AREA, 0), () => false],
  ["FRSTOR, 16-bit", [0x66, 0xdd, 0x26], () => void call("x87_frstor", AREA, 1), () => false],
  ["FXSAVE", [0x0f, 0xae, 0x06], () => void call("x87_fxsave", AREA, 0, 16), (i) => (i >= 6 && i < 32) || i >= 160],
  [
    "FXSAVE64",
    [0x48, 0x0f, 0xae, 0x06],
    () => void call("x87_fxsave", AREA, 1, 16),
    (i) => (i >= 6 && i < 32) || i >= 160,
  ],
  ["FXRSTOR", [0x0f, 0xae, 0x0e], () => void call("x87_fxrstor", AREA, 0, 16), () => false],
  ["FXRSTOR64", [0x48, 0x0f, 0xae, 0x0e], () => void call("x87_fxrstor", AREA, 1, 16), () => false],
];

describe.skipIf(!run)("x87 memory images are the CPU's", () => {
  test.each(forms)("%s", (name, code, execute, skipped) => {
    const random = new Random(seedOf(name));
    const before = new Uint8Array(CASES * IMAGE_BYTES);
    const fx = name.startsWith("FX");
    for (let i = 0; i < CASES; i++) {
      const c = new DataView(before.buffer, i * IMAGE_BYTES, IMAGE_BYTES);
      makeCase(random, c, undefined);
      for (let k = 112; k < IMAGE_BYTES; k += 4) c.setUint32(k, random.u32(), true);
      if (fx) c.setUint32(128 + MXCSR, 0x1f80 | (random.u32() & 0x3f), true);
    }
    const ours = before.slice();
    for (let i = 0; i < CASES; i++) {
      const c = ours.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES);
      bytes.set(c.subarray(0, 108), IMAGE);
      bytes.set(c.subarray(128), AREA);
      call("x87_frstor", IMAGE, 0);
      execute();
      call("x87_fnsave", IMAGE, 0);
      c.set(bytes.subarray(IMAGE, IMAGE + 108));
      c.set(bytes.subarray(AREA, AREA + 512), 128);
    }
    const native = run?.(2, code, before) ?? before;
    let first = "";
    let differences = 0;
    for (let i = 0; i < CASES; i++) {
      const at = (b: Uint8Array) => b.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES);
      const [b, o, n] = [at(before), at(ours), at(native)];
      const wrong: number[] = [];
      for (let k = 0; k < 108; k++) if (o[k] !== n[k] && !(k >= 12 && k < 28)) wrong.push(k);
      for (let k = 0; k < 512; k++) if (o[128 + k] !== n[128 + k] && !skipped(k)) wrong.push(128 + k);
      if (wrong.length === 0 || differences++ > 2) continue;
      const hex = (v: Uint8Array) =>
        [v.subarray(0, 12), v.subarray(128, 168)].map((part) => Buffer.from(part).toString("hex")).join("  ");
      first += `\n  at ${wrong.slice(0, 10)}\n  before ${hex(b)}\n  cpu    ${hex(n)}\n  ours   ${hex(o)}\n`;
    }
    expect(differences, `${differences} of ${CASES} differ${first}`).toBe(0);
  });
});

test("FXRSTOR refuses reserved MXCSR bits and loads nothing", () => {
  bytes.fill(0, AREA, AREA + 512);
  call("x87_fninit");
  new DataView(bytes.buffer).setUint32(AREA + MXCSR, 0x10000, true);
  expect(call("x87_fxrstor", AREA, 1, 16)).toBe(1);
  expect(call("x87_fnstcw")).toBe(0x37f);
});
