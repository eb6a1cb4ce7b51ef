import { expect, test } from "vitest";
import { MemoryFile } from "./memory-file.ts";

const read = (file: MemoryFile, offset: number, length: number): number[] => {
  const bytes = new Uint8Array(length).fill(9);
  file.read(offset, bytes);
  return [...bytes];
};

test("what was written is read, and zeros beyond the end", () => {
  const file = new MemoryFile("test");
  file.write(2, Uint8Array.of(1, 2), Uint8Array.of(3));
  expect(read(file, 0, 7)).toEqual([0, 0, 1, 2, 3, 0, 0]);
  expect(file.sizeBytes).toBe(5);
});

test("what was cut off is zeros when it comes back", () => {
  const file = new MemoryFile("test", Uint8Array.of(1, 2, 3, 4));
  file.resize(2);
  file.resize(4);
  expect([...file.bytes]).toEqual([1, 2, 0, 0]);
});
