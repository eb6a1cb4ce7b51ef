import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { builderVersion } from "#images";
import { type Member, tarOf } from "../../images/archive/fixtures.ts";
import { importImage } from "./import.ts";
import { listImages, openImage, removeImage } from "./stored.ts";

const hasDebugfs = spawnSync("debugfs", ["-V"]).status === 0;
let folder = "";
let cache = "";
const file = (...parts: string[]): string => join(folder, ...parts);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "memvisor-import-"));
  cache = file("cache");
  const base = join(cache, "images/debian-12-cloud");
  mkdirSync(base, { recursive: true });
  for (const name of ["kernel", "initrd.cpio"]) writeFileSync(join(base, name), name);
  const record = { reference: "debian-12-cloud", builderVersion, kernelVersion: "6.1", extras: [], packages: [] };
  writeFileSync(join(base, "image.json"), JSON.stringify(record));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sizeBytes = 256 * 2 ** 20;
const importFrom = (name: string, source: string) => importImage(name, source, { cache, diskBytes: sizeBytes });
/** What the disk says of a path, as debugfs prints it. */
const debugfs = (path: string | undefined, command: string): string =>
  execFileSync("debugfs", ["-R", command, path ?? ""], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

const members: Member[] = [
  { path: "./etc", type: "5", mode: 0o755 },
  { path: "etc/hello", data: "hello", mode: 0o640 },
  { path: "bin/sh", type: "2", target: "busybox" },
];

test.skipIf(!hasDebugfs).each([
  ["plain", (bytes: Uint8Array) => bytes],
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
])("a tar archive (%s) becomes a disk, listed, opened and removed by its name", async (kind, pack) => {
  writeFileSync(file(`${kind}.tar`), pack(tarOf(members)));
  const { diskPath } = await importFrom(kind, file(`${kind}.tar`));
  expect(debugfs(diskPath, "cat /etc/hello")).toBe("hello");
  expect(spawnSync("e2fsck", ["-fn", diskPath ?? ""]).status).toBe(0);
  expect((await listImages({ cache })).some((each) => each.reference.name === kind && each.image)).toBe(true);
  expect((await openImage(kind, { cache })).imported?.kernelImage).toBe("debian-12-cloud");
  expect(await removeImage(kind, { cache })).toBe(true);
  await expect(openImage(kind, { cache })).rejects.toThrow("no image is called");
});

test.skipIf(!hasDebugfs)("a folder becomes a disk whose files belong to root", async () => {
  mkdirSync(file("tree/usr/bin"), { recursive: true });
  writeFileSync(file("tree/usr/bin/tool"), "#!", { mode: 0o755 });
  symlinkSync("usr/bin", file("tree/bin"));
  const { diskPath } = await importFrom("folder", file("tree"));
  expect(debugfs(diskPath, "stat /usr/bin/tool")).toMatch(/Mode: +0755[\s\S]*User: +0/);
  expect(debugfs(diskPath, "stat /bin")).toContain('"usr/bin"');
});

/** An OCI layout of these layers; `change` may spoil a blob. */
function layoutOf(name: string, layers: readonly (readonly Member[])[], change = (_: string) => {}): string {
  const blobs = file(name, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Uint8Array): string => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(blobs, digest), bytes);
    return `sha256:${digest}`;
  };
  const json = (value: unknown): string => put(Buffer.from(JSON.stringify(value)));
  const config = json({ config: { Env: ["A=b=c"], Entrypoint: ["/bin/app"], Cmd: ["-x"], WorkingDir: "/srv" } });
  const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
  const manifest = json({
    config: { digest: config },
    layers: layers.map((each) => ({ mediaType, digest: put(gzipSync(tarOf(each))) })),
  });
  const other = { digest: `sha256:${"0".repeat(64)}`, platform: { os: "linux", architecture: "arm64" } };
  const own = { digest: manifest, platform: { os: "linux", architecture: "amd64" } };
  writeFileSync(file(name, "index.json"), JSON.stringify({ manifests: [other, own] }));
  change(blobs);
  return file(name);
}

test.skipIf(!hasDebugfs)("the layers of an OCI image lie over each other, and take away what they say", async () => {
  const layout = layoutOf("layout", [
    [
      { path: "a/one", data: "1" },
      { path: "a/two", data: "2" },
      { path: "b/old", data: "old" },
      { path: "c", data: "below" },
    ],
    [{ path: "a/.wh.one" }, { path: "b/new", data: "new" }, { path: "b/.wh..wh..opq" }, { path: "c", data: "above" }],
  ]);
  const { diskPath, disk } = await importFrom("layered", layout);
  expect(debugfs(diskPath, "ls -p /a")).not.toContain("/one/");
  expect(debugfs(diskPath, "ls -p /b")).not.toContain("/old/");
  expect(["a/two", "b/new", "c"].map((path) => debugfs(diskPath, `cat /${path}`))).toEqual(["2", "new", "above"]);
  expect(disk?.defaults).toEqual({ environment: { A: "b=c" }, command: ["/bin/app", "-x"], folder: "/srv" });
});

test("what is broken or hostile is refused by name, and no image is made of it", async () => {
  const tar = (name: string, list: readonly Member[]): string => {
    writeFileSync(file(name), tarOf(list));
    return file(name);
  };
  const spoilt = layoutOf("spoilt", [[{ path: "x", data: "1" }]], (blobs) => {
    for (const each of readdirSync(blobs)) writeFileSync(join(blobs, each), "{}");
  });
  const cases: [string, RegExp][] = [
    [tar("up.tar", [{ path: "a/../../../etc/passwd", data: "x" }]), /leaves the archive/],
    [tar("hard.tar", [{ path: "a", type: "1", target: "/etc/passwd" }]), /no file there/],
    [
      tar("circle.tar", [
        { path: "a", type: "2", target: "a" },
        { path: "a/b", data: "x" },
      ]),
      /circle of links/,
    ],
    [tar("cut.tar", []).replace("cut.tar", "none.tar"), /cannot be read/],
    [spoilt, /not what its name says/],
    [layoutOf("empty", [], (blobs) => rmSync(blobs, { recursive: true })), /not in the layout/],
  ];
  for (const [source, message] of cases) await expect(importFrom("bad", source)).rejects.toThrow(message);
  writeFileSync(file("noise.tar"), Buffer.alloc(4096, 7));
  await expect(importFrom("bad", file("noise.tar"))).rejects.toThrow("the tar archive is broken");
  await expect(importFrom("debian-12", file("up.tar"))).rejects.toThrow("choose another");
  await expect(importFrom("../bad", file("up.tar"))).rejects.toThrow("cannot be an image's name");
  await expect(openImage("bad", { cache })).rejects.toThrow("no image is called");
  expect(readdirSync(join(cache, "images"))).not.toContain("bad");
});
