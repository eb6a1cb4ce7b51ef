import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseQcow2Header } from "#disk";
import { MemoryFile } from "./memory-file.ts";
import { emptyDisk } from "./new-disk.ts";

const gib = 2 ** 30;
const hasJudges = ["qemu-img", "e2fsck"].every((tool) => spawnSync(tool, ["-V"]).error === undefined);

test("a new disk has its size, and takes little room", async () => {
  const bytes = await emptyDisk("disk.qcow2", 4 * gib);
  expect(parseQcow2Header(new MemoryFile("disk.qcow2", bytes), false).sizeBytes).toBe(4 * gib);
  expect(bytes.length).toBeLessThan(16 * 2 ** 20);
});

test.skipIf(!hasJudges)("qemu-img and e2fsck find no fault with a new disk", async () => {
  const folder = await mkdtemp(join(tmpdir(), "memvisor-disk-"));
  try {
    const [packed, raw] = [join(folder, "disk.qcow2"), join(folder, "disk.raw")];
    await writeFile(packed, await emptyDisk("disk.qcow2", gib));
    execFileSync("qemu-img", ["check", packed]);
    execFileSync("qemu-img", ["convert", "-O", "raw", packed, raw]);
    expect(spawnSync("e2fsck", ["-f", "-n", raw]).status).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
