import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { haveQemuImg, qemuImg } from "../../../test/qemu-img.ts";
import { nodeDiskHost } from "../../host/disk-files.ts";
import type { Disk } from "../disk.ts";
import { openDisk } from "../open.ts";

const folder = mkdtempSync(join(tmpdir(), "memvisor-qcow2-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let names = 0;
const newName = (ending: string): string => join(folder, `${names++}.${ending}`);

const sectorBytes = 512;
const mib = 1 << 20;

/** The same numbers from the same seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A disk, and what it must hold. */
class Checked {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly #random: (below: number) => number;
  #disk: Disk;

  constructor(file: string, bytes: Uint8Array, seed: number) {
    this.file = file;
    this.bytes = bytes;
    this.#random = randomFrom(seed);
    this.#disk = openDisk({ file }, nodeDiskHost);
  }

  /** Something at random: pieces of 512 bytes to 192 KiB, read, written, zeroed, given up. */
  act(): void {
    const random = this.#random;
    const sectors = 1 + random(random(4) === 0 ? 384 : 16);
    const offset = random(this.bytes.length / sectorBytes - sectors) * sectorBytes;
    const length = sectors * sectorBytes;
    const here = this.bytes.subarray(offset, offset + length);
    switch (random(12)) {
      case 0:
        this.#disk.writeZeroes(offset, length, random(2) === 0);
        here.fill(0);
        break;
      case 1:
        // What a discarded range reads as is the disk's to say.
        this.#disk.discard(offset, length);
        this.#disk.read(offset, [here]);
        break;
      case 2:
        this.#disk.flush();
        break;
      case 3:
        if (random(8) === 0) this.reopen();
        break;
      case 4:
      case 5:
      case 6: {
        const found = new Uint8Array(length);
        const cut = random(length);
        this.#disk.read(offset, [found.subarray(0, cut), found.subarray(cut)]);
        if (Buffer.compare(found, here) !== 0) throw new Error(`bytes at ${offset} differ`);
        break;
      }
      default: {
        for (let n = 0; n < length; n++) here[n] = random(256);
        const cut = random(length);
        this.#disk.write(offset, [here.slice(0, cut), here.slice(cut)]);
      }
    }
  }

  reopen(): void {
    this.#disk.close();
    this.#disk = openDisk({ file: this.file }, nodeDiskHost);
  }

  /** By another program: the file is consistent, nothing leaks, and it holds what it must. */
  judge(): void {
    this.#disk.close();
    const raw = newName("raw");
    writeFileSync(raw, this.bytes);
    expect(qemuImg("check", "-f", "qcow2", this.file)).toContain("No errors were found");
    expect(qemuImg("compare", "-f", "qcow2", "-F", "raw", this.file, raw)).toContain("Images are identical");
    rmSync(raw);
  }
}

function noise(length: number, seed: number): Uint8Array {
  const random = randomFrom(seed);
  // Half of it compresses.
  return Uint8Array.from({ length }, (_, n) => ((n >> 16) % 3 === 0 ? 0 : (n >> 15) % 2 === 0 ? random(256) : n >> 9));
}

describe.skipIf(!haveQemuImg)("qemu-img made it, and finds no fault with what we write:", () => {
  const shapes: Record<string, string> = {
    "clusters of 64 KiB": "compat=1.1",
    "clusters of 512 bytes": "cluster_size=512",
    "clusters of 4 KiB, refcounts of a bit": "cluster_size=4096,refcount_bits=1",
    "clusters of 2 MiB, refcounts of 64 bits": "cluster_size=2M,refcount_bits=64",
    "version 2": "compat=0.10",
    "everything there from the start": "preallocation=metadata",
  };
  for (const [name, options] of Object.entries(shapes)) {
    test(name, () => {
      const file = newName("qcow2");
      qemuImg("create", "-q", "-f", "qcow2", "-o", options, file, "8M");
      const disk = new Checked(file, new Uint8Array(8 * mib), 1);
      for (let n = 0; n < 250; n++) disk.act();
      disk.judge();
    });
  }

  const bases: Record<string, string[]> = {
    "compressed clusters": ["-c"],
    "compressed clusters, by zstd": ["-c", "-o", "compression_type=zstd"],
    "compressed clusters of 4 KiB": ["-c", "-o", "cluster_size=4096"],
  };
  for (const [name, options] of Object.entries(bases)) {
    test(name, () => {
      const [raw, file] = [newName("raw"), newName("qcow2")];
      const bytes = noise(4 * mib, 2);
      writeFileSync(raw, bytes);
      qemuImg("convert", "-f", "raw", "-O", "qcow2", ...options, raw, file);
      const disk = new Checked(file, bytes, 3);
      for (let n = 0; n < 150; n++) disk.act();
      disk.judge();
    });
  }

  test("a backing file, shorter than the disk, stays as it was", () => {
    const [raw, file] = [newName("raw"), newName("qcow2")];
    const base = noise(3 * mib, 4);
    writeFileSync(raw, base);
    qemuImg("create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", file, "8M");
    const bytes = new Uint8Array(8 * mib);
    bytes.set(base);
    const disk = new Checked(file, bytes, 5);
    for (let n = 0; n < 200; n++) disk.act();
    disk.judge();
    expect(Buffer.compare(readFileSync(raw), base)).toBe(0);
  });

  test("a snapshot in the file stays as it was", () => {
    const [raw, file] = [newName("raw"), newName("qcow2")];
    const bytes = noise(4 * mib, 6);
    writeFileSync(raw, bytes);
    qemuImg("convert", "-f", "raw", "-O", "qcow2", raw, file);
    qemuImg("snapshot", "-c", "before", file);
    const disk = new Checked(file, bytes.slice(), 7);
    for (let n = 0; n < 150; n++) disk.act();
    disk.judge();
    qemuImg("snapshot", "-a", "before", file);
    expect(qemuImg("compare", "-f", "qcow2", "-F", "raw", file, raw)).toContain("Images are identical");
  });

  test("an overlay is a qcow2 file over its base", () => {
    const [raw, overlay] = [newName("raw"), newName("qcow2")];
    writeFileSync(raw, noise(2 * mib, 8));
    const disk = openDisk({ file: raw, overlay }, nodeDiskHost);
    disk.write(mib, [new Uint8Array(1024).fill(7)]);
    disk.close();
    expect(qemuImg("check", "-f", "qcow2", overlay)).toContain("No errors were found");
    const flat = newName("raw");
    qemuImg("convert", "-O", "raw", overlay, flat);
    const expected = noise(2 * mib, 8);
    expected.fill(7, mib, mib + 1024);
    expect(Buffer.compare(readFileSync(flat), expected)).toBe(0);
    expect(Buffer.compare(readFileSync(raw), noise(2 * mib, 8))).toBe(0);
  });

  test("a process that ends in the middle leaves a file without errors, and all that was flushed", () => {
    const file = newName("qcow2");
    qemuImg("create", "-q", "-f", "qcow2", "-o", "cluster_size=4096", file, "8M");
    const disk = openDisk({ file }, nodeDiskHost);
    disk.write(mib, [new Uint8Array(100 * 4096).fill(1)]);
    disk.discard(mib, 10 * 4096);
    disk.flush();
    disk.discard(mib + 20 * 4096, 10 * 4096);
    disk.write(4 * mib, [new Uint8Array(100 * 4096).fill(2)]);
    // A copy is what the next process would find.
    const found = newName("qcow2");
    writeFileSync(found, readFileSync(file));
    disk.close();
    const check = JSON.parse(qemuImgCheck(found)) as { "check-errors": number; corruptions?: number };
    expect([check["check-errors"], check.corruptions ?? 0]).toEqual([0, 0]);
    const bytes = new Uint8Array(4096);
    const after = openDisk({ file: found, readOnly: true }, nodeDiskHost);
    after.read(mib + 50 * 4096, [bytes]);
    after.close();
    expect(bytes[0]).toBe(1);
  });
});

/** Its status tells of leaks, too. */
function qemuImgCheck(file: string): string {
  try {
    return qemuImg("check", "-f", "qcow2", "--output", "json", file);
  } catch (error) {
    return /\{[\s\S]*\}/.exec((error as Error).message)?.[0] ?? "";
  }
}

describe("a file that is none of ours is refused by name:", () => {
  const header = (change: (view: DataView) => void): string => {
    const file = newName("qcow2");
    const overlay = openDisk({ file: base(), overlay: file }, nodeDiskHost);
    overlay.close();
    const bytes = readFileSync(file);
    change(new DataView(bytes.buffer, bytes.byteOffset));
    writeFileSync(file, bytes);
    return file;
  };
  const base = (): string => {
    const raw = newName("raw");
    writeFileSync(raw, new Uint8Array(mib));
    return raw;
  };
  const wrong: Record<string, [change: (view: DataView) => void, message: RegExp]> = {
    "no qcow2 at all": [(view) => view.setUint32(0, 0), /no qcow2 file/],
    "a later version": [(view) => view.setUint32(4, 4), /version 4/],
    "clusters of 4 GiB": [(view) => view.setUint32(20, 32), /clusters of 2\^32/],
    encryption: [(view) => view.setUint32(32, 1), /encrypted/],
    "data in another file": [(view) => view.setUint32(76, 4), /another file/],
    "a feature that nobody knows": [(view) => view.setUint32(76, 1 << 20), /not known/],
    "not closed properly": [(view) => view.setUint32(76, 1), /qemu-img check -r all/],
    "a first table that is too small": [(view) => view.setUint32(24, 1 << 20), /first table/],
    "a first table nowhere": [(view) => view.setUint32(44, 0), /first table/],
    "a refcount table at an odd place": [(view) => view.setUint32(52, 12345), /refcount table/],
    "a backing file that is not there": [(view) => view.setUint8(140, 0x41), /no such file/],
  };
  for (const [name, [change, message]] of Object.entries(wrong)) {
    test(name, () => expect(() => openDisk({ file: header(change) }, nodeDiskHost)).toThrow(message));
  }

  test("a backing file that is the file itself", () => {
    const file = newName("qcow2");
    const raw = base();
    openDisk({ file: raw, overlay: file }, nodeDiskHost).close();
    const bytes = readFileSync(file);
    const at = bytes.indexOf(raw);
    bytes.write(file, at, "latin1");
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(16, file.length);
    bytes.write("qcow2", bytes.indexOf("raw"), "latin1");
    writeFileSync(file, bytes);
    expect(() => openDisk({ file, readOnly: true }, nodeDiskHost)).toThrow(/behind each other|format/);
  });

  test("data where a table lies is an error of that request, not a change of the table", () => {
    const file = newName("qcow2");
    const disk = openDisk({ file: base(), overlay: file }, nodeDiskHost);
    disk.write(0, [new Uint8Array(65536)]);
    disk.close();
    const bytes = readFileSync(file);
    // The one L2 table is the first cluster after the L1 table; its first entry now names the header.
    const l2 = bytes.indexOf(Buffer.from([0x80, 0, 0, 0, 0]), 4 * 65536);
    bytes.writeUInt32BE(0x8000_0000, l2);
    bytes.writeUInt32BE(0x10000, l2 + 4);
    writeFileSync(file, bytes);
    const again = openDisk({ file }, nodeDiskHost);
    expect(() => again.write(0, [new Uint8Array(512)])).toThrow(/damaged/);
    again.close();
  });
});
