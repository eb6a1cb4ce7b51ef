import { expect, test } from "vitest";
import { findKernelSymbols, type KernelSymbols, parseKallsyms } from "./kernel-symbols.ts";

const base = 0xffff_ffff_8100_0000n;
/** Tokens: characters stand for themselves, 1 for "Tdo_" and 2 for "_init". */
const tokens = Array.from({ length: 256 }, (_, n) =>
  n === 1 ? "Tdo_" : n === 2 ? "_init" : n >= 0x30 && n < 0x7b ? String.fromCharCode(n) : "",
);
/** One in eight is data; each has 16 bytes. */
const names = Array.from({ length: 700 }, (_, n) =>
  n % 8 === 7 ? `Dtable${n}` : n === 300 ? `T${"x".repeat(200)}` : `\x01thing${n}${n % 2 ? "\x02" : ""}`,
);

type Order = "names first" | "offsets first" | "sequences before tokens";

/** The tables as the kernel's link lays them out, 4 KiB of something before and behind. */
function tables(order: Order): { readonly bytes: Uint8Array; readonly zero: number } {
  const out: number[] = Array.from({ length: 4096 }, (_, n) => (n * 7) & 0xff);
  const align = (): void => {
    while (out.length % 8 !== 0) out.push(0);
  };
  const word = (value: bigint, size: number): void => {
    for (let n = 0; n < size; n++) out.push(Number((value >> BigInt(8 * n)) & 0xffn));
  };
  const offsets = (): void => {
    names.forEach((_, n) => word(-1n - BigInt(16 * n), 4));
    align();
    word(base, 8);
  };
  if (order !== "names first") offsets();
  word(BigInt(names.length), 4);
  align();
  const start = out.length;
  const markers: number[] = [];
  names.forEach((name, n) => {
    if (n % 256 === 0) markers.push(out.length - start);
    if (name.length < 0x80) out.push(name.length);
    else out.push((name.length & 0x7f) | 0x80, name.length >> 7);
    for (const token of name) out.push(token.charCodeAt(0));
  });
  align();
  for (const marker of markers) word(BigInt(marker), 4);
  align();
  if (order === "sequences before tokens") {
    names.forEach((_, n) => out.push(n >> 16, (n * 37) & 0xff, n & 0xff));
    align();
  }
  const index: number[] = [];
  const tokensStart = out.length;
  for (const token of tokens) {
    index.push(out.length - tokensStart);
    for (const character of token) out.push(character.charCodeAt(0));
    out.push(0);
  }
  align();
  for (const at of index) word(BigInt(at), 2);
  if (order === "names first") offsets();
  out.push(...Array.from({ length: 4096 }, (_, n) => (n * 11) & 0xff));
  return { bytes: Uint8Array.from(out), zero: tokensStart + index[0x30] };
}

const shown = (symbols: KernelSymbols | undefined, offset: number): string => {
  const found = symbols?.lookUp(base + BigInt(offset));
  return found === undefined ? "nothing" : `${found.name}+${found.offset}`;
};

for (const order of ["names first", "offsets first", "sequences before tokens"] as const) {
  test(`${order}: an address of code has the name of the function that it is in`, () => {
    const { bytes, zero } = tables(order);
    const symbols = parseKallsyms(bytes, zero);
    expect(symbols?.count).toBe(700);
    expect(shown(symbols, 0)).toBe("do_thing0+0");
    expect(shown(symbols, 16 * 513 + 5)).toBe("do_thing513_init+5");
    expect(shown(symbols, 16 * 300 + 1)).toBe(`${"x".repeat(200)}+1`);
    // Data has no code in it: what is before it goes on.
    expect(shown(symbols, 16 * 7 + 2)).toBe("do_thing6+18");
    expect(shown(symbols, -1)).toBe("nothing");
    expect(shown(symbols, 0x4000_0000)).toBe("nothing");
  });
}

/** RAM with these bytes at 1 MiB and 20 bytes, across the end of a chunk of the search. */
function memory(bytes: Uint8Array) {
  const ram = new Uint8Array(4 << 20);
  ram.set(bytes, (1 << 20) - 4096);
  return {
    memslots: [{ sizeBytes: ram.length }] as never,
    read: (at: number, target: Uint8Array) => {
      if (at + target.length > ram.length) return false;
      target.set(ram.subarray(at, at + target.length));
      return true;
    },
  };
}

test("the tables are found wherever they lie in memory", () => {
  expect(shown(findKernelSymbols(memory(tables("names first").bytes)), 0)).toBe("do_thing0+0");
});

test("memory full of what only looks like a table gives nothing, and soon", () => {
  const digits = "0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00";
  const fake = Uint8Array.from(digits.repeat(100_000), (character) => character.charCodeAt(0));
  expect(findKernelSymbols(memory(fake))).toBeUndefined();
});

test("any damage to the tables gives symbols or none, and never an exception", () => {
  const { bytes, zero } = tables("offsets first");
  for (let seed = 1; seed <= 300; seed++) {
    const damaged = bytes.slice();
    for (let n = 0, x = seed; n < 40; n++) {
      x = (Math.imul(x, 1103515245) + 12345) >>> 0;
      damaged[x % damaged.length] = x >>> 24;
    }
    const symbols = parseKallsyms(damaged, zero);
    if (symbols !== undefined) for (let n = 0; n < 700; n += 50) shown(symbols, 16 * n);
  }
});
