/**
 * The LZMA2 stream of an XZ block, decoded into one flat output that is its own dictionary.
 *
 * LZMA2 is a row of chunks (a control byte, sizes, data): uncompressed ones, and LZMA ones whose coder state may be
 * kept or reset. Each chunk says how many bytes it takes (up to 64 KiB) and gives (up to 2 MiB).
 * Law: work is bounded by the output's length, whatever the input: each symbol yields a byte or ends the decoding.
 *
 * The range coder lives in an Int32Array (range, code, position): a `let` shared by closures would box values
 * past 2^31. Numbers there are unsigned 32-bit kept as signed, hence the `>>> 0` at comparisons.
 */
import { BootError } from "./boot-error.ts";

const rangeSlot = 0;
const codeSlot = 1;
const inputSlot = 2;

/** Layout of the probability array: one region a symbol class, literals last (their count depends on lc and lp). */
const isMatch = 0; // [state 12][position 16]
const isRep = isMatch + 192; // [state 12]
const isRepG0 = isRep + 12;
const isRepG1 = isRepG0 + 12;
const isRepG2 = isRepG1 + 12;
const isRep0Long = isRepG2 + 12; // [state 12][position 16]
const distanceSlot = isRep0Long + 192; // [length class 4][64]
const distanceSpecial = distanceSlot + 256; // [128]
const distanceAlign = distanceSpecial + 128; // [16]
const matchLength = distanceAlign + 16;
const lengthSize = 2 + 128 + 128 + 256; // choices, low [position 16][8], mid [position 16][8], high [256]
const repLength = matchLength + lengthSize;
const literals = repLength + lengthSize;

const corrupt = (what: string): BootError => new BootError(`the kernel's XZ data is corrupt: ${what}`);

class Lzma {
  readonly rc = new Int32Array(3);
  readonly probs = new Uint16Array(literals + (0x300 << 4));
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  /** State of the coder between chunks. */
  state = 0;
  readonly rep = new Int32Array(4);
  lc = 0;
  lpMask = 0;
  pbMask = 0;
  /** Where the dictionary begins in the output: no match reaches before it. */
  dictionaryStart = 0;

  constructor(input: Uint8Array, output: Uint8Array) {
    this.input = input;
    this.output = output;
  }

  resetState(): void {
    this.state = 0;
    this.rep.fill(0);
    this.probs.fill(1024);
  }

  /** Takes lc, lp and pb from the properties byte. LZMA2 allows lc + lp up to 4. */
  setProperties(byte: number): void {
    if (byte >= 9 * 5 * 5) throw corrupt("impossible coder properties");
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    if (lc + lp > 4) throw corrupt("impossible coder properties");
    this.lc = lc;
    this.lpMask = (1 << lp) - 1;
    this.pbMask = (1 << Math.floor(byte / 45)) - 1;
  }

  /** Decodes output[from, to) from the chunk at input[start, end). */
  chunk(start: number, end: number, from: number, to: number): void {
    const { rc, probs, input, output, rep, lc, lpMask, pbMask } = this;
    const lcShift = 8 - lc;
    if (end - start < 5 || input[start] !== 0) throw corrupt("a chunk begins wrongly");
    rc[rangeSlot] = -1;
    rc[codeSlot] = (input[start + 1] << 24) | (input[start + 2] << 16) | (input[start + 3] << 8) | input[start + 4];
    rc[inputSlot] = start + 5;
    let state = this.state;
    let rep0 = rep[0];
    let rep1 = rep[1];
    let rep2 = rep[2];
    let rep3 = rep[3];
    let at = from;
    while (at < to) {
      const position = at - this.dictionaryStart;
      const posState = position & pbMask;
      if (bit(rc, input, probs, isMatch + (state << 4) + posState) === 0) {
        const previous = position > 0 ? output[at - 1] : 0;
        const base = literals + 0x300 * (((position & lpMask) << lc) + (previous >>> lcShift));
        if (state < 7) {
          output[at] = literal(rc, input, probs, base);
        } else {
          if (rep0 >>> 0 >= position) throw corrupt("a match before the beginning");
          output[at] = matchedLiteral(rc, input, probs, base, output[at - rep0 - 1]);
        }
        at++;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        continue;
      }
      let length: number;
      if (bit(rc, input, probs, isRep + state) === 0) {
        rep3 = rep2;
        rep2 = rep1;
        rep1 = rep0;
        length = lengthOf(rc, input, probs, matchLength, posState);
        rep0 = distanceOf(rc, input, probs, length);
        state = state < 7 ? 7 : 10;
      } else {
        if (bit(rc, input, probs, isRepG0 + state) === 0) {
          if (bit(rc, input, probs, isRep0Long + (state << 4) + posState) === 0) {
            if (rep0 >>> 0 >= position) throw corrupt("a match before the beginning");
            output[at] = output[at - rep0 - 1];
            at++;
            state = state < 7 ? 9 : 11;
            continue;
          }
        } else {
          let distance: number;
          if (bit(rc, input, probs, isRepG1 + state) === 0) {
            distance = rep1;
          } else {
            if (bit(rc, input, probs, isRepG2 + state) === 0) {
              distance = rep2;
            } else {
              distance = rep3;
              rep3 = rep2;
            }
            rep2 = rep1;
          }
          rep1 = rep0;
          rep0 = distance;
        }
        length = lengthOf(rc, input, probs, repLength, posState);
        state = state < 7 ? 8 : 11;
      }
      if (rep0 >>> 0 >= position) throw corrupt("a match before the beginning");
      if (length > to - at) throw corrupt("a match past the end of its chunk");
      const source = at - rep0 - 1;
      if (rep0 + 1 >= length && length >= 32) output.copyWithin(at, source, source + length);
      else for (let i = 0; i < length; i++) output[at + i] = output[source + i];
      at += length;
    }
    if (rc[rangeSlot] >>> 0 < 0x1000000) normalise(rc, input);
    if (rc[inputSlot] !== end || rc[codeSlot] !== 0) throw corrupt("a chunk ends wrongly");
    this.state = state;
    rep[0] = rep0;
    rep[1] = rep1;
    rep[2] = rep2;
    rep[3] = rep3;
  }
}

function normalise(rc: Int32Array, input: Uint8Array): void {
  rc[rangeSlot] <<= 8;
  rc[codeSlot] = (rc[codeSlot] << 8) | input[rc[inputSlot]++];
}

function bit(rc: Int32Array, input: Uint8Array, probs: Uint16Array, index: number): number {
  if (rc[rangeSlot] >>> 0 < 0x1000000) normalise(rc, input);
  const range = rc[rangeSlot];
  const p = probs[index];
  const bound = Math.imul(range >>> 11, p);
  if (rc[codeSlot] >>> 0 < bound >>> 0) {
    rc[rangeSlot] = bound;
    probs[index] = p + ((2048 - p) >>> 5);
    return 0;
  }
  rc[rangeSlot] = range - bound;
  rc[codeSlot] -= bound;
  probs[index] = p - (p >>> 5);
  return 1;
}

/** A literal byte: eight bits down a tree. The coder's registers are local here, where most bits are spent. */
function literal(rc: Int32Array, input: Uint8Array, probs: Uint16Array, base: number): number {
  let range = rc[rangeSlot];
  let code = rc[codeSlot];
  let symbol = 1;
  do {
    if (range >>> 0 < 0x1000000) {
      range <<= 8;
      code = (code << 8) | input[rc[inputSlot]++];
    }
    const p = probs[base + symbol];
    const bound = Math.imul(range >>> 11, p);
    if (code >>> 0 < bound >>> 0) {
      range = bound;
      probs[base + symbol] = p + ((2048 - p) >>> 5);
      symbol <<= 1;
    } else {
      range = (range - bound) | 0;
      code = (code - bound) | 0;
      probs[base + symbol] = p - (p >>> 5);
      symbol = (symbol << 1) | 1;
    }
  } while (symbol < 0x100);
  rc[rangeSlot] = range;
  rc[codeSlot] = code;
  return symbol & 0xff;
}

/** A literal just after a match: the byte the match would have gone on with selects the tree while it agrees. */
function matchedLiteral(rc: Int32Array, input: Uint8Array, probs: Uint16Array, base: number, expected: number): number {
  let symbol = 1;
  let offset = 0x100;
  let rest = expected;
  do {
    rest <<= 1;
    const expectedBit = rest & offset;
    const got = bit(rc, input, probs, base + offset + expectedBit + symbol);
    symbol = (symbol << 1) | got;
    offset &= got ? expectedBit : ~expectedBit;
  } while (symbol < 0x100);
  return symbol & 0xff;
}

function tree(rc: Int32Array, input: Uint8Array, probs: Uint16Array, base: number, bits: number): number {
  let symbol = 1;
  for (let i = 0; i < bits; i++) symbol = (symbol << 1) | bit(rc, input, probs, base + symbol);
  return symbol - (1 << bits);
}

function reverseTree(rc: Int32Array, input: Uint8Array, probs: Uint16Array, base: number, bits: number): number {
  let symbol = 1;
  let value = 0;
  for (let i = 0; i < bits; i++) {
    const got = bit(rc, input, probs, base + symbol);
    symbol = (symbol << 1) | got;
    value |= got << i;
  }
  return value;
}

function lengthOf(rc: Int32Array, input: Uint8Array, probs: Uint16Array, base: number, posState: number): number {
  if (bit(rc, input, probs, base) === 0) return 2 + tree(rc, input, probs, base + 2 + (posState << 3), 3);
  if (bit(rc, input, probs, base + 1) === 0) return 10 + tree(rc, input, probs, base + 130 + (posState << 3), 3);
  return 18 + tree(rc, input, probs, base + 258, 8);
}

/** A distance less one. 0xffffffff, LZMA's end mark, has no place in LZMA2 and fails as too far. */
function distanceOf(rc: Int32Array, input: Uint8Array, probs: Uint16Array, length: number): number {
  const slot = tree(rc, input, probs, distanceSlot + (Math.min(length - 2, 3) << 6), 6);
  if (slot < 4) return slot;
  const bits = (slot >>> 1) - 1;
  const high = (2 | (slot & 1)) << bits;
  if (slot < 14) return high + reverseTree(rc, input, probs, distanceSpecial + high - slot - 1, bits);
  let direct = 0;
  for (let i = bits - 4; i > 0; i--) {
    if (rc[rangeSlot] >>> 0 < 0x1000000) normalise(rc, input);
    const half = rc[rangeSlot] >>> 1;
    rc[rangeSlot] = half;
    if (rc[codeSlot] >>> 0 >= half) {
      rc[codeSlot] -= half;
      direct = (direct << 1) | 1;
    } else {
      direct <<= 1;
    }
  }
  return (high + (direct << 4) + reverseTree(rc, input, probs, distanceAlign, 4)) | 0;
}

/** Decodes the LZMA2 stream at input[start…] to output[from…]. Gives back where both ended. */
export function decodeLzma2(
  input: Uint8Array,
  start: number,
  output: Uint8Array,
  from: number,
): { inputEnd: number; outputEnd: number } {
  const lzma = new Lzma(input, output);
  let at = start;
  let to = from;
  let needsDictionary = true;
  let needsProperties = true;
  let needsState = true;
  for (;;) {
    if (at >= input.length) throw corrupt("it is truncated");
    const control = input[at];
    if (control === 0) return { inputEnd: at + 1, outputEnd: to };
    if (control >= 0xe0 || control === 1) {
      needsDictionary = false;
      lzma.dictionaryStart = to;
      if (control >= 0xe0) needsProperties = needsState = true;
    } else if (needsDictionary) {
      throw corrupt("no dictionary reset at its start");
    }
    const header = control < 0x80 ? 3 : control >= 0xc0 ? 6 : 5;
    if (at + header > input.length) throw corrupt("it is truncated");
    const size = control < 0x80 ? 0 : (((control & 0x1f) << 16) | (input[at + 1] << 8) | input[at + 2]) + 1;
    const data = at + header;
    if (control < 0x80) {
      if (control > 2) throw corrupt("an unknown chunk");
      const length = ((input[at + 1] << 8) | input[at + 2]) + 1;
      if (data + length > input.length) throw corrupt("it is truncated");
      if (length > output.length - to) throw corrupt("it is longer than it says");
      output.set(input.subarray(data, data + length), to);
      at = data + length;
      to += length;
      continue;
    }
    const packed = ((input[at + 3] << 8) | input[at + 4]) + 1;
    if (data + packed > input.length) throw corrupt("it is truncated");
    if (size > output.length - to) throw corrupt("it is longer than it says");
    if (control >= 0xc0) {
      lzma.setProperties(input[at + 5]);
      needsProperties = false;
    } else if (needsProperties) {
      throw corrupt("no coder properties at its start");
    }
    if (control >= 0xa0) {
      lzma.resetState();
      needsState = false;
    } else if (needsState) {
      throw corrupt("no coder state at its start");
    }
    lzma.chunk(data, data + packed, to, to + size);
    at = data + packed;
    to += size;
  }
}
