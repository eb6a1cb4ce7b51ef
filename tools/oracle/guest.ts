/**
 * The little machine that memvisor runs the oracle's cases in: page tables, descriptor tables and a kernel of 256 HLTs.
 *
 * User addresses are those of case.ts. Every exception enters a gate whose handler halts, so that its frame, on the
 * kernel's stack, tells what happened; gates 3 and 4 may be entered by user code, as Linux has them.
 */
import { type Gpa, pageSize } from "#address";
import type { AddressSpace } from "#memory";
import { codeBase, codeSize, dataPages, userDescriptors } from "./case.ts";

const MiB = 1 << 20;
export const guestBytes = 4 * MiB;

export const dataGpa = 0x10_0000;
export const codeGpa = 0x11_0000;
const kernelGpa = 0x20_0000;
const rootGpa = 0x1000;

/** Kernel addresses, one page each: handlers (readable, executable), tables, the stack. */
const kernelGva = 0xffff_ffff_8000_0000n;
const page = { handlers: 0, gdt: 1, idt: 2, tss: 3, stack: 4, count: 5 } as const;
const gvaOf = (n: number): bigint => kernelGva + BigInt(n * pageSize);
const gpaOf = (n: number): number => kernelGpa + n * pageSize;

const present = 1n;
const writable = 2n;
const user = 4n;
const noExecute = 1n << 63n;

const kernelCode = 0x10;
const kernelDescriptors = [
  { index: 1, descriptor: 0x00cf_9b00_0000_ffffn },
  { index: 2, descriptor: 0x00af_9b00_0000_ffffn },
  { index: 3, descriptor: 0x00cf_9300_0000_ffffn },
] as const;

export const system = {
  cr3: BigInt(rootGpa),
  /** PE MP ET NE WP PG. */
  cr0: 0x8001_0033n,
  /** PAE PGE OSFXSR OSXMMEXCPT UMIP FSGSBASE OSXSAVE SMEP SMAP. */
  cr4: 0x0035_0ea0n,
  /** SCE LME LMA NXE. */
  efer: 0xd01n,
  handlers: gvaOf(page.handlers),
  gdt: { base: gvaOf(page.gdt), limit: 127 },
  idt: { base: gvaOf(page.idt), limit: 4095 },
  tss: { base: gvaOf(page.tss), limit: 103, selector: 0x40 },
  /** Where the kernel's stack starts, and where that is in physical memory. */
  stackTop: gvaOf(page.count),
  stackEndGpa: gpaOf(page.count),
} as const;

/** Bytes of handler code for each vector. */
export const handlerBytes = 16;

/** Writes the tables. All of it stays as it is while cases run, but for A and D bits and the stack. */
export function furnish(memory: AddressSpace): void {
  const put = (gpa: number, bytes: Uint8Array): void => {
    if (!memory.write(gpa as Gpa, bytes)) throw new Error("the oracle's guest has too little memory");
  };
  const put64 = (gpa: number, ...values: bigint[]): void =>
    put(gpa, new Uint8Array(BigUint64Array.from(values).buffer));

  let nextTable = rootGpa + pageSize;
  const tables = new Map<string, number>([["", rootGpa]]);
  const map = (gva: bigint, gpa: number, bits: bigint): void => {
    let table = rootGpa;
    let path = "";
    for (let level = 3; level > 0; level--) {
      const index = Number((gva >> BigInt(12 + 9 * level)) & 511n);
      path += `/${index}`;
      let next = tables.get(path);
      if (next === undefined) {
        next = nextTable;
        nextTable += pageSize;
        tables.set(path, next);
        put64(table + index * 8, BigInt(next) | present | writable | user);
      }
      table = next;
    }
    put64(table + Number((gva >> 12n) & 511n) * 8, BigInt(gpa) | bits);
  };
  for (const [n, { address, writable: mayWrite }] of dataPages.entries()) {
    map(BigInt(address), dataGpa + n * pageSize, present | user | (mayWrite ? writable : 0n) | noExecute);
  }
  for (let at = 0; at < codeSize; at += pageSize) map(BigInt(codeBase + at), codeGpa + at, present | user);
  for (let n = 0; n < page.count; n++) {
    map(gvaOf(n), gpaOf(n), n === page.handlers ? present : present | writable | noExecute);
  }

  for (const { index, descriptor } of [...kernelDescriptors, ...userDescriptors])
    put64(gpaOf(page.gdt) + index * 8, descriptor);
  // RSP0; the I/O permission map lies past the limit.
  put64(gpaOf(page.tss) + 4, system.stackTop);
  put64(gpaOf(page.tss) + 96, 0x68_0000_0000_0000n);
  const hlt = Uint8Array.of(0xf4);
  for (let vector = 0; vector < 256; vector++) {
    const target = system.handlers + BigInt(vector * handlerBytes);
    const privilege = vector === 3 || vector === 4 ? 3n : 0n;
    const low =
      (target & 0xffffn) |
      (BigInt(kernelCode) << 16n) |
      ((0x8e00n | (privilege << 13n)) << 32n) |
      (((target >> 16n) & 0xffffn) << 48n);
    put64(gpaOf(page.idt) + vector * 16, low, target >> 32n);
    put(gpaOf(page.handlers) + vector * handlerBytes, hlt);
  }
}
