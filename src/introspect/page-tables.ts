/**
 * The guest's page tables as a list of ranges, and single addresses followed through them (4-level paging of long mode).
 *
 *     ffff888000000000-ffff888000200000     2M  4K  kernel rw- GLB      -> 0000000000
 *     ffffffff81000000-ffffffff81e00000    14M  2M  kernel r-x GLB      -> 0001000000
 *
 * A line is a run of pages of one size and the same rights, which are those of all levels together; `->` gives where the
 * first lies, with `...` where the others do not follow it. Nothing is written: no accessed bits, no frames.
 * Law: tables come from the guest and may form loops. At most `maxTables` of them are read, each once a way that leads there.
 */
import { gpa } from "#address";
import type { GuestMemory } from "#memory";
import {
  PTE_ADDRESS,
  PTE_ADDRESS_1G,
  PTE_ADDRESS_2M,
  PTE_G,
  PTE_NX,
  PTE_P,
  PTE_PAT,
  PTE_PAT_LARGE,
  PTE_PCD,
  PTE_PS,
  PTE_PWT,
  PTE_RW,
  PTE_US,
} from "#x86";

export interface PageTableOptions {
  /** Only ranges that overlap [from, to) are listed. */
  readonly from?: bigint;
  readonly to?: bigint;
  readonly maxTables?: number;
  readonly maxLines?: number;
}

/** Where an address leads. */
export interface Mapping {
  readonly gpa: bigint;
  readonly pageBytes: bigint;
  readonly rights: string;
}

interface Range {
  readonly from: bigint;
  to: bigint;
  readonly pageBytes: bigint;
  readonly rights: string;
  readonly gpa: bigint;
  scattered: boolean;
}

const entriesPerTable = 512;
/** Bytes that an entry of each level covers, the leaf level first. */
const spans = [1n << 12n, 1n << 21n, 1n << 30n, 1n << 39n] as const;
const addressMasks = [PTE_ADDRESS, PTE_ADDRESS_2M, PTE_ADDRESS_1G] as const;
const topLevel = 3;
/** Enough for any guest of a few GiB; 64 MiB to read. */
const defaultMaxTables = 16384;
const defaultMaxLines = 10000;

/** What all levels allow together. */
interface Rights {
  readonly write: boolean;
  readonly user: boolean;
  readonly execute: boolean;
}

const everything: Rights = { write: true, user: true, execute: true };

const bit = (entry: bigint, mask: number): boolean => (Number(BigInt.asUintN(13, entry)) & mask) !== 0;

function restrict(rights: Rights, entry: bigint): Rights {
  return {
    write: rights.write && bit(entry, PTE_RW),
    user: rights.user && bit(entry, PTE_US),
    execute: rights.execute && (entry & PTE_NX) === 0n,
  };
}

function rightsText(rights: Rights, entry: bigint, level: number): string {
  const flags = [bit(entry, PTE_G) ? "GLB" : "   "];
  if (bit(entry, PTE_PWT)) flags.push("PWT");
  if (bit(entry, PTE_PCD)) flags.push("PCD");
  if (bit(entry, level === 0 ? PTE_PAT : PTE_PAT_LARGE)) flags.push("PAT");
  return `${rights.user ? "user  " : "kernel"} r${rights.write ? "w" : "-"}${rights.execute ? "x" : "-"} ${flags.join(" ")}`;
}

const isLeaf = (entry: bigint, level: number): boolean => level === 0 || (level < topLevel && bit(entry, PTE_PS));

function readTable(memory: GuestMemory, at: bigint): BigUint64Array | undefined {
  const entries = new BigUint64Array(entriesPerTable);
  return memory.read(gpa(Number(at)), new Uint8Array(entries.buffer)) ? entries : undefined;
}

/** Follows one address as a page walk would; undefined where nothing is mapped. */
export function lookUp(memory: GuestMemory, cr3: bigint, address: bigint): Mapping | undefined {
  const va = BigInt.asUintN(64, address);
  if (canonical(BigInt.asUintN(48, va)) !== va) return undefined;
  let table = cr3 & PTE_ADDRESS;
  let rights = everything;
  for (let level = topLevel; level >= 0; level--) {
    const span = spans[level] as bigint;
    const word = new BigUint64Array(1);
    const index = (va / span) & 511n;
    if (!memory.read(gpa(Number(table + index * 8n)), new Uint8Array(word.buffer))) return undefined;
    const entry = word[0] as bigint;
    if (!bit(entry, PTE_P)) return undefined;
    rights = restrict(rights, entry);
    if (isLeaf(entry, level)) {
      const base = entry & (addressMasks[level] as bigint);
      return { gpa: base + (va & (span - 1n)), pageBytes: span, rights: rightsText(rights, entry, level) };
    }
    table = entry & PTE_ADDRESS;
  }
  return undefined;
}

export function printPageTables(memory: GuestMemory, cr3: bigint, options: PageTableOptions = {}): string {
  const lister = new Lister(memory, options);
  lister.table(cr3 & PTE_ADDRESS, topLevel, 0n, everything);
  return lister.finish();
}

class Lister {
  readonly #memory: GuestMemory;
  readonly #from: bigint;
  readonly #to: bigint;
  readonly #maxLines: number;
  readonly #lines: string[] = [];
  #tablesLeft: number;
  #range: Range | undefined;
  #stopped = "";

  constructor(memory: GuestMemory, options: PageTableOptions) {
    this.#memory = memory;
    this.#from = options.from ?? 0n;
    this.#to = options.to ?? 1n << 64n;
    this.#maxLines = options.maxLines ?? defaultMaxLines;
    this.#tablesLeft = options.maxTables ?? defaultMaxTables;
  }

  /** `base`: what the table's first entry covers, as an address of 48 bits. */
  table(at: bigint, level: number, base: bigint, rights: Rights): void {
    if (this.#tablesLeft-- <= 0) {
      this.#stopped ||= "... there are more tables: they may form a loop";
      return;
    }
    const entries = readTable(this.#memory, at);
    const span = spans[level] as bigint;
    if (entries === undefined) {
      this.#close();
      this.#line(`${address(canonical(base))}  its table at ${at.toString(16)} is no RAM`);
      return;
    }
    for (let n = 0; n < entriesPerTable && this.#stopped === ""; n++) {
      const entry = entries[n] as bigint;
      if (!bit(entry, PTE_P)) continue;
      const from = base + BigInt(n) * span;
      const shown = canonical(from);
      if (shown + span <= this.#from || shown >= this.#to) continue;
      const both = restrict(rights, entry);
      if (isLeaf(entry, level))
        this.#page(shown, span, entry & (addressMasks[level] as bigint), rightsText(both, entry, level));
      else this.table(entry & PTE_ADDRESS, level - 1, from, both);
    }
  }

  finish(): string {
    this.#close();
    if (this.#stopped !== "") this.#lines.push(this.#stopped);
    return this.#lines.length === 0 ? "nothing is mapped" : this.#lines.join("\n");
  }

  #page(from: bigint, pageBytes: bigint, at: bigint, rights: string): void {
    const range = this.#range;
    if (range !== undefined && range.to === from && range.pageBytes === pageBytes && range.rights === rights) {
      range.scattered ||= at !== range.gpa + (from - range.from);
      range.to = from + pageBytes;
      return;
    }
    this.#close();
    this.#range = { from, to: from + pageBytes, pageBytes, rights, gpa: at, scattered: false };
  }

  #close(): void {
    const range = this.#range;
    if (range === undefined) return;
    this.#range = undefined;
    const size = sizeText(range.to - range.from).padStart(6);
    const where = `-> ${range.gpa.toString(16).padStart(10, "0")}${range.scattered ? " ..." : ""}`;
    this.#line(
      `${address(range.from)}-${address(range.to)} ${size} ${sizeText(range.pageBytes).padStart(3)}  ${range.rights.padEnd(22)} ${where}`,
    );
  }

  #line(text: string): void {
    if (this.#lines.length < this.#maxLines) this.#lines.push(text);
    else this.#stopped ||= "... there are more ranges";
  }
}

/** Bit 47 repeated to the top. */
const canonical = (address48: bigint): bigint => BigInt.asUintN(64, BigInt.asIntN(48, address48));
const address = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, "0");

function sizeText(bytes: bigint): string {
  for (const [unit, shift] of [
    ["T", 40n],
    ["G", 30n],
    ["M", 20n],
  ] as const) {
    if (bytes >> shift !== 0n && bytes % (1n << shift) === 0n) return `${bytes >> shift}${unit}`;
  }
  return `${bytes >> 10n}K`;
}
