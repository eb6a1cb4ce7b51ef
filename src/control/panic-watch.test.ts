import { expect, test } from "vitest";
import { PanicWatch } from "./panic-watch.ts";

const after = (...lines: string[]) => {
  const watch = new PanicWatch();
  watch.see(new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join("")));
  return [watch.message, watch.over];
};

test("a panic's message is known from its first line", () => {
  expect(
    after("[    1.234567] Kernel panic - not syncing: No working init found.", "[    1.234568] CPU: 0 PID: 1"),
  ).toEqual(["No working init found.", false]);
});

test("a panic that leads to no reset ends with a line that says so", () => {
  expect(after("[    2.000000] ---[ end Kernel panic - not syncing: Attempted to kill init! ]---")).toEqual([
    "Attempted to kill init!",
    true,
  ]);
});

test("a reset long after such words is no panic", () => {
  expect(after("Kernel panic - not syncing: said a program", ...Array(200).fill("more"))).toEqual([undefined, false]);
});

test("the words within a line are no panic", () => {
  expect(after('grep "Kernel panic - not syncing: x" log')).toEqual([undefined, false]);
});

test("lines come in pieces of any size", () => {
  const watch = new PanicWatch();
  for (const byte of new TextEncoder().encode("[ 1.0] Kernel panic - not syncing: split\n"))
    watch.see(Uint8Array.of(byte));
  expect(watch.message).toBe("split");
});
