import { expect, test } from "vitest";
import { loadRuntime } from "./judge.ts";
import { Random } from "./operands.ts";

const { functions: f } = loadRuntime();
const BOUND = 1.5 * 2 ** -12;
const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);
const floatOf = (b: number) => {
  bits[0] = b;
  return float[0] as number;
};
const rcp = (b: number) => Number(f.sse_rcp_f32?.(b)) >>> 0;
const rsqrt = (b: number) => Number(f.sse_rsqrt_f32?.(b)) >>> 0;

test("RCPSS and RSQRTSS stay within 1.5 · 2^-12 of the true value", () => {
  const random = new Random(3);
  let worst = 0;
  for (let i = 0; i < 300000; i++) {
    // Normal numbers whose reciprocal is normal.
    const b = (((1 + random.below(252)) << 23) | (random.u32() & 0x7fffff)) >>> 0;
    const x = floatOf(b);
    worst = Math.max(worst, Math.abs(floatOf(rcp(b)) * x - 1), Math.abs(floatOf(rsqrt(b)) * Math.sqrt(x) - 1));
    expect(rcp((b | 0x80000000) >>> 0)).toBe((rcp(b) | 0x80000000) >>> 0);
  }
  expect(worst).toBeLessThan(BOUND);
});

test.each([
  ["rcp 0 is infinity", rcp, 0, 0x7f800000],
  ["rcp -0 is -infinity", rcp, 0x80000000, 0xff800000],
  ["rcp of a denormal is infinity", rcp, 0x80012345, 0xff800000],
  ["rcp infinity is 0", rcp, 0xff800000, 0x80000000],
  ["rcp of a signalling NaN is that NaN, quiet", rcp, 0x7f800001, 0x7fc00001],
  ["a tiny reciprocal is 0", rcp, 0x7f7fffff, 0],
  ["rcp 1 is 1", rcp, 0x3f800000, 0x3f800000],
  ["rcp 3 is pinned", rcp, 0x40400000, 0x3eaaa800],
  ["rsqrt 0 is infinity", rsqrt, 0, 0x7f800000],
  ["rsqrt -0 is -infinity", rsqrt, 0x80000000, 0xff800000],
  ["rsqrt of a negative denormal is -infinity", rsqrt, 0x80000001, 0xff800000],
  ["rsqrt of a negative number is the indefinite", rsqrt, 0xbf800000, 0xffc00000],
  ["rsqrt infinity is 0", rsqrt, 0x7f800000, 0],
  ["rsqrt -infinity is the indefinite", rsqrt, 0xff800000, 0xffc00000],
  ["rsqrt 4 is 1/2", rsqrt, 0x40800000, 0x3f000000],
  ["rsqrt 2 is pinned", rsqrt, 0x40000000, 0x3f350800],
])("%s", (_, fn, input, output) => {
  expect(fn(input)).toBe(output);
});
