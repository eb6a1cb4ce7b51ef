import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { DiskConfig, SavedDisk } from "#devices";
import { nodeDiskHost } from "../host/disk-files.ts";
import type { Disk } from "./disk.ts";
import { freeze } from "./frozen.ts";
import { filesBelow, openDisk } from "./open.ts";

const folder = mkdtempSync(join(tmpdir(), "memvisor-frozen-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let names = 0;
const name = (): string => join(folder, `${names++}.img`);
const sizeBytes = 1 << 20;

/** Every sector its own number. */
function newBase(): string {
  const file = name();
  writeFileSync(
    file,
    Uint8Array.from({ length: sizeBytes }, (_, n) => 1 + ((n >> 9) % 251)),
  );
  return file;
}

/** Freezes a disk into a file of its own, behind something else. */
function frozen(disk: Disk, base: Disk | undefined): SavedDisk {
  const snapshot = name();
  writeFileSync(snapshot, "something else");
  const file = openSync(snapshot, "r+");
  const writeAt = (offset: number, bytes: Uint8Array): void => void writeSync(file, bytes, 0, bytes.length, offset);
  const { index, end } = freeze(disk, base, { writeAt }, 8192);
  expect(end % 4096).toBe(0);
  closeSync(file);
  return { sizeBytes: disk.sizeBytes, files: filesBelow(base), index, snapshot };
}

const sector = (disk: Disk, n: number): number => {
  const bytes = new Uint8Array(512);
  disk.read(512 * n, [bytes]);
  expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
  return bytes[0] as number;
};
const write = (disk: Disk, n: number, value: number): void => disk.write(512 * n, [new Uint8Array(512).fill(value)]);
const open = (config: DiskConfig): Disk => openDisk(config, nodeDiskHost);

test("a machine's overlay goes on over what was frozen, again and again; what is written then is its own", () => {
  const file = newBase();
  const first = open({ file, overlay: true });
  write(first, 300, 99);
  const saved = frozen(first, first.below);
  write(first, 301, 98);
  const second = open({ file, overlay: true, saved });
  expect([299, 300, 301, 302, 1000].map((n) => sector(second, n))).toEqual([49, 99, 51, 52, 248]);
  write(second, 302, 97);
  write(second, 1000, 96);
  // Base and frozen disk lie below it.
  const savedAgain = frozen(second, second.below?.below);
  for (const disk of [first, second]) disk.close();
  const third = open({ file, overlay: true, saved: savedAgain });
  expect([299, 300, 301, 302, 1000].map((n) => sector(third, n))).toEqual([49, 99, 51, 97, 96]);
  third.close();
  expect(savedAgain.index?.count).toBe(2);
});

test("zeros written over a base are zeros", () => {
  const file = newBase();
  const disk = open({ file, overlay: true });
  disk.write(65536, [new Uint8Array(65536)]);
  const again = open({ file, overlay: true, saved: frozen(disk, disk.below) });
  expect([127, 128, 255, 256].map((n) => sector(again, n))).toEqual([128, 0, 0, 6]);
  for (const each of [disk, again]) each.close();
});

test("a disk without a base is frozen whole, its zeros left out, and its file is not needed any more", () => {
  const file = name();
  writeFileSync(file, "");
  truncateSync(file, sizeBytes + 700);
  const disk = open({ file });
  write(disk, 5, 77);
  write(disk, (1 << 11) + 1, 78);
  const saved = frozen(disk, undefined);
  disk.close();
  expect(saved.index?.count).toBe(2);
  rmSync(file);
  const again = open({ file, saved });
  expect([again.sizeBytes, sector(again, 5), sector(again, 6), sector(again, (1 << 11) + 1)]).toEqual([
    (1 << 20) + 1024,
    77,
    0,
    78,
  ]);
  again.close();
});

test("a base that was changed since is refused by name", () => {
  const file = newBase();
  const disk = open({ file, overlay: true });
  const saved = frozen(disk, disk.below);
  disk.close();
  utimesSync(file, new Date(), new Date());
  expect(() => open({ file, overlay: true, saved })).toThrow(`${file}: was changed after the snapshot was taken`);
  expect(() => open({ file, readOnly: true, saved: { sizeBytes, files: saved.files } })).toThrow("was changed");
  rmSync(file);
  expect(() => open({ file, overlay: true, saved })).toThrow("no such file");
});

test("wrong bytes are an error of what reads them", () => {
  const file = newBase();
  const disk = open({ file, overlay: true });
  write(disk, 1, 99);
  const saved = frozen(disk, disk.below);
  disk.close();
  const damage = (offset: number): void => {
    const fd = openSync(saved.snapshot as string, "r+");
    writeSync(fd, Uint8Array.of(1), 0, 1, offset);
    closeSync(fd);
  };
  damage(8192 + 700);
  const damaged = open({ file, overlay: true, saved });
  expect(sector(damaged, 200)).toBe(201);
  expect(() => sector(damaged, 1)).toThrow("the snapshot is damaged where it has a disk's part 0");
  damaged.close();
  damage((saved.index?.offset ?? 0) + 5);
  expect(() => open({ file, overlay: true, saved })).toThrow("the index of a disk in the snapshot is damaged");
});
