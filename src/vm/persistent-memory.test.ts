import { beforeEach, expect, test } from "vitest";
import { gpa } from "#address";
import { AddressSpace, type FrameSource, type PageFile } from "#memory";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { PersistentMemory, type PmemConfig } from "./persistent-memory.ts";

const mib = 2 ** 20;

/** A file in memory, and what is on its disk. */
class TestFile implements PageFile {
  readonly name: string;
  bytes = new Uint8Array(0);
  flushes = 0;
  full = false;
  closed = false;

  constructor(name: string, sizeBytes: number) {
    this.name = name;
    this.resize(sizeBytes);
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  read(offset: number, target: Uint8Array): void {
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  write(offset: number, source: Uint8Array): void {
    if (this.full) throw new Error(`${this.name}: the host's disk is full`);
    this.bytes.set(source, offset);
  }

  flush(): void {
    this.flushes++;
  }

  resize(sizeBytes: number): void {
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(this.bytes.subarray(0, sizeBytes));
    this.bytes = bytes;
  }

  close(): void {
    this.closed = true;
  }
}

let files: Record<string, TestFile>;
let notices: string[];

beforeEach(() => {
  files = { a: new TestFile("a", 4 * mib), b: new TestFile("b", 2 * mib), odd: new TestFile("odd", 5000) };
  notices = [];
});

function open(...configs: PmemConfig[]): PersistentMemory {
  return new PersistentMemory(configs, {
    report: (_, line) => void notices.push(line),
    openPages: (name, _, create) => {
      if (create) files[name] ??= new TestFile(name, 0);
      const file = files[name];
      if (file === undefined) throw new Error(`${name}: no such file`);
      return file;
    },
  });
}

function attached(...configs: PmemConfig[]): { persistent: PersistentMemory; space: AddressSpace } {
  const { engine, vcpu } = tinyMachine(Uint8Array.of(0xf4)).machine.parts;
  const persistent = open(...configs);
  // The runtime asks the machine that it knows for a page, and this address space is none's.
  const frames: FrameSource = {
    ...engine.runtime,
    frame_of: (header, gfn, flags) => {
      if (space.presentBytes(gfn) === undefined) space.swap.fault(gfn);
      return engine.runtime.frame_of(header, gfn, flags);
    },
  };
  const space: AddressSpace = new AddressSpace(vcpu.arena, frames, [
    { gpa: gpa(0), sizeBytes: mib },
    ...persistent.slots,
  ]);
  persistent.attach(space);
  return { persistent, space };
}

const at = (persistent: PersistentMemory, n: number, offset: number) =>
  gpa((persistent.regions[n]?.base ?? 0) + offset);

test("a file's bytes are in the guest's memory, and what is stored is in the file after a flush", () => {
  files.a.bytes[5000] = 42;
  const { persistent, space } = attached({ file: "a" });
  const byte = new Uint8Array(1);
  space.read(at(persistent, 0, 5000), byte);
  expect(byte[0]).toBe(42);
  space.write(at(persistent, 0, 3 * mib), Uint8Array.of(7));
  expect([files.a.bytes[3 * mib], persistent.regions[0]?.flush(), files.a.bytes[3 * mib]]).toEqual([0, true, 7]);
  expect([files.a.bytes[5000], files.a.flushes]).toEqual([42, 1]);
});

test("each region has its own file, one behind the other, and a flush of one leaves the other's stores for its own", () => {
  const { persistent, space } = attached({ file: "a" }, { file: "b" });
  const [a, b] = persistent.regions;
  expect([a?.sizeBytes, (b?.base ?? 0) - (a?.base ?? 0)]).toEqual([4 * mib, 4 * mib]);
  space.write(at(persistent, 0, 0), Uint8Array.of(1));
  space.write(at(persistent, 1, 0), Uint8Array.of(2));
  a?.flush();
  expect([files.a.bytes[0], files.b.bytes[0]]).toEqual([1, 0]);
  b?.flush();
  expect(files.b.bytes[0]).toBe(2);
});

test("what could not be written is written by a later flush, and the person is told", () => {
  const { persistent, space } = attached({ file: "a" });
  space.write(at(persistent, 0, 0), Uint8Array.of(1));
  files.a.full = true;
  expect([persistent.regions[0]?.flush(), notices]).toEqual([false, ["persistent memory: a: the host's disk is full"]]);
  files.a.full = false;
  expect([persistent.regions[0]?.flush(), files.a.bytes[0]]).toEqual([true, 1]);
});

test("at the end all that was stored is written, and the file closed", () => {
  const { persistent, space } = attached({ file: "a" });
  space.write(at(persistent, 0, 100), Uint8Array.of(9));
  persistent[Symbol.dispose]();
  expect([files.a.bytes[100], files.a.flushes, files.a.closed]).toEqual([9, 1, true]);
});

test("a file that is only read keeps its bytes, whoever stores, and has no flush", () => {
  const { persistent, space } = attached({ file: "a", readOnly: true });
  const place = at(persistent, 0, 64);
  expect([space.write(place, Uint8Array.of(9)), space.pin([{ gpa: place, length: 4 }], true)]).toEqual([
    false,
    undefined,
  ]);
  space.store32(place, 9);
  expect([space.load32(place), persistent.regions[0]?.flush()]).toEqual([0, false]);
  persistent[Symbol.dispose]();
  expect([files.a.flushes, files.a.closed]).toEqual([0, true]);
});

test("a size makes a file, or makes it longer", () => {
  const { persistent } = attached({ file: "new", sizeBytes: 4 * mib }, { file: "b", sizeBytes: 6 * mib });
  expect([files.new?.sizeBytes, files.b.sizeBytes, persistent.sizeBytes]).toEqual([4 * mib, 6 * mib, 10 * mib]);
});

test("what cannot be persistent memory is refused, and closes what was opened", () => {
  expect(() => open({ file: "a" }, { file: "nowhere" })).toThrow("nowhere: no such file");
  expect(files.a.closed).toBe(true);
  expect(() => open({ file: "odd" })).toThrow("odd: its size, 5000 bytes, is no whole number of 2 MiB");
  expect(() => open({ file: "b", sizeBytes: 4 * mib, readOnly: true })).toThrow("b: it is shorter than size says");
});
