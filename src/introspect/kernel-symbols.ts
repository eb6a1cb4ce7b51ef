/**
 * The guest kernel's own symbols, read out of its memory: the tables that /proc/kallsyms prints (Linux, kernel/kallsyms.c
 * and scripts/kallsyms.c), which a kernel with CONFIG_KALLSYMS has in its read-only data.
 *
 *   names         for each symbol a length (one byte, or two with the top bit set) and as many token numbers; expanded
 *                 they are a letter for the kind and the name
 *   markers       u32: where in names each 256th symbol begins
 *   token table   256 strings; token index: u16, where each begins
 *   offsets       i32 for each symbol: an address (of per-CPU data), or below 0: relative base - 1 - offset
 *
 * Nothing points at them. What is found first is the token table, by the digits that stand for themselves in it; the rest
 * lies around it in one of two orders:
 *
 *   up to 6.3     offsets, relative base, count, names, markers, (sequences,) token table, token index
 *   from 6.4 on   count, names, markers, token table, token index, offsets, relative base
 *
 * Law: tables come from the guest. Any bytes give symbols or undefined, after a bounded number of tries.
 */
import { gpa } from "#address";
import type { AddressSpace } from "#memory";

export interface KernelSymbols {
  readonly count: number;
  /** The symbol of code that holds this address; undefined outside the kernel's image. */
  lookUp(address: bigint): { readonly name: string; readonly offset: number } | undefined;
}

/** Where Linux maps its image; modules come after it (Linux, Documentation/arch/x86/x86_64/mm.rst). */
const imageStart = 0xffff_ffff_8000_0000n;
const imageEnd = 0xffff_ffff_c000_0000n;
/** How far into memory a kernel's image may lie, and how far its tables reach before and after the token table. */
const searchEnd = 256 << 20;
const before = 24 << 20;
const after = 8 << 20;
const mostSymbols = 1_000_000;
const chunkBytes = 1 << 20;
/** Places that look like a token table, and like markers before it. */
const mostTries = 16;

const digits = Uint8Array.from([..."0123456789"].flatMap((digit) => [digit.charCodeAt(0), 0]));

/** Undefined where the guest runs no kernel that tells. */
export function findKernelSymbols(memory: Pick<AddressSpace, "read" | "memslots">): KernelSymbols | undefined {
  const end = Math.min(searchEnd, memory.memslots[0]?.sizeBytes ?? 0);
  // Chunks overlap by what is looked for.
  const chunk = new Uint8Array(chunkBytes + digits.length);
  let tries = 0;
  for (let at = 0; at + chunk.length <= end; at += chunkBytes) {
    if (!memory.read(gpa(at), chunk)) continue;
    for (let found = indexOf(chunk, digits, 0); found >= 0; found = indexOf(chunk, digits, found + 1)) {
      if (++tries > mostTries) return undefined;
      // Tables are aligned in memory, so the window is too.
      const from = Math.max(0, (at + found - before) & ~0xfff);
      const window = new Uint8Array(Math.min(end, at + found + after) - from);
      if (!memory.read(gpa(from), window)) continue;
      const symbols = parseKallsyms(window, at + found - from);
      if (symbols !== undefined) return symbols;
    }
  }
  return undefined;
}

function indexOf(bytes: Uint8Array, pattern: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(pattern[0], from); at >= 0; at = bytes.indexOf(pattern[0], at + 1)) {
    if (at + pattern.length > bytes.length) return -1;
    let n = 1;
    while (n < pattern.length && bytes[at + n] === pattern[n]) n++;
    if (n === pattern.length) return at;
  }
  return -1;
}

/** `zero`: where the token table has its string "0". */
export function parseKallsyms(bytes: Uint8Array, zero: number): KernelSymbols | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tokens = readTokens(bytes, view, zero);
  if (tokens === undefined) return undefined;
  let tries = 0;
  for (const markers of markersBefore(view, tokens.start)) {
    if (++tries > mostTries) return undefined;
    const names = findNames(bytes, view, markers);
    if (names === undefined) continue;
    const addresses =
      readAddresses(view, tokens.end, names.count) ?? readAddresses(view, offsetsBefore(names), names.count);
    if (addresses !== undefined) return symbolTable(bytes, names, tokens.texts, addresses);
  }
  return undefined;
}

interface Tokens {
  readonly texts: readonly string[];
  readonly start: number;
  /** Past the index. */
  readonly end: number;
}

function readTokens(bytes: Uint8Array, view: DataView, zero: number): Tokens | undefined {
  // The strings from "0" on, then the index, which says how many bytes come before "0".
  let at = zero;
  for (let n = 0x30; n < 256; n++) {
    const end = bytes.indexOf(0, at);
    if (end < 0 || end - at > 128) return undefined;
    at = end + 1;
  }
  const index = align(at, 8);
  if (index + 512 > bytes.length) return undefined;
  const start = zero - view.getUint16(index + 2 * 0x30, true);
  if (start < 0) return undefined;
  const texts: string[] = [];
  for (let n = 0, next = start; n < 256; n++) {
    if (view.getUint16(index + 2 * n, true) !== next - start) return undefined;
    const end = bytes.indexOf(0, next);
    if (end < 0 || end >= index) return undefined;
    texts.push(String.fromCharCode(...bytes.subarray(next, end)));
    next = end + 1;
  }
  return { texts, start, end: index + 512 };
}

interface Markers {
  readonly start: number;
  readonly count: number;
  readonly last: number;
}

/** Before the token table, at most three bytes for each symbol before it: a zero, then offsets that rise by 256 names each. */
function* markersBefore(view: DataView, tokensStart: number): Generator<Markers> {
  const least = 256 * 2;
  const most = 256 * 514;
  const rises = (at: number): boolean => {
    const step = view.getUint32(at, true) - view.getUint32(at - 4, true);
    return step >= least && step <= most;
  };
  for (let start = tokensStart - 8; start >= 0 && start > tokensStart - 3 * mostSymbols; start -= 4) {
    if (view.getUint32(start, true) !== 0 || !rises(start + 4)) continue;
    let end = start + 8;
    while (end < tokensStart && rises(end)) end += 4;
    yield { start, count: (end - start) / 4, last: view.getUint32(end - 4, true) };
  }
}

interface Names {
  readonly start: number;
  readonly count: number;
}

/** The count stands right before the names: the place is right where as many names end right before the markers. */
function findNames(bytes: Uint8Array, view: DataView, markers: Markers): Names | undefined {
  // The last marker's names, up to 256 of them, are at most so long.
  const longest = 256 * 514;
  const latest = (markers.start - markers.last) & ~7;
  for (let start = latest; start >= 8 && start > latest - longest; start -= 8) {
    const count = view.getUint32(start - 8, true);
    if (view.getUint32(start - 4, true) !== 0) continue;
    if (count <= (markers.count - 1) * 256 || count > markers.count * 256) continue;
    let at = start + markers.last;
    for (let n = (markers.count - 1) * 256; n < count && at < markers.start; n++) at = nextName(bytes, at).end;
    if (at <= markers.start && markers.start - at < 8) return { start, count };
  }
  return undefined;
}

function nextName(bytes: Uint8Array, at: number): { readonly from: number; readonly end: number } {
  const short = bytes[at];
  if ((short & 0x80) === 0) return { from: at + 1, end: at + 1 + short };
  return { from: at + 2, end: at + 2 + ((short & 0x7f) | (bytes[at + 1] << 7)) };
}

/** Where the offsets begin when they come before the names: the base, and what aligns it, between them and the count. */
const offsetsBefore = ({ start, count }: Names): number => start - 16 - align(4 * count, 8);

/** Undefined where what follows the offsets is no base in the kernel's image. */
function readAddresses(view: DataView, offsets: number, count: number): BigUint64Array | undefined {
  const base = offsets + align(4 * count, 8);
  if (offsets < 0 || base + 8 > view.byteLength) return undefined;
  const relativeBase = view.getBigUint64(base, true);
  if (relativeBase < imageStart || relativeBase >= imageEnd) return undefined;
  return BigUint64Array.from({ length: count }, (_, n) => {
    const offset = view.getInt32(offsets + 4 * n, true);
    return offset < 0 ? relativeBase - 1n - BigInt(offset) : BigInt(offset);
  });
}

function symbolTable(
  bytes: Uint8Array,
  names: Names,
  tokens: readonly string[],
  addresses: BigUint64Array,
): KernelSymbols | undefined {
  const code: { readonly address: bigint; readonly from: number; readonly end: number }[] = [];
  let at = names.start;
  for (let n = 0; n < names.count; n++) {
    const { from, end } = nextName(bytes, at);
    // Past the end there are no lengths either.
    if (!(end <= bytes.length && from < end)) return undefined;
    at = end;
    // Text, global or local, weak or not; other kinds are data.
    if ("tTwW".includes(tokens[bytes[from]][0] ?? " ")) code.push({ address: addresses[n], from, end });
  }
  code.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  return {
    count: names.count,
    lookUp: (address) => {
      if (address < imageStart || address >= imageEnd) return undefined;
      let [low, high] = [0, code.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (code[middle].address <= address) low = middle + 1;
        else high = middle;
      }
      const symbol = code[low - 1];
      if (symbol === undefined) return undefined;
      const name = [...bytes.subarray(symbol.from, symbol.end)].map((token) => tokens[token]).join("");
      return { name: name.slice(1), offset: Number(address - symbol.address) };
    },
  };
}

const align = (size: number, to: number): number => Math.ceil(size / to) * to;
