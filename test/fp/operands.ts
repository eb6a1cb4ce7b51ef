/** Random operands that meet the edges of the formats often. Everything follows from one seed. */

/** The seed of a form's cases; FP_SEED asks for others. */
export function seedOf(name: string): number {
  return [...name].reduce((h, ch) => (h * 31 + ch.charCodeAt(0)) | 0, Number(process.env.FP_SEED ?? 1));
}

/** A seeded generator of 32-bit values (xorshift128). */
export class Random {
  readonly #s: Uint32Array;
  constructor(seed: number) {
    this.#s = new Uint32Array([seed, 0x9e3779b9, 0x243f6a88, 0xb7e15162]);
    for (let i = 0; i < 16; i++) this.u32();
  }
  u32(): number {
    const s = this.#s;
    let t = s[3] as number;
    t ^= t << 11;
    t ^= t >>> 8;
    s.copyWithin(1, 0, 3);
    const old = s[1] as number;
    s[0] = t ^ old ^ (old >>> 19);
    return s[0] as number;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  one(n: number): boolean {
    return this.below(n) === 0;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
}

const TOP = 1n << 63n;
const MASK = (1n << 64n) - 1n;

/** A significand below 2^bits: full, sparse, short, near all ones or all zeros. */
function significand(random: Random, bits: number): bigint {
  const all = (1n << BigInt(bits)) - 1n;
  const any = random.u64() & all;
  switch (random.below(8)) {
    case 0:
      return 0n;
    case 1:
      return 1n << BigInt(random.below(bits));
    case 2:
      return (all << BigInt(random.below(bits))) & all;
    case 3:
      return all >> BigInt(random.below(bits));
    case 4:
      return any & (all << BigInt(random.below(bits)));
    case 5:
      return (any & (all >> BigInt(random.below(bits)))) | (random.one(2) ? 1n << BigInt(bits - 1) : 0n);
    default:
      return any;
  }
}

const EDGES_80 = [
  0, 0, 1, 2, 3, 63, 64, 65, 0x3fbe, 0x3fbf, 0x3ffd, 0x3ffe, 0x3fff, 0x3fff, 0x4000, 0x4001, 0x400d, 0x400e, 0x401d,
  0x401e, 0x4039, 0x403a, 0x403b, 0x403d, 0x403e, 0x403f, 0x7ffd, 0x7ffe, 0x7fff, 0x7fff, 0x3c00, 0x3c01, 0x3bcc,
  0x3bcd, 0x3bce, 0x43fe, 0x43ff, 0x3f80, 0x3f81, 0x3f69, 0x3f6a, 0x407e, 0x407f, 0x5fff, 0x1fff, 0x2000,
];

/** An 80-bit value: mantissa, and sign with exponent. */
export function f80(random: Random): [bigint, number] {
  const sign = random.one(2) ? 0x8000 : 0;
  let exponent = random.pick(EDGES_80);
  const kind = random.below(8);
  if (kind === 0) exponent = random.below(0x8000);
  else if (kind < 3) exponent = 0x3fff + random.below(140) - 70;
  else if (kind < 4) exponent = random.below(140);
  else if (kind < 5) exponent = 0x3fff + random.below(20) - 10;
  let mantissa = (significand(random, 63) | TOP) & MASK;
  if (exponent === 0 ? !random.one(4) : random.one(40)) mantissa ^= TOP;
  return [mantissa, sign | exponent];
}

/** Raw bits of an f32 (23) or f64 (52). */
export function binary(random: Random, fractionBits: 23 | 52): bigint {
  const exponentBits = fractionBits === 23 ? 8 : 11;
  const max = (1 << exponentBits) - 1;
  const middle = max >> 1;
  const edges = [
    0,
    0,
    1,
    2,
    fractionBits,
    fractionBits + 1,
    middle - 1,
    middle,
    middle,
    middle + 1,
    middle + fractionBits,
    middle + fractionBits + 1,
    middle + 30,
    middle + 31,
    middle + 32,
    middle + 62,
    middle + 63,
    middle + 64,
    max - 2,
    max - 1,
    max,
    max,
    middle - fractionBits,
    middle - 126,
    middle - 127,
    middle - 149,
  ].map((e) => Math.max(0, Math.min(max, e)));
  let exponent = random.pick(edges);
  const kind = random.below(6);
  if (kind === 0) exponent = random.below(max + 1);
  else if (kind < 3) exponent = middle + random.below(10) - 5;
  else if (kind === 3 && fractionBits === 52) exponent = middle + random.pick([-1, 1]) * (120 + random.below(40));
  const sign = random.one(2) ? 1n << BigInt(fractionBits + exponentBits) : 0n;
  return sign | (BigInt(exponent) << BigInt(fractionBits)) | significand(random, fractionBits);
}
