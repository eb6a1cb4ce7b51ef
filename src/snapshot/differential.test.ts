import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Gpa, gfnOf, gpa } from "#address";
import { acpiArea } from "#devices";
import type { Machine } from "#vm";
import { memorySink } from "../../test/memory-sink.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { fillingProgram } from "../../test/tiny-programs.ts";
import { flattenSnapshot } from "./flatten.ts";
import { SnapshotError, type SnapshotSource } from "./format.ts";
import { readSnapshot } from "./restore.ts";
import { type SavedSnapshot, writeSnapshot } from "./save.ts";

/** A folder of files. */
class Files {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();

  save(name: string, machine: Machine, base?: string): SavedSnapshot {
    const { sink, bytes } = memorySink();
    const of = base === undefined ? undefined : { name: base, pages: readSnapshot(this.open(base)).pages };
    const saved = writeSnapshot(machine, {}, sink, of);
    this.files.set(name, bytes());
    return saved;
  }

  open(name: string): SnapshotSource {
    const file = this.files.get(name);
    if (file === undefined) throw new SnapshotError(`${name}: there is no such file or folder`);
    return {
      name,
      sizeBytes: file.length,
      read: (offset, target) => {
        const bytes = file.subarray(offset, offset + target.length);
        target.set(bytes);
        return bytes.length;
      },
      open: (other) => this.open(other),
    };
  }

  restore(name: string): Machine {
    return tinyMachine(fillingProgram, {}, readSnapshot(this.open(name)).resume).machine;
  }
}

describe("a differential snapshot", () => {
  /** Three of one machine, each on the one before. */
  function chain(): { files: Files; machine: Machine; pages: number[] } {
    const files = new Files();
    const { machine } = tinyMachine(fillingProgram);
    const pages: number[] = [];
    for (const [n, instant] of [500n, 9_000n, 20_000n].entries()) {
      machine.runUntil(instant);
      // A page that was something becomes zeros.
      if (n === 2) machine.parts.memory.write(0x303000 as Gpa, new Uint8Array(4096));
      pages.push(files.save(`${n}`, machine, n === 0 ? undefined : `${n - 1}`).pages);
    }
    return { files, machine, pages };
  }

  test("has the pages that differ from its base, and goes on as the saved one does", () => {
    const { files, machine, pages } = chain();
    expect(pages[0]).toBeGreaterThan(8);
    expect(Math.max(...pages.slice(1))).toBeLessThan(6);
    const restored = files.restore("2");
    expect(restored.digest()).toEqual(machine.digest());
    for (const each of [machine, restored]) each.runUntil(40_000n);
    expect(restored.digest()).toEqual(machine.digest());
  });

  test("of a machine that went on from the base differs as much", () => {
    const { files, pages } = chain();
    const machine = files.restore("0");
    machine.runUntil(9_000n);
    expect(files.save("again", machine, "0").pages).toBe(pages[1]);
    const restored = files.restore("again");
    expect(restored.digest()).toEqual(machine.digest());
  });

  test("looks at no page that was not stored to since its base was saved, or gone on from", () => {
    const { files, machine } = chain();
    const all = files.save("full", machine).looked;
    machine.parts.memory.write(gpa(0x40_0000), Uint8Array.of(1));
    const saved = files.save("next", machine, "full");
    expect(all).toBeGreaterThan(8);
    expect(saved.looked).toBeLessThan(4);
    expect(saved.pages).toBe(1);
    const restored = files.restore("next");
    expect(restored.digest()).toEqual(machine.digest());
    expect(files.save("again", restored, "next").looked).toBeLessThan(4);
  });

  test("on a base that it was not looks at all, and is the same", () => {
    const { files, pages } = chain();
    const { machine } = tinyMachine(fillingProgram);
    machine.runUntil(9_000n);
    const saved = files.save("other", machine, "0");
    expect(saved.pages).toBe(pages[1]);
    expect(saved.looked).toBeGreaterThan(8);
    expect(files.restore("other").digest()).toEqual(machine.digest());
  });

  test("on any of the last few has what changed since, whatever became of the pages", () => {
    const files = new Files();
    const { machine } = tinyMachine(fillingProgram, { memoryBacking: { kind: "compressed" } });
    const { memory } = machine.parts;
    const page = (n: number): Gpa => gpa(0x40_0000 + n * 0x1000);
    const fill = (n: number, value: number): void => void memory.write(page(n), new Uint8Array(4096).fill(value));
    machine.runUntil(500n);
    for (let n = 0; n < 8; n++) fill(n, n + 1);
    files.save("0", machine);
    const acts = [
      () => memory.release([gfnOf(page(0))]),
      () => memory.swap.evict([gfnOf(page(1)), gfnOf(page(2))]),
      () => {
        fill(1, 77);
        memory.swap.evict([gfnOf(page(1))]);
      },
      () => [fill(3, 0), fill(4, 99)],
      () => fill(4, 5),
      () => memory.swap.evict([gfnOf(page(4)), gfnOf(page(5))]),
    ];
    for (const [n, act] of acts.entries()) {
      act();
      machine.runUntil(1_000n + 500n * BigInt(n));
      // On the one before, and on the first, which is forgotten in the end.
      for (const base of [`${n}`, "0"]) {
        files.save(`${n + 1}`, machine, base);
        expect(files.restore(`${n + 1}`).digest()).toEqual(machine.digest());
      }
    }
  });

  test("is refused without its base, or with another in its place", () => {
    const { files } = chain();
    const other = new Files();
    other.files.set("2", files.files.get("2") as Uint8Array<ArrayBuffer>);
    expect(() => other.restore("2")).toThrow("2: its base cannot be read: 1: there is no such file or folder");
    other.files.set("1", files.files.get("1") as Uint8Array<ArrayBuffer>);
    expect(() => other.restore("2")).toThrow("1: its base cannot be read: 0: there is no such file or folder");
    files.files.set("1", files.files.get("0") as Uint8Array<ArrayBuffer>);
    expect(() => files.restore("2")).toThrow("2: 1 is not the base that it was saved with");
  });

  test("is flattened to one file that needs no other, unless a page is damaged", () => {
    const { files, machine } = chain();
    const noDisks = () => expect.unreachable();
    const { sink, bytes } = memorySink();
    const { pages } = flattenSnapshot(files.open("2"), sink, noDisks);
    const alone = new Files();
    alone.files.set("flat", bytes());
    const restored = alone.restore("flat");
    expect(restored.digest()).toEqual(machine.digest());
    expect(alone.save("again", restored, "flat").pages).toBe(0);
    expect(pages).toBeGreaterThan(8);
    // The first page of the first base.
    (files.files.get("0") as Uint8Array)[4096 + 7] ^= 1;
    expect(() => flattenSnapshot(files.open("2"), memorySink().sink, noDisks)).toThrow(
      /2: the page of guest frame 0x[0-9a-f]+ is damaged/,
    );
  });

  test("written over its own base is refused, not followed without end", () => {
    const { files, machine } = chain();
    files.save("0", machine, "1");
    expect(() => files.restore("2")).toThrow("is not the base that it was saved with");
  });
});

test("a file of format 1 goes on", () => {
  const lines = readFileSync(new URL("../../test/snapshots/format-1.txt", import.meta.url), "utf8")
    .trim()
    .split("\n");
  const file = new Uint8Array(73_728);
  for (const line of lines) {
    const [offset, bytes] = line.split(" ");
    file.set(Buffer.from(bytes, "hex"), Number.parseInt(offset, 16));
  }
  const files = new Files();
  files.files.set("old", file);
  const old = files.restore("old");
  const { machine } = tinyMachine(fillingProgram);
  // What the firmware tells the guest is today's in one, and that of the day in the other.
  const firmware = new Uint8Array(acpiArea.size);
  old.parts.memory.read(gpa(acpiArea.base), firmware);
  machine.parts.memory.write(gpa(acpiArea.base), firmware);
  for (const each of [old, machine]) each.runUntil(30_000n);
  expect(old.digest()).toEqual(machine.digest());
});
