import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { HostPressure } from "#control";
import { HostMemory } from "./host-memory.ts";
import { Ledger } from "./ledger.ts";

const mib = 2 ** 20;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "memvisor-ledger-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** A process with machines that hold so many MiB, and what they are told. */
function processWith(path: string, pid: number, ...held: number[]) {
  let seconds = 0;
  const host = new HostMemory({
    openLedger: () => new Ledger(path, pid),
    figures: () => ({ totalBytes: 64 << 30, availableBytes: 32 << 30, stalled: 0 }),
    now: () => 1000 * seconds,
  });
  const told: HostPressure[] = held.map(() => ({ level: "none", chosen: false }));
  const parts = held.map((frames, n) =>
    host.add({
      held: { frameBytes: frames * mib, storedBytes: 0 },
      set host(pressure: HostPressure) {
        told[n] = pressure;
      },
    }),
  );
  onTestFinished(() => {
    for (const part of parts) part[Symbol.dispose]();
  });
  const pass = (count: number): void => {
    for (; count > 0; count--, seconds++) host.look();
  };
  return { told, pass, parts };
}

test("machines of several processes keep one limit, each in proportion", () => {
  const path = folder();
  new Ledger(path).limitBytes = 640 * mib;
  const one = processWith(path, process.pid, 300, 200);
  // Alive, as the first process of the host is.
  const other = processWith(path, process.ppid, 200);
  one.pass(1);
  expect(one.told.map(({ level }) => level)).toEqual(["none", "none"]);
  other.pass(1);
  one.pass(1);
  // 80 MiB of 700 are too many.
  const frames = [...one.told, ...other.told].map(({ limitFrames = 0 }) => Math.round(limitFrames / 256));
  expect([one.told[0].level, ...frames]).toEqual(["high", 266, 177, 177]);
  new Ledger(path).limitBytes = undefined;
  one.pass(1);
  expect(one.told).toEqual([
    { level: "none", chosen: false },
    { level: "none", chosen: false },
  ]);
});

test("what a process has written that is gone, or is no list, counts for nothing", () => {
  const path = folder();
  const ledger = new Ledger(path, process.pid);
  writeFileSync(join(path, "memory", "999999999.json"), "[]");
  writeFileSync(join(path, "memory", `${process.ppid}.json`), "[");
  expect(ledger.others()).toEqual([]);
  expect(readdirSync(join(path, "memory"))).toEqual([`${process.ppid}.json`]);
});

test("when it has been critical for long the largest machine of all stands still, whoever's it is", () => {
  const path = folder();
  new Ledger(path).limitBytes = 400 * mib;
  const one = processWith(path, process.pid, 100, 200);
  const other = processWith(path, process.ppid, 300);
  for (let n = 0; n < 15; n++) {
    one.pass(1);
    other.pass(1);
  }
  expect([...one.told, ...other.told].map(({ chosen }) => chosen)).toEqual([false, false, true]);
  // It ends, and is missed by nobody.
  other.parts[0][Symbol.dispose]();
  one.pass(1);
  expect(one.told.map(({ level, chosen }) => [level, chosen])).toEqual([
    ["none", false],
    ["none", false],
  ]);
});
