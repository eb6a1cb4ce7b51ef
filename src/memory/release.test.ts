import { expect, test } from "vitest";
import { gpa } from "#address";
import { tinyMachine } from "../../test/tiny-machine.ts";

const halt = Uint8Array.of(0xf4);
const at = gpa(0x200_0000);

test("a page that is given back has no frame, reads as zeros, and its frame is used again, empty", () => {
  const { memory } = tinyMachine(halt).machine.parts;
  memory.write(at, Uint8Array.of(1, 2, 3));
  const before = memory.framesTouched;
  expect([memory.release([0x2000, 0x2001, 0x9999_9999]), memory.framesTouched]).toEqual([1, before - 1]);
  const bytes = new Uint8Array(4).fill(9);
  memory.read(at, bytes);
  expect([...bytes]).toEqual([0, 0, 0, 0]);
  memory.write(gpa(0x300_0010), Uint8Array.of(5));
  const other = new Uint8Array(4096);
  memory.read(gpa(0x300_0000), other);
  expect([memory.framesTouched, other.filter((byte) => byte !== 0)]).toEqual([before, Uint8Array.of(5)]);
});

test("a page that somebody else works on stays", () => {
  const { memory } = tinyMachine(halt).machine.parts;
  memory.write(at, Uint8Array.of(1));
  const pinned = memory.pin([{ gpa: at, length: 16 }], true);
  expect(memory.release([0x2000])).toBe(0);
  pinned?.release();
  expect(memory.release([0x2000])).toBe(1);
});
