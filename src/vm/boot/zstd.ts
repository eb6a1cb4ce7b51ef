/**
 * Zstandard frames (RFC 8878), decoded into one flat output that is its own window. No dictionaries.
 *
 * A frame is a row of blocks: raw, one repeated byte, or compressed. A compressed block holds literals (raw, repeated,
 * or Huffman-coded) and sequences (literals to copy, then a match), whose three code streams run backwards through
 * one bit stream, driven by FSE tables.
 * Law: work is bounded: a block gives at most 128 KiB, and a sequence or symbol that would go past that ends it.
 */

import { xxh64Low } from "#base";
import { BootError } from "./boot-error.ts";
import { type FseTable, predefined, readFseTable, repeated } from "./zstd-fse.ts";
import { decodeHuffman, type HuffmanTable, readHuffmanTable } from "./zstd-huffman.ts";

const blockLimit = 128 * 1024;
const corrupt = (what: string): BootError => new BootError(`the kernel's zstd data is corrupt: ${what}`);

/** Codes 0…15 of a literals length and 0…31 of a match length stand for themselves (+3); the rest have extra bits. */
const literalsExtra = new Uint8Array([
  ...Array(16).fill(0),
  1,
  1,
  1,
  1,
  2,
  2,
  3,
  3,
  4,
  6,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
]);
const matchExtra = new Uint8Array([
  ...Array(32).fill(0),
  1,
  1,
  1,
  1,
  2,
  2,
  3,
  3,
  4,
  4,
  5,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
]);
const literalsBase = baselines(literalsExtra, 0);
const matchBase = baselines(matchExtra, 3);

function baselines(extra: Uint8Array, first: number): Int32Array {
  const base = new Int32Array(extra.length);
  let next = first;
  for (let code = 0; code < extra.length; code++) {
    base[code] = next;
    next += 1 << extra[code];
  }
  return base;
}

/** What a frame's blocks hand on to the next. */
interface FrameState {
  huffman: HuffmanTable | undefined;
  readonly tables: (FseTable | undefined)[];
  readonly offsets: Int32Array;
  readonly literals: Uint8Array;
  /** Where the frame's output begins: no match reaches before it. */
  readonly start: number;
}

/** Decodes all frames of `input` to `output` and gives back the bytes written. */
export function decodeZstd(input: Uint8Array, output: Uint8Array): number {
  let at = 0;
  let to = 0;
  const literals = new Uint8Array(blockLimit);
  while (at < input.length) {
    if (at + 8 > input.length) throw corrupt("it is truncated");
    const magic = u32(input, at);
    if (magic >>> 4 === 0x184d2a5) {
      at += 8 + u32(input, at + 4);
      continue;
    }
    if (magic !== 0xfd2fb528) throw corrupt("no frame where one must begin");
    const descriptor = input[at + 4];
    if (descriptor & 8) throw corrupt("a reserved bit is set");
    if (descriptor & 3) throw new BootError("the kernel's zstd data needs a dictionary, which is not supported");
    const single = (descriptor & 0x20) !== 0;
    const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6];
    at += 5 + (single ? 0 : 1) + sizeBytes;
    const state: FrameState = {
      huffman: undefined,
      tables: [undefined, undefined, undefined],
      offsets: new Int32Array([1, 4, 8]),
      literals,
      start: to,
    };
    for (let last = false; !last; ) {
      if (at + 3 > input.length) throw corrupt("it is truncated");
      const header = input[at] | (input[at + 1] << 8) | (input[at + 2] << 16);
      at += 3;
      last = (header & 1) !== 0;
      const size = header >>> 3;
      const type = (header >>> 1) & 3;
      if (type === 3) throw corrupt("a block of no known kind");
      const packed = type === 1 ? 1 : size;
      if (size > blockLimit) throw corrupt("a block is too long");
      if (at + packed > input.length) throw corrupt("it is truncated");
      if (type !== 2 && size > output.length - to) throw corrupt("it is longer than it says");
      if (type === 0) {
        output.set(input.subarray(at, at + size), to);
        to += size;
      } else if (type === 1) {
        output.fill(input[at], to, to + size);
        to += size;
      } else {
        to = decodeBlock(input, at, at + size, output, to, state);
      }
      at += packed;
    }
    if (descriptor & 4) {
      if (at + 4 > input.length) throw corrupt("it is truncated");
      if (xxh64Low(output, state.start, to) !== u32(input, at)) throw corrupt("its checksum is wrong");
      at += 4;
    }
  }
  return to;
}

const u32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;

/** Decodes the compressed block input[start, end) and gives back where its output ends. */
function decodeBlock(
  input: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
  from: number,
  state: FrameState,
): number {
  const [sequencesAt, literalCount] = decodeLiterals(input, start, end, state);
  let at = sequencesAt;
  if (at >= end) throw corrupt("a block without sequences");
  let count = input[at++];
  if (count >= 128) {
    if (count === 255) {
      count = (input[at] | (input[at + 1] << 8)) + 0x7f00;
      at += 2;
    } else {
      count = ((count - 128) << 8) | input[at++];
    }
    if (at > end) throw corrupt("a block is cut off");
  }
  let to = from;
  let literalAt = 0;
  if (count > 0) {
    if (at >= end) throw corrupt("a block is cut off");
    at = readTables(input, at, end, state);
    const done = runSequences(input, at, end, output, from, state, count, literalCount);
    to = done.to;
    literalAt = done.literalAt;
  } else if (at !== end) {
    throw corrupt("bytes after a block's end");
  }
  const rest = literalCount - literalAt;
  if (rest > output.length - to) throw corrupt("it is longer than it says");
  output.set(state.literals.subarray(literalAt, literalCount), to);
  return to + rest;
}

/** Reads the literals section to `state.literals`. Gives back where it ends and how many there are. */
function decodeLiterals(input: Uint8Array, start: number, end: number, state: FrameState): [number, number] {
  if (start + 5 > input.length && start >= end) throw corrupt("a block is cut off");
  const first = input[start];
  const type = first & 3;
  const format = (first >>> 2) & 3;
  const { literals } = state;
  if (type < 2) {
    let size = first >>> 3;
    let at = start + 1;
    if (format === 1) {
      size = (first >>> 4) | (input[start + 1] << 4);
      at = start + 2;
    } else if (format === 3) {
      size = (first >>> 4) | (input[start + 1] << 4) | (input[start + 2] << 12);
      at = start + 3;
    }
    const bytes = type === 0 ? size : 1;
    if (size > blockLimit || at + bytes > end) throw corrupt("literals are cut off");
    if (type === 0) literals.set(input.subarray(at, at + size));
    else literals.fill(input[at], 0, size);
    return [at + bytes, size];
  }
  const headerBytes = format < 2 ? 3 : format + 2;
  if (start + headerBytes > end) throw corrupt("literals are cut off");
  const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18;
  // Up to 36 bits: both sizes above the four bits of type and format.
  let header = 0;
  for (let i = headerBytes - 1; i >= 0; i--) header = header * 256 + input[start + i];
  header = Math.floor(header / 16);
  const size = header % 2 ** sizeBits;
  const packed = Math.floor(header / 2 ** sizeBits);
  let at = start + headerBytes;
  const literalsEnd = at + packed;
  if (size > blockLimit || literalsEnd > end) throw corrupt("literals are cut off");
  if (type === 2) {
    const [table, tableEnd] = readHuffmanTable(input, at, literalsEnd);
    state.huffman = table;
    at = tableEnd;
  }
  if (state.huffman === undefined) throw corrupt("literals without a Huffman table");
  decodeHuffman(state.huffman, input, at, literalsEnd, literals, size, format !== 0);
  return [literalsEnd, size];
}

/** Reads the FSE tables of literals lengths, offsets and match lengths, each in the mode its two bits say. */
function readTables(input: Uint8Array, start: number, end: number, state: FrameState): number {
  const modes = input[start];
  if (modes & 3) throw corrupt("reserved bits are set");
  let at = start + 1;
  for (let which = 0; which < 3; which++) {
    const mode = (modes >>> (6 - which * 2)) & 3;
    if (mode === 0) {
      state.tables[which] = predefined[which];
    } else if (mode === 1) {
      if (at >= end) throw corrupt("a block is cut off");
      state.tables[which] = repeated(input[at++]);
    } else if (mode === 2) {
      const [table, tableEnd] = readFseTable(
        input,
        at,
        end,
        which === 1 ? 8 : 9,
        which === 1 ? 31 : which === 0 ? 35 : 52,
      );
      state.tables[which] = table;
      at = tableEnd;
    } else if (state.tables[which] === undefined) {
      throw corrupt("a block repeats a table that is not there");
    }
  }
  return at;
}

function runSequences(
  input: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
  from: number,
  state: FrameState,
  count: number,
  literalCount: number,
): { to: number; literalAt: number } {
  const [literalsTable, offsetTable, matchTable] = state.tables as [FseTable, FseTable, FseTable];
  const { literals, offsets } = state;
  const limit = Math.min(output.length, from + blockLimit);
  const startBit = start * 8;
  if (end <= start || input[end - 1] === 0) throw corrupt("a bit stream without its end mark");
  let bit = (end - 1) * 8 + 31 - Math.clz32(input[end - 1]);
  const read = (bits: number): number => {
    bit -= bits;
    const byte = bit >>> 3;
    const word = input[byte] | (input[byte + 1] << 8) | (input[byte + 2] << 16) | (input[byte + 3] << 24);
    return (word >>> (bit & 7)) & ((1 << bits) - 1);
  };
  let literalsState = read(literalsTable.accuracy);
  let offsetState = read(offsetTable.accuracy);
  let matchState = read(matchTable.accuracy);
  let offset1 = offsets[0];
  let offset2 = offsets[1];
  let offset3 = offsets[2];
  let to = from;
  let literalAt = 0;
  for (let left = count; left > 0; left--) {
    const offsetCode = offsetTable.symbol[offsetState];
    const matchCode = matchTable.symbol[matchState];
    const literalsCode = literalsTable.symbol[literalsState];
    if (offsetCode > 30 || matchCode > 52 || literalsCode > 35) throw corrupt("an impossible code");
    let value = 1 << offsetCode;
    if (offsetCode > 20) {
      value += read(offsetCode - 16) << 16;
      value += read(16);
    } else {
      value += read(offsetCode);
    }
    let matchLength = matchBase[matchCode] + read(matchExtra[matchCode]);
    const literalsLength = literalsBase[literalsCode] + read(literalsExtra[literalsCode]);
    let offset: number;
    if (value > 3) {
      offset = value - 3;
      offset3 = offset2;
      offset2 = offset1;
      offset1 = offset;
    } else {
      // Without literals the most recent offset is pointless, so the codes mean the next ones.
      const index = literalsLength === 0 ? value : value - 1;
      if (index === 0) {
        offset = offset1;
      } else {
        offset = index === 1 ? offset2 : index === 2 ? offset3 : offset1 - 1;
        if (index !== 1) offset3 = offset2;
        offset2 = offset1;
        offset1 = offset;
      }
    }
    if (literalsLength > literalCount - literalAt) throw corrupt("too few literals");
    if (literalsLength + matchLength > limit - to) throw corrupt("it is longer than it says");
    if (literalsLength <= 32) for (let i = 0; i < literalsLength; i++) output[to + i] = literals[literalAt + i];
    else output.set(literals.subarray(literalAt, literalAt + literalsLength), to);
    literalAt += literalsLength;
    to += literalsLength;
    if (offset <= 0 || offset > to - state.start) throw corrupt("a match before the beginning");
    let source = to - offset;
    if (offset >= matchLength && matchLength >= 32) {
      output.copyWithin(to, source, source + matchLength);
      to += matchLength;
    } else {
      for (; matchLength > 0; matchLength--) output[to++] = output[source++];
    }
    if (left > 1) {
      literalsState = literalsTable.base[literalsState] + read(literalsTable.bits[literalsState]);
      matchState = matchTable.base[matchState] + read(matchTable.bits[matchState]);
      offsetState = offsetTable.base[offsetState] + read(offsetTable.bits[offsetState]);
    }
    if (bit < startBit) throw corrupt("a bit stream is cut off");
  }
  if (bit !== startBit) throw corrupt("a bit stream ends wrongly");
  offsets[0] = offset1;
  offsets[1] = offset2;
  offsets[2] = offset3;
  return { to, literalAt };
}
