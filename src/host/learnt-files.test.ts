import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withLearnt } from "./learnt-files.ts";

let folder: string;
let kernel: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "memvisor-learnt-"));
  kernel = join(folder, "vmlinux");
  await writeFile(kernel, "a kernel");
});
afterEach(() => rm(folder, { recursive: true }));

const fileFor = async (changes: object = {}): Promise<string | undefined> =>
  (await withLearnt({ kernel, ...changes }, join(folder, "learnt"))).learnt;

test("a kernel has one file for its boots, and with another initramfs another one", async () => {
  const first = await fileFor();
  expect(first).toBeDefined();
  expect(await fileFor()).toBe(first);
  expect(await fileFor({ initrd: kernel })).not.toBe(first);
  await writeFile(kernel, "another kernel of that name");
  expect(await fileFor()).not.toBe(first);
});

test("what has no name, is encrypted or is not there has none", async () => {
  expect(await fileFor({ kernel: new Uint8Array(8) })).toBe(undefined);
  expect(await fileFor({ initrd: new Uint8Array(8) })).toBe(undefined);
  expect(await fileFor({ memoryBacking: "encrypted" })).toBe(undefined);
  expect(await fileFor({ kernel: join(folder, "nothing") })).toBe(undefined);
});

test("the eldest file gives way to the ninth", async () => {
  await fileFor();
  const learnt = join(folder, "learnt");
  for (let n = 0; n < 8; n++) {
    const name = join(learnt, `${n}.blocks`);
    await writeFile(name, "");
    await utimes(name, 1000 + n, 1000 + n);
  }
  const ninth = await fileFor();
  expect((await readdir(learnt)).sort()).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => `${n}.blocks`));
  expect(basename(ninth as string)).toMatch(/^[0-9a-f]{32}\.blocks$/);
});
