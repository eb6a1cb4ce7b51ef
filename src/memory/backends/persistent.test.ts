import { expect, test } from "vitest";
import { checkLaws } from "./laws.ts";
import { MemoryObjectError } from "./memory-object.ts";
import { type PageFile, PersistentPages } from "./persistent.ts";

/** A file in memory: `safe` is what a crash of the host would leave. */
class TestFile implements PageFile {
  readonly name = "test.img";
  bytes: Uint8Array;
  safe: Uint8Array;
  failing = false;
  closed = false;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.safe = this.bytes.slice();
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  read(offset: number, target: Uint8Array): void {
    target.fill(0);
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  write(offset: number, source: Uint8Array): void {
    if (this.failing) throw new Error("test.img: the host's disk is full");
    if (this.bytes.length < offset + source.length) this.resize(offset + source.length);
    this.bytes.set(source, offset);
  }

  flush(): void {
    this.safe = this.bytes.slice();
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

test("a file's pages keep the laws", () => {
  for (let seed = 1; seed <= 4; seed++) {
    let file = new TestFile(0);
    const wrong = checkLaws(
      (pageCount) => {
        file = new TestFile(pageCount * 4096);
        return new PersistentPages(file);
      },
      {
        seed,
        steps: 400,
        fail: (on) => {
          file.failing = on;
        },
      },
    );
    expect([wrong, file.closed]).toEqual([undefined, true]);
  }
});

test("a page is in the file when it was written, and safe when it was flushed", () => {
  const file = new TestFile(8192);
  const pages = new PersistentPages(file);
  pages.write(1, new Uint8Array(4096).fill(7));
  expect([file.bytes[4096], file.safe[4096]]).toEqual([7, 0]);
  pages.flush();
  expect(file.safe[4096]).toBe(7);
});

test("a file whose end is in a page has that page, and what is past the end is a hole until it is written", () => {
  const file = new TestFile(4100);
  file.bytes.fill(9);
  const pages = new PersistentPages(file, 4);
  const target = new Uint8Array(4096);
  pages.read(1, target);
  expect([pages.has(1), pages.has(2), target[3], target[4]]).toEqual([true, false, 9, 0]);
  pages.write(3, target);
  expect([pages.has(3), file.sizeBytes]).toEqual([true, 16384]);
});

test("the host's trouble is the object's error", () => {
  const file = new TestFile(4096);
  file.failing = true;
  expect(() => new PersistentPages(file).write(0, new Uint8Array(4096))).toThrow(MemoryObjectError);
});
