import { expect, test } from "vitest";
import type { GuestMemory } from "#memory";
import { lookUp, printPageTables } from "./page-tables.ts";

const present = 1n;
const write = 2n;
const user = 4n;
const large = 0x80n;
const global = 0x100n;
const noExecute = 1n << 63n;
const root = 0x1000n;

/** 64 KiB of RAM with entries set as `[table, index, entry]`. */
function memoryOf(entries: readonly (readonly [table: bigint, index: number, entry: bigint])[]): GuestMemory {
  const bytes = new Uint8Array(0x10000);
  const view = new DataView(bytes.buffer);
  for (const [table, index, entry] of entries) view.setBigUint64(Number(table) + 8 * index, entry, true);
  return {
    sizeBytes: bytes.length,
    read: (at, target) => {
      if (at + target.length > bytes.length) return false;
      target.set(bytes.subarray(at, at + target.length));
      return true;
    },
    write: () => false,
  };
}

const all = present | write | user;

/** PML4 at 1000, PDPT at 2000, PD at 3000, PT at 4000. */
const tables = memoryOf([
  [root, 0, 0x2000n | all],
  [0x2000n, 0, 0x3000n | all],
  [0x3000n, 0, 0x4000n | present | user],
  [0x3000n, 1, 0x200000n | all | large | global],
  [0x4000n, 5, 0x7000n | all],
  [0x4000n, 6, 0x8000n | all],
  [0x4000n, 7, 0xa000n | all],
  [0x4000n, 8, 0xb000n | all | noExecute],
  [root, 511, 0x2000n | present | write | noExecute],
]);

test("pages that follow each other with the same rights are one line, and all levels decide the rights", () => {
  expect(printPageTables(tables, root, { to: 0x10000000n }).split("\n")).toEqual([
    "0000000000005000-0000000000008000    12K  4K  user   r-x             -> 0000007000 ...",
    "0000000000008000-0000000000009000     4K  4K  user   r--             -> 000000b000",
    "0000000000200000-0000000000400000     2M  2M  user   rwx GLB         -> 0000200000",
  ]);
});

test("the upper half is shown at its canonical addresses", () => {
  expect(printPageTables(tables, root, { from: 1n << 63n }).split("\n")[1]).toBe(
    "ffffff8000200000-ffffff8000400000     2M  2M  kernel rw- GLB         -> 0000200000",
  );
});

test("tables that lead back to themselves end", () => {
  const loop = memoryOf([
    [root, 0, root | all],
    [root, 1, root | all],
  ]);
  expect(printPageTables(loop, root)).toMatch(/4K/);
  const wild = memoryOf(Array.from({ length: 512 }, (_, n) => [root, n, root | all] as const));
  expect(printPageTables(wild, root, { maxTables: 100 })).toMatch(/may form a loop$/);
});

test("a table outside of memory says so", () => {
  expect(printPageTables(memoryOf([[root, 3, 0xff000n | all]]), root)).toBe(
    "0000018000000000  its table at ff000 is no RAM",
  );
  expect(printPageTables(tables, 0xfffffff000n)).toBe("0000000000000000  its table at fffffff000 is no RAM");
});

test("no more lines are made than asked for", () => {
  const text = printPageTables(tables, root, { maxLines: 2 });
  expect(text.split("\n").length).toBe(3);
  expect(text).toMatch(/more ranges$/);
});

test("an address is followed to its page", () => {
  expect(lookUp(tables, root, 0x6123n)).toEqual({ gpa: 0x8123n, pageBytes: 4096n, rights: "user   r-x    " });
  expect(lookUp(tables, root, 0xffffff8000234567n)?.gpa).toBe(0x234567n);
  expect(lookUp(tables, root, 0x9000n)).toBeUndefined();
  expect(lookUp(tables, root, 0x8000_0000_0000n)).toBeUndefined();
});
