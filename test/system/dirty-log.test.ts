/** Stores that no instruction's operand tells of: by page walks, descriptors and exceptions. */
import { expect, test } from "vitest";
import { kernelCode, stack1, userData, World } from "./world.ts";

const pageOf = (address: number): number => address >> 12;
const leafTable = 4;
const gdt = 5;
const code = 0x80;
const upperTables = [1, 2, 3];

test("accessed and dirty bits that a page walk sets are stores to the tables", () => {
  const w = new World();
  using log = w.memory.dirty.open();
  const read = "8b 04 25 00 00 0a 00"; // mov 0xa0000,%eax
  const write = "89 04 25 00 00 0a 00"; // mov %eax,0xa0000
  const ends = "0f 0b"; // ud2
  w.user(`${read} ${ends}`);
  const ring0Stack = pageOf(0x1ffff);
  expect([...log.harvest()]).toEqual([...upperTables, leafTable, ring0Stack, code]);
  w.user(`${read} ${ends}`);
  expect([...log.harvest()]).toEqual([ring0Stack, code]);
  w.user(`${write} ${ends}`);
  expect([...log.harvest()]).toEqual([leafTable, ring0Stack, code, pageOf(userData)]);
  w.user(`${write} ${ends}`);
  expect([...log.harvest()]).toEqual([ring0Stack, code, pageOf(userData)]);
});

test("the accessed bit of a descriptor is a store, the first time", () => {
  const w = new World();
  const loads = "b8 58 00 00 00 8e d8 f4"; // mov $0x58,%eax; mov %eax,%ds; hlt
  w.system("f4");
  using log = w.memory.dirty.open();
  w.system(loads);
  expect([...log.harvest()]).toEqual([leafTable, gdt, pageOf(kernelCode)]);
  w.system(loads);
  expect([...log.harvest()]).toEqual([pageOf(kernelCode)]);
});

test("an exception on an interrupt stack is a store there; one that is not taken is none", () => {
  const w = new World();
  w.gate(6, { ist: 1 });
  w.user("0f 0b");
  using log = w.memory.dirty.open();
  w.user("0f 0b");
  expect([...log.harvest()]).toEqual([pageOf(stack1 - 1), code]);
});

test("a store over two pages, the second of which faults, is no store to the first", () => {
  const w = new World();
  w.user("0f 0b");
  w.user("89 04 25 fe cf 1f 00"); // mov %eax,0x1fcffe
  using log = w.memory.dirty.open();
  expect(w.user("89 04 25 fe cf 1f 00").vector).toBe(14);
  expect([...log.harvest()]).toEqual([pageOf(0x1ffff), code]);
});
