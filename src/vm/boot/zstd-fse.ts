/**
 * Finite-state-entropy tables of Zstandard (RFC 8878, "FSE"): in state s the symbol is `symbol[s]`, and the next
 * state is `base[s]` plus `bits[s]` bits from the stream.
 */
import { BootError } from "./boot-error.ts";

export interface FseTable {
  /** log2 of the number of states. */
  readonly accuracy: number;
  readonly symbol: Uint8Array;
  readonly bits: Uint8Array;
  readonly base: Uint16Array;
}

const corrupt = (what: string): BootError => new BootError(`the kernel's zstd data is corrupt: ${what}`);

/** The table that gives one symbol and takes no bits. */
export function repeated(symbol: number): FseTable {
  return { accuracy: 0, symbol: new Uint8Array([symbol]), bits: new Uint8Array(1), base: new Uint16Array(1) };
}

/** Reads a table's description at input[start, end). Gives back the table and where the description ends. */
export function readFseTable(
  input: Uint8Array,
  start: number,
  end: number,
  highestAccuracy: number,
  highestSymbol: number,
): [FseTable, number] {
  let bit = start * 8;
  const endBit = end * 8;
  const read = (bits: number): number => {
    const byte = bit >>> 3;
    const word = input[byte] | (input[byte + 1] << 8) | (input[byte + 2] << 16);
    const value = (word >>> (bit & 7)) & ((1 << bits) - 1);
    bit += bits;
    return value;
  };
  const accuracy = read(4) + 5;
  if (accuracy > highestAccuracy) throw corrupt("a table is too fine");
  const counts = new Int16Array(highestSymbol + 1);
  let symbol = 0;
  for (let remaining = 1 << accuracy; remaining > 0; ) {
    if (symbol > highestSymbol) throw corrupt("a table has too many symbols");
    // A value up to remaining + 1, in as few bits as that takes; small ones save one bit.
    const bits = 32 - Math.clz32(remaining + 1);
    const low = (1 << (bits - 1)) - 1;
    const spare = (1 << bits) - 2 - remaining;
    let value = read(bits);
    if ((value & low) < spare) {
      bit--;
      value &= low;
    } else if (value > low) {
      value -= spare;
    }
    const count = value - 1;
    counts[symbol++] = count;
    remaining -= Math.abs(count);
    if (remaining < 0) throw corrupt("a table adds up wrongly");
    if (count === 0) {
      for (let skip = 3; skip === 3; ) {
        skip = read(2);
        symbol += skip;
        if (symbol > highestSymbol + 1) throw corrupt("a table has too many symbols");
      }
    }
    if (bit > endBit) throw corrupt("a table is cut off");
  }
  return [buildTable(counts, accuracy), (bit + 7) >>> 3];
}

/** Spreads symbols over the states. A count of -1 is a symbol of less than one state: it takes one at the end. */
function buildTable(counts: ArrayLike<number>, accuracy: number): FseTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const bits = new Uint8Array(size);
  const base = new Uint16Array(size);
  const next = new Uint16Array(counts.length);
  let high = size;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    if (counts[symbol] === -1) symbols[--high] = symbol;
    next[symbol] = Math.abs(counts[symbol]);
  }
  const step = (size >>> 1) + (size >>> 3) + 3;
  let at = 0;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    for (let i = 0; i < counts[symbol]; i++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  for (let state = 0; state < size; state++) {
    const x = next[symbols[state]]++;
    bits[state] = accuracy - (31 - Math.clz32(x));
    base[state] = (x << bits[state]) - size;
  }
  return { accuracy, symbol: symbols, bits, base };
}

/** RFC 8878, "Default Distributions": literals lengths, offsets, match lengths. */
export const predefined: readonly FseTable[] = [
  buildTable(
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
    6,
  ),
  buildTable([1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5),
  buildTable(
    [
      1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    6,
  ),
];
