import { expect, test } from "vitest";
import { LentFile } from "./lent-file.ts";

/** A host whose transfers take as long as the test says. */
function lent() {
  const host = { took: 2_000, answers: true, transfers: 0, now: 0 };
  const transfer = (): number | undefined => {
    host.transfers++;
    host.now += host.took;
    return host.answers ? 0 : undefined;
  };
  const file = new LentFile({ read: transfer, write: transfer, now: () => host.now }, 7);
  /** How many of so many transfers were made here. */
  const made = (count: number): number => {
    const before = host.transfers;
    for (let n = 0; n < count; n++) if (file.isQuick) file.read(0, []);
    return host.transfers - before;
  };
  return { host, file, made };
}

test("what is quick is done on the spot, every time", () => {
  expect(lent().made(100)).toBe(100);
});

test("what is slow is tried once, then after one, three, seven others", () => {
  const { host, made } = lent();
  host.took = 10_000_000;
  expect([made(1), made(1), made(1), made(3), made(1), made(7), made(1)]).toEqual([1, 0, 1, 0, 1, 0, 1]);
});

test("however slow it is, one in 1024 is tried, and when that is quick all are", () => {
  const { host, made } = lent();
  host.took = 10_000_000;
  made(100_000);
  expect(made(10 * 1024)).toBe(10);
  host.took = 2_000;
  made(1024);
  expect(made(100)).toBe(100);
});

test("what the host refuses counts as slow", () => {
  const { host, file, made } = lent();
  host.answers = false;
  expect([file.isQuick, file.write(0, []), made(1)]).toEqual([true, undefined, 0]);
});

test("a large transfer may take longer", () => {
  const { host, file, made } = lent();
  host.took = 500_000;
  expect([file.isQuick, file.read(0, [new Uint8Array(1 << 20)]), made(1), made(1)]).toEqual([true, 0, 1, 0]);
});
