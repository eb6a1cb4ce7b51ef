/** Huffman-coded literals of Zstandard (RFC 8878, "Huffman Coding"): prefix codes of up to 11 bits, read backwards. */
import { BootError } from "./boot-error.ts";
import { readFseTable } from "./zstd-fse.ts";

export interface HuffmanTable {
  /** Bits of the longest code; the table is indexed by that many bits of the stream. */
  readonly width: number;
  /** Symbol << 4 | bits of its code. */
  readonly codes: Uint16Array;
}

const corrupt = (what: string): BootError => new BootError(`the kernel's zstd data is corrupt: ${what}`);

/** Reads a table's description at input[start, end). Gives back the table and where the description ends. */
export function readHuffmanTable(input: Uint8Array, start: number, end: number): [HuffmanTable, number] {
  if (start >= end) throw corrupt("a Huffman table is cut off");
  const weights = new Uint8Array(256);
  const header = input[start];
  let count: number;
  let at = start + 1;
  if (header >= 128) {
    count = header - 127;
    const bytes = (count + 1) >>> 1;
    if (at + bytes > end) throw corrupt("a Huffman table is cut off");
    for (let i = 0; i < count; i++) weights[i] = i & 1 ? input[at + (i >>> 1)] & 15 : input[at + (i >>> 1)] >>> 4;
    at += bytes;
  } else {
    if (at + header > end) throw corrupt("a Huffman table is cut off");
    count = readWeights(input, at, at + header, weights);
    at += header;
  }
  return [buildTable(weights, count), at];
}

/** Weights coded by two interleaved FSE states. The stream ends where a state would need bits that are not there. */
function readWeights(input: Uint8Array, start: number, end: number, weights: Uint8Array): number {
  const [table, streamStart] = readFseTable(input, start, end, 6, 11);
  if (streamStart >= end || input[end - 1] === 0) throw corrupt("Huffman weights without their end mark");
  const startBit = streamStart * 8;
  let bit = (end - 1) * 8 + 31 - Math.clz32(input[end - 1]);
  // Bits before the stream's start read as zero: the last state may be made of some.
  const read = (bits: number): number => {
    bit -= bits;
    let value = 0;
    for (let i = bits - 1; i >= 0; i--) {
      const from = bit + i;
      value = (value << 1) | (from < startBit ? 0 : (input[from >>> 3] >>> (from & 7)) & 1);
    }
    return value;
  };
  let one = read(table.accuracy);
  let other = read(table.accuracy);
  if (bit < startBit) throw corrupt("Huffman weights are cut off");
  for (let count = 0; count < 254; ) {
    weights[count++] = table.symbol[one];
    one = table.base[one] + read(table.bits[one]);
    if (bit < startBit) {
      weights[count++] = table.symbol[other];
      return count;
    }
    [one, other] = [other, one];
  }
  throw corrupt("too many Huffman weights");
}

/** A code of weight w takes 2^(w-1) of the table. The last symbol's weight is what fills it to a power of two. */
function buildTable(weights: Uint8Array, given: number): HuffmanTable {
  let sum = 0;
  for (let i = 0; i < given; i++) {
    if (weights[i] > 11) throw corrupt("a Huffman code is too long");
    if (weights[i] > 0) sum += 1 << (weights[i] - 1);
  }
  if (sum === 0) throw corrupt("a Huffman table is empty");
  const width = 32 - Math.clz32(sum);
  const rest = (1 << width) - sum;
  if (width > 11 || (rest & (rest - 1)) !== 0) throw corrupt("a Huffman table adds up wrongly");
  weights[given] = 32 - Math.clz32(rest);
  const codes = new Uint16Array(1 << width);
  let at = 0;
  // Longest codes first, symbols in order within a length.
  for (let weight = 1; weight <= width; weight++) {
    const span = 1 << (weight - 1);
    for (let symbol = 0; symbol <= given; symbol++) {
      if (weights[symbol] !== weight) continue;
      codes.fill((symbol << 4) | (width + 1 - weight), at, at + span);
      at += span;
    }
  }
  return { width, codes };
}

/** Decodes `size` literals from input[start, end), one stream or four behind a jump table. */
export function decodeHuffman(
  table: HuffmanTable,
  input: Uint8Array,
  start: number,
  end: number,
  literals: Uint8Array,
  size: number,
  fourStreams: boolean,
): void {
  if (!fourStreams) {
    decodeStream(table, input, start, end, literals, 0, size);
    return;
  }
  if (start + 6 > end || size < 6) throw corrupt("literals are cut off");
  const quarter = (size + 3) >>> 2;
  let at = start + 6;
  for (let i = 0; i < 4; i++) {
    const length = input[start + i * 2] | (input[start + i * 2 + 1] << 8);
    const streamEnd = i === 3 ? end : at + length;
    if (streamEnd > end) throw corrupt("literals are cut off");
    decodeStream(table, input, at, streamEnd, literals, i * quarter, i === 3 ? size : (i + 1) * quarter);
    at = streamEnd;
  }
}

function decodeStream(
  table: HuffmanTable,
  input: Uint8Array,
  start: number,
  end: number,
  literals: Uint8Array,
  from: number,
  to: number,
): void {
  if (end <= start || input[end - 1] === 0) throw corrupt("a bit stream without its end mark");
  const { codes, width } = table;
  const mask = (1 << width) - 1;
  const startBit = start * 8;
  // The index's lowest bit. It may reach below the start, whose bits then select nothing: no code is that long.
  let bit = (end - 1) * 8 + 31 - Math.clz32(input[end - 1]) - width;
  const lowest = startBit - width;
  for (let i = from; i < to; i++) {
    const byte = bit >>> 3;
    const word = input[byte] | (input[byte + 1] << 8) | (input[byte + 2] << 16);
    const code = codes[(word >>> (bit & 7)) & mask];
    literals[i] = code >>> 4;
    bit -= code & 15;
    if (bit < lowest) throw corrupt("a bit stream is cut off");
  }
  if (bit !== lowest) throw corrupt("a bit stream ends wrongly");
}
