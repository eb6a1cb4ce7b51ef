/** Values worth trying: corners of integers, floats and control words, mixed with plain random bits. */

import type { CpuState } from "./case.ts";
import { fcw, fsw, ftw, mxcsr, st, xmm } from "./fields.ts";
import type { Random } from "./random.ts";

const mask64 = (1n << 64n) - 1n;

/** An integer of `bits` bits: often 0, 1, -1, a sign boundary of some width, a power of two, or small. */
export function integerValue(random: Random, bits = 64): bigint {
  const modulus = BigInt(bits);
  switch (random.below(8)) {
    case 0:
      return BigInt(random.pick([0, 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff]));
    case 1:
      return BigInt.asUintN(bits, -BigInt(random.pick([1, 1, 2, 0x7f, 0x80, 0x81, 0x8000, 0x8001])));
    case 2: {
      const width = BigInt(random.pick([8, 16, 32, 64].filter((w) => w <= Math.max(bits, 8))));
      return BigInt.asUintN(bits, (1n << (width - 1n)) + BigInt(random.below(3) - 1));
    }
    case 3:
      return BigInt.asUintN(bits, (1n << (BigInt(random.below(64)) % modulus)) - BigInt(random.below(2)));
    case 4:
      return BigInt.asUintN(bits, BigInt(random.below(256)));
    case 5:
      // The low part is of a smaller width, the upper part noise: what partial registers are about.
      return BigInt.asUintN(
        bits,
        (random.u64() & ~0xffff_ffffn) | BigInt(random.pick([0, 0xffffffff, 0x80000000, 0x7fffffff])),
      );
    default:
      return BigInt.asUintN(bits, random.u64());
  }
}

const floatCorners = [
  ...[0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000],
  ...[0x7f800001, 0xff800001, 0x7fa12345, 0x7fc12345, 0x00000001, 0x80000001, 0x007fffff, 0x00800000],
  ...[0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0x3f000000, 0x3effffff],
  ...[0x3fc00000, 0x40200000, 0xbf000000, 0x4b000000, 0x4b800001, 0x34000000, 0x33800000, 0x3f7fffff],
];

const doubleCorners = [
  ...[0n, 1n << 63n, 0x3ff0000000000000n, 0xbff0000000000000n, 0x7ff0000000000000n, 0xfff0000000000000n],
  ...[0x7ff8000000000000n, 0xfff8000000000000n, 0x7ff0000000000001n, 0xfff4000000001234n, 1n, (1n << 63n) | 1n],
  ...[0x000fffffffffffffn, 0x0010000000000000n, 0x7fefffffffffffffn, 0xffefffffffffffffn, 0x43e0000000000000n],
  ...[0xc3e0000000000000n, 0x41dfffffffc00000n, 0x41e0000000000000n, 0xc1e0000000000000n, 0xc1e0000000200000n],
  ...[0x3fe0000000000000n, 0x3fdfffffffffffffn, 0x3ff8000000000000n, 0x4004000000000000n, 0x4330000000000000n],
  ...[0x36a0000000000000n, 0x380fffffffffffffn, 0x47efffffe0000000n, 0x47effffff0000000n, 0x3690000000000000n],
];

/** Bits of a float32. */
export function floatValue(random: Random): number {
  if (random.chance(40)) return random.pick(floatCorners);
  const bits = random.u32();
  if (random.chance(30)) return bits;
  // Near one another in exponent, often with few bits, so that results are exact, tie or cancel.
  const exponent = 127 + random.below(40) - 20;
  const fraction = random.chance(40) ? (bits & 0x7) << 20 : bits & 0x7fffff;
  return ((bits & 0x80000000) | (exponent << 23) | fraction) >>> 0;
}

/** Bits of a float64. */
export function doubleValue(random: Random): bigint {
  if (random.chance(40)) return random.pick(doubleCorners);
  const bits = random.u64();
  if (random.chance(25)) return bits;
  const exponent = BigInt(1023 + random.below(80) - 40);
  const fraction = random.chance(40) ? (bits & 7n) << 49n : bits & 0xfffffffffffffn;
  return (bits & (1n << 63n)) | (exponent << 52n) | fraction;
}

const extendedCorners: readonly (readonly [number, bigint])[] = [
  [0, 0n],
  [0x8000, 0n],
  [0x3fff, 1n << 63n],
  [0xbfff, 1n << 63n],
  [0x7fff, 1n << 63n],
  [0xffff, 1n << 63n],
  [0x7fff, 3n << 62n],
  [0xffff, 3n << 62n],
  [0x7fff, 0xc000000000001234n],
  [0x7fff, 0x8000000000000001n],
  [0x7fff, 0xa000000000000000n],
  // Denormal, pseudo-denormal, then the encodings no arithmetic gives: unnormal, pseudo-infinity, pseudo-NaN.
  [0, 1n],
  [0, 1n << 62n],
  [0, 1n << 63n],
  [0x3fff, 1n << 62n],
  [0x7fff, 0n],
  [0x7fff, 1n],
  [1, 1n << 63n],
  [0x7ffe, mask64],
  [0x4000, 0xc90fdaa22168c235n],
  [0x3ffe, 1n << 63n],
  [0x403e, 1n << 63n],
  [0xc03e, 1n << 63n],
  [0x401e, 1n << 63n],
];

/** Bits of an 80-bit real. */
export function extendedValue(random: Random): bigint {
  let [signExponent, significand] = random.pick(extendedCorners);
  if (random.chance(65)) {
    const near = random.chance(80) ? 0x3fff + random.below(70) - 35 : random.below(0x8000);
    signExponent = near | (random.below(2) << 15);
    const few = random.pick([0n, 7n << 60n, 0xffn << 55n, mask64, mask64]);
    significand = (1n << 63n) | (random.u64() & few);
  }
  return (BigInt(signExponent) << 64n) | significand;
}

/** "text" is short strings of few letters: what PCMPISTRI and its like look for. */
type LaneKind = "integer" | "float" | "double" | "bytes" | "text";

const letters = [0, 0x61, 0x62, 0x62, 0x63, 0x63, 0x7f, 0x80, 0xff];

/** 16 bytes of lanes of one kind, as a number. */
export function vectorValue(
  random: Random,
  kind: LaneKind = random.pick(["integer", "float", "double", "bytes", "text"]),
): bigint {
  let value = 0n;
  switch (kind) {
    case "float":
      for (let i = 0; i < 4; i++) value = (value << 32n) | BigInt(floatValue(random));
      return value;
    case "double":
      return (doubleValue(random) << 64n) | doubleValue(random);
    case "integer": {
      const bits = random.pick([8, 16, 32, 64]);
      for (let i = 0; i < 128; i += bits) value = (value << BigInt(bits)) | integerValue(random, bits);
      return value;
    }
    case "text":
      for (let i = 0; i < 16; i++) value = (value << 8n) | BigInt(random.pick(letters));
      return random.chance(40) ? value >> BigInt(8 * random.below(16)) : value;
    case "bytes":
      return (random.u64() << 64n) | random.u64();
  }
}

export function mxcsrValue(random: Random): number {
  if (random.chance(40)) return 0x1f80;
  const masks = random.chance(80) ? 0x1f80 : random.below(64) << 7;
  const sticky = random.chance(30) ? random.below(64) : 0;
  const modes = (random.below(4) << 13) | (random.chance(25) ? 0x8000 : 0) | (random.chance(25) ? 0x40 : 0);
  return masks | sticky | modes;
}

/** A control word: precision 24, 53 or 64 bits (01 is reserved), any rounding. */
export function fcwValue(random: Random): number {
  if (random.chance(40)) return 0x37f;
  const masks = random.chance(85) ? 0x3f : random.below(64);
  return 0x40 | masks | (random.pick([0, 2, 3, 3]) << 8) | (random.below(4) << 10);
}

/** x87 control, status, tags and registers: mostly no exception pending, a few registers in use. */
export function fillX87(random: Random, state: CpuState): void {
  const control = fcwValue(random);
  const sticky = random.chance(30) ? random.below(64) | (random.below(2) << 6) : 0;
  const pending = sticky & ~control & 0x3f ? 0x8080 : 0;
  const keep = pending && random.chance(80) ? 0 : pending | sticky;
  const conditions = random.chance(40) ? random.u32() & 0x4700 : 0;
  fcw.write(state, BigInt(control));
  fsw.write(state, BigInt(keep | conditions | (random.below(8) << 11)));
  ftw.write(state, BigInt(random.pick([0xff, 0xff, 0xff, 0, random.below(256), random.below(256)])));
  const integers = random.chance(20);
  for (const register of st) {
    register.write(state, integers ? (0xffffn << 64n) | integerValue(random) : extendedValue(random));
  }
}

export function fillXmm(random: Random, state: CpuState): void {
  mxcsr.write(state, BigInt(mxcsrValue(random)));
  const kind = random.chance(70) ? random.pick<LaneKind>(["integer", "float", "double", "bytes", "text"]) : undefined;
  for (const [n, register] of xmm.entries()) {
    const repeated = n > 0 && random.chance(15);
    register.write(state, repeated ? xmm[random.below(n)].read(state) : vectorValue(random, kind));
  }
}
