import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Gpa } from "#address";
import { readSnapshot, SnapshotError, writeSnapshot } from "#snapshot";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { openedBytes, type RawFile, SealedFile } from "./sealed-file.ts";
import { createFile, openFile } from "./snapshot-file.ts";

let random = 77;
/** From 0 to n - 1 (xorshift32). */
function below(n: number): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) % n;
}

/** A file in memory. */
class Bytes implements RawFile {
  readonly name = "a.snapshot";
  bytes = Buffer.alloc(0);

  read(offset: number, target: Uint8Array): number {
    return this.bytes.copy(target, 0, Math.min(offset, this.bytes.length));
  }

  writeAt(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.bytes.length)
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(offset + bytes.length - this.bytes.length)]);
    this.bytes.set(bytes, offset);
  }
}

const unit = 4124;
const sizeBytes = 64 * 4096;

/** A file of random bytes, written in random pieces, some of them several times. */
function written(): { file: Bytes; model: Uint8Array } {
  const file = new Bytes();
  const sealed = SealedFile.create(file, "a secret");
  const model = new Uint8Array(sizeBytes);
  const write = (offset: number, length: number): void => {
    const bytes = Uint8Array.from({ length }, () => below(256));
    sealed.writeAt(offset, bytes);
    model.set(bytes, offset);
  };
  for (let at = 0; at < sizeBytes; at += 8192) write(at, 8192);
  for (let n = 0; n < 200; n++) {
    const offset = below(sizeBytes - 10_000);
    write(offset, 1 + below(10_000));
  }
  sealed.finish();
  return { file, model };
}

describe("a sealed file", () => {
  test("gives back what was written last, wherever it is read", () => {
    const { file, model } = written();
    expect(openedBytes(file.bytes.length)).toBe(sizeBytes);
    const sealed = SealedFile.open(file, "a secret");
    for (let n = 0; n < 300; n++) {
      const offset = below(sizeBytes);
      const target = new Uint8Array(1 + below(20_000));
      const expected = model.subarray(offset, offset + target.length);
      expect(sealed.read(offset, target)).toBe(expected.length);
      expect(Buffer.compare(target.subarray(0, expected.length), expected)).toBe(0);
    }
  });

  test("is refused with another secret, and with any other header", () => {
    const { file } = written();
    expect(() => SealedFile.open(file, "another secret")).toThrow("a.snapshot: it was encrypted with another key");
    for (let at = 0; at < 48; at++) {
      file.bytes[at] ^= 4;
      expect(() => SealedFile.open(file, "a secret")).toThrow(SnapshotError);
      file.bytes[at] ^= 4;
    }
  });

  test("10,000 changes of its units, and units of another place, time or file, are all noticed", () => {
    const { file } = written();
    const other = written().file;
    const attacks: readonly ((at: number) => void)[] = [
      (at) => void (file.bytes[at + below(unit)] ^= 1 << below(8)),
      (at) =>
        void file.bytes.copy(file.bytes, at, at === 4096 ? at + unit : at - unit, at === 4096 ? at + 2 * unit : at),
      (at) => void other.bytes.copy(file.bytes, at, at, at + unit),
      (at) => void file.bytes.fill(0, at, at + unit),
    ];
    const sealed = SealedFile.open(file, "a secret");
    let noticed = 0;
    for (let n = 0; n < 10_000; n++) {
      const number = below(64);
      const at = 4096 + number * unit;
      const right = Buffer.from(file.bytes.subarray(at, at + unit));
      attacks[n % attacks.length](at);
      try {
        sealed.read(number * 4096, new Uint8Array(4096));
      } catch (error) {
        if (error instanceof SnapshotError && error.message.includes(`damaged at unit ${number}`)) noticed++;
      }
      right.copy(file.bytes, at);
    }
    expect(noticed).toBe(10_000);
  });
});

test("10,000 canaries of a machine are nowhere in its encrypted snapshot, with which it goes on; in another they are", () => {
  const folder = mkdtempSync(join(tmpdir(), "memvisor-sealed-"));
  try {
    const key = join(folder, "key");
    writeFileSync(key, "correct horse\n");
    const spin = Uint8Array.of(0xeb, 0xfe);
    const { machine } = tinyMachine(spin);
    machine.runUntil(1000n);
    for (let n = 0; n < 10_000; n++)
      machine.parts.memory.write((0x100_0000 * 2 + n * 512) as Gpa, Buffer.from(`canary-${n}.`));
    const save = (name: string, secret?: string): string => {
      const path = join(folder, name);
      const file = createFile(path, secret);
      writeSnapshot(machine, { words: "canary-owner" }, file);
      file.finish();
      return path;
    };
    const [plain, sealed] = [save("plain"), save("sealed", key)];
    expect(readFileSync(plain).toString("latin1").split("canary-").length - 1).toBe(10_001);
    expect(readFileSync(sealed).includes("canary-")).toBe(false);
    expect(statSync(sealed).mode & 0o077).toBe(0);
    using file = openFile(sealed, key);
    const restored = tinyMachine(spin, {}, readSnapshot(file).resume).machine;
    expect(restored.digest()).toEqual(machine.digest());
    expect(() => openFile(sealed)).toThrow(`${sealed}: it is encrypted: name the file with its key`);
    writeFileSync(key, "incorrect\n");
    expect(() => openFile(sealed, key)).toThrow("it was encrypted with another key");
    expect(() => openFile(sealed, join(folder, "none"))).toThrow("the key ");
    // One that is not encrypted is what it is.
    openFile(plain, key)[Symbol.dispose]();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
