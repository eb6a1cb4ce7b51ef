/**
 * The low word of XXH64 with seed 0: the checksum of a Zstandard frame, and of all that a snapshot holds.
 *
 * 64-bit numbers are pairs of 32-bit words: 66 MB of kernel in BigInts would take seconds. (xxHash fast digest
 * algorithm, "XXH64 Algorithm Description".)
 */

/** The algorithm's five primes, low and high words. */
const prime1 = { low: 0x85ebca87 | 0, high: 0x9e3779b1 | 0 };
const prime2 = { low: 0x27d4eb4f, high: 0xc2b2ae3d | 0 };
const prime3 = { low: 0x9e3779f9 | 0, high: 0x165667b1 };
const prime4 = { low: 0xc2b2ae63 | 0, high: 0x85ebca77 | 0 };
const prime5 = { low: 0x165667c5, high: 0x27d4eb2f };
type Word64 = typeof prime1;

/** High word of the product of two 64-bit numbers; the low word is `Math.imul` of the low words. */
function productHigh(aLow: number, aHigh: number, bLow: number, bHigh: number): number {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const middle = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) | 0;
  const other = (Math.imul(a0, b1) + (middle & 0xffff)) | 0;
  const carry = (Math.imul(a1, b1) + (middle >>> 16) + (other >>> 16)) | 0;
  return (carry + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0;
}

const carryOf = (sumLow: number, addendLow: number): number => (sumLow >>> 0 < addendLow >>> 0 ? 1 : 0);

const word = (bytes: Uint8Array, at: number): number =>
  bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);

/** One 64-bit accumulator. */
class Lane {
  low: number;
  high: number;
  constructor(value: Word64) {
    this.low = value.low;
    this.high = value.high;
  }

  add(low: number, high: number): void {
    const sum = (this.low + low) | 0;
    this.high = (this.high + high + carryOf(sum, low)) | 0;
    this.low = sum;
  }

  xor(low: number, high: number): void {
    this.low ^= low;
    this.high ^= high;
  }

  multiply(by: Word64): void {
    this.high = productHigh(this.low, this.high, by.low, by.high);
    this.low = Math.imul(this.low, by.low);
  }

  /** Rotates left by 1 to 31. */
  rotate(by: number): void {
    const low = (this.low << by) | (this.high >>> (32 - by));
    this.high = (this.high << by) | (this.low >>> (32 - by));
    this.low = low;
  }

  /** Exclusive or with itself shifted right. */
  fold(by: number): void {
    const low = by < 32 ? (this.low >>> by) | (this.high << (32 - by)) : this.high >>> (by - 32);
    this.xor(low, by < 32 ? this.high >>> by : 0);
  }

  round(low: number, high: number): void {
    this.add(Math.imul(low, prime2.low), productHigh(low, high, prime2.low, prime2.high));
    this.rotate(31);
    this.multiply(prime1);
  }

  merge(lane: Lane): void {
    const rounded = new Lane(zero);
    rounded.round(lane.low, lane.high);
    this.xor(rounded.low, rounded.high);
    this.multiply(prime1);
    this.add(prime4.low, prime4.high);
  }
}

const zero: Word64 = { low: 0, high: 0 };

/** Low 32 bits of XXH64 of bytes[start, end), unsigned. */
export function xxh64Low(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let at = start;
  const hash = new Lane(zero);
  if (end - start >= 32) {
    const one = new Lane(prime1);
    one.add(prime2.low, prime2.high);
    const two = new Lane(prime2);
    const three = new Lane(zero);
    const four = new Lane(zero);
    four.add(~prime1.low, ~prime1.high);
    four.add(1, 0);
    for (const last = end - 32; at <= last; at += 32) {
      one.round(word(bytes, at), word(bytes, at + 4));
      two.round(word(bytes, at + 8), word(bytes, at + 12));
      three.round(word(bytes, at + 16), word(bytes, at + 20));
      four.round(word(bytes, at + 24), word(bytes, at + 28));
    }
    const lanes = [one, two, three, four];
    for (const [i, shift] of [1, 7, 12, 18].entries()) {
      const turned = new Lane(lanes[i]);
      turned.rotate(shift);
      hash.add(turned.low, turned.high);
    }
    for (const lane of lanes) hash.merge(lane);
  } else {
    hash.add(prime5.low, prime5.high);
  }
  const length = end - start;
  hash.add(length | 0, Math.floor(length / 2 ** 32));
  for (; at + 8 <= end; at += 8) {
    const eight = new Lane(zero);
    eight.round(word(bytes, at), word(bytes, at + 4));
    hash.xor(eight.low, eight.high);
    hash.rotate(27);
    hash.multiply(prime1);
    hash.add(prime4.low, prime4.high);
  }
  if (at + 4 <= end) {
    const four = word(bytes, at);
    hash.xor(Math.imul(four, prime1.low), productHigh(four, 0, prime1.low, prime1.high));
    hash.rotate(23);
    hash.multiply(prime2);
    hash.add(prime3.low, prime3.high);
    at += 4;
  }
  for (; at < end; at++) {
    hash.xor(Math.imul(bytes[at], prime5.low), productHigh(bytes[at], 0, prime5.low, prime5.high));
    hash.rotate(11);
    hash.multiply(prime1);
  }
  hash.fold(33);
  hash.multiply(prime2);
  hash.fold(29);
  hash.multiply(prime3);
  hash.fold(32);
  return hash.low >>> 0;
}
