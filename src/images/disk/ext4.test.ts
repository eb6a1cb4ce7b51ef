/** File systems as we write them, judged by e2fsprogs: skipped where that is not. */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { contentOf, DiskTree } from "./disk-tree.ts";
import { diskSizeFor, writeExt4 } from "./ext4.ts";

const hasTools = ["e2fsck", "debugfs"].every((tool) => spawnSync(tool, ["-V"]).status === 0);
const folder = mkdtempSync(join(tmpdir(), "memvisor-ext4-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const identity = { uuid: Uint8Array.from({ length: 16 }, (_, i) => i + 1), label: "root", made: 1_700_000_000 };
let count = 0;

async function diskOf(tree: DiskTree, sizeBytes = diskSizeFor(tree, 0)): Promise<string> {
  const path = join(folder, `${count++}.img`);
  const file = openSync(path, "w");
  ftruncateSync(file, sizeBytes);
  const writeAt = async (offset: number, bytes: Uint8Array) => void writeSync(file, bytes, 0, bytes.length, offset);
  await writeExt4(tree, sizeBytes, identity, { writeAt });
  closeSync(file);
  return path;
}

/** What the checker says; an empty text when it finds nothing wrong. */
function check(path: string): string {
  const { status, stdout } = spawnSync("e2fsck", ["-fn", path], { encoding: "utf8" });
  return status === 0 ? "" : stdout;
}

const debugfs = (path: string, command: string, encoding: BufferEncoding = "utf8"): string =>
  execFileSync("debugfs", ["-R", command, path], { encoding, stdio: ["ignore", "pipe", "ignore"], maxBuffer: 1 << 28 });

test.skipIf(!hasTools)("an empty tree is a file system without faults", async () => {
  expect(check(await diskOf(new DiskTree()))).toBe("");
});

test.skipIf(!hasTools)("files, folders, links, devices and owners are on the disk as in the tree", async () => {
  const tree = new DiskTree();
  tree.folder("etc/deep/er", { mode: 0o700, user: 70_000, group: 5 });
  tree.file("etc/hello", contentOf("hello"), { mode: 0o4755, user: 1, modified: 1_600_000_000 });
  tree.file("etc/empty", contentOf(""));
  tree.link("etc/other", "etc/hello");
  tree.symlink("short", "etc/hello");
  tree.symlink("long", `/${"x".repeat(200)}`);
  tree.device("null", "character", [1, 3], { mode: 0o666 });
  tree.device("big", "block", [259, 70_000]);
  tree.device("pipe", "fifo", [0, 0]);
  const path = await diskOf(tree);
  expect(check(path)).toBe("");
  expect(debugfs(path, "cat etc/other")).toBe("hello");
  expect(debugfs(path, "stat etc/hello")).toMatch(/Mode: +04755[\s\S]*User: +1 [\s\S]*Size: 5[\s\S]*Links: 2/);
  expect(debugfs(path, "stat etc/deep/er")).toMatch(/Mode: +0700[\s\S]*User: 70000 +Group: +5/);
  expect(debugfs(path, "stat short")).toContain('Fast link dest: "etc/hello"');
  expect(debugfs(path, "cat long")).toBe(`/${"x".repeat(200)}`);
  expect(debugfs(path, "stat null")).toContain("Device major/minor number: 01:03");
  expect(debugfs(path, "stat big")).toContain("Device major/minor number: 259:70000");
});

test.skipIf(!hasTools)(
  "folders of thousands, files across groups and many inodes are without faults",
  async () => {
    const tree = new DiskTree();
    for (let i = 0; i < 9000; i++) tree.file(`many/file-with-a-rather-long-name-${i}`, contentOf(`${i}`));
    // Five runs, more than an inode names: four groups hold some 126 MiB of it each.
    const piece = new Uint8Array(1 << 20).map((_, i) => i * 13);
    const size = 600 << 20;
    tree.file("large", {
      sizeBytes: size,
      async *read() {
        for (let i = 0; i < size >> 20; i++) yield piece;
      },
    });
    const path = await diskOf(tree);
    expect(check(path)).toBe("");
    expect(debugfs(path, "cat many/file-with-a-rather-long-name-8999")).toBe("8999");
    expect(debugfs(path, "stat large")).toMatch(/Size: 629145600[\s\S]*ETB0/);
  },
  60_000,
);

test("a disk that is too small is refused by name", async () => {
  const tree = new DiskTree();
  tree.file("large", { sizeBytes: 300 << 20, read: async function* () {} });
  await expect(writeExt4(tree, 256 << 20, identity, { writeAt: async () => {} })).rejects.toThrow("--size");
});

test("a path follows the tree's own links and never leaves it", () => {
  const tree = new DiskTree();
  tree.symlink("lib", "usr/lib");
  tree.symlink("out", "../../../../etc");
  tree.symlink("circle", "circle/x");
  tree.file("lib/a", contentOf("1"));
  tree.file("out/passwd", contentOf("2"));
  expect(tree.find("usr/lib/a")?.kind).toBe("file");
  expect(tree.find("etc/passwd")?.kind).toBe("file");
  expect(() => tree.file("circle/y", contentOf(""))).toThrow("circle of links");
  expect(() => tree.file("a/../../b", contentOf(""))).toThrow("leaves the tree");
  expect(() => tree.link("x", "nothing")).toThrow("no file there");
  expect(() => tree.file("n".repeat(256), contentOf(""))).toThrow("too long");
});

test("a later entry takes the place of an earlier one, and a folder keeps what is in it", () => {
  const tree = new DiskTree();
  tree.file("a/b", contentOf("1"));
  tree.folder("a", { mode: 0o700 });
  tree.symlink("a/b", "elsewhere");
  expect([tree.find("a")?.owner.mode, tree.find("a/b")?.kind]).toEqual([0o700, "symlink"]);
  tree.file("a", contentOf("now a file"));
  expect(tree.find("a/b")).toBeUndefined();
});
