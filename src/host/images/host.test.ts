import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { collect } from "#images";
import { cacheFolder } from "./cache.ts";
import { decompress, xzSize } from "./decompress.ts";
import { debianMirrors, readHostArchives } from "./host-archives.ts";

async function apt(files: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), "memvisor-apt-"));
  await mkdir(join(folder, "sources.list.d"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const found = debianMirrors(await readHostArchives(folder));
  await rm(folder, { recursive: true });
  return found;
}

test("the host's mirrors are found in both of apt's formats", async () => {
  const main = { uri: "http://a.test/debian", suite: "bookworm", signedBy: "/keys/k.gpg" };
  const security = { uri: "http://a.test/security", suite: "bookworm-security" };
  expect(
    await apt({
      "sources.list": "# deb http://no.test/ bookworm main\ndeb http://b.test/other nodistro main\n",
      "sources.list.d/a.list":
        "deb [arch=amd64 signed-by=/keys/k.gpg] http://a.test/debian bookworm main contrib # note\ndeb http://a.test/security bookworm-security main\n",
    }),
  ).toEqual({ main, security });
  expect(
    await apt({
      "sources.list.d/debian.sources":
        "Types: deb deb-src\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /keys/k.gpg\n\n" +
        "Types: deb\nURIs: http://a.test/security\nSuites: bookworm-security\nComponents: main\n\n" +
        "Enabled: no\nTypes: deb\nURIs: http://no.test/\nSuites: trixie\nComponents: main\n",
    }),
  ).toEqual({ main, security });
});

test("a host with no Debian archive, or one on a disc, has no mirror", async () => {
  expect(await apt({})).toEqual({});
  expect(
    await apt({ "sources.list": "deb cdrom:[Debian]/ bookworm main\ndeb http://u.test/ubuntu noble main\n" }),
  ).toEqual({});
});

test("the cache lies where the platform keeps such things, or where it is told", () => {
  expect(cacheFolder({ MEMVISOR_CACHE: "/x" }, "linux")).toBe("/x");
  expect(cacheFolder({ XDG_CACHE_HOME: "/x" }, "linux")).toBe("/x/memvisor");
  expect(cacheFolder({}, "linux")).toBe(join(homedir(), ".cache/memvisor"));
  expect(cacheFolder({}, "darwin")).toBe(join(homedir(), "Library/Caches/memvisor"));
  expect(cacheFolder({ LOCALAPPDATA: "/local" }, "win32")).toBe("/local/memvisor");
});

const words = Buffer.from("words of the archive ".repeat(20_000));

test("each compression gives back what went in, and refuses what is broken", async () => {
  for (const [compression, packed] of [
    ["gzip", gzipSync(words)],
    ["zstd", zstdCompressSync(words)],
  ] as const) {
    expect(Buffer.from(await collect(decompress(compression, packed))).equals(words)).toBe(true);
    await expect(collect(decompress(compression, packed.subarray(0, packed.length >> 1)))).rejects.toThrow("broken");
  }
  await expect(collect(decompress("xz", Buffer.alloc(100)))).rejects.toThrow("broken");
  await expect(collect(decompress("xz", Buffer.alloc(2 << 20)))).rejects.toThrow("broken");
});

const hasXz = (() => {
  try {
    return execFileSync("xz", ["--version"]).length > 0;
  } catch {
    return false;
  }
})();

test.skipIf(!hasXz)("XZ is read by the system's program where it pays, else by our decoder", async () => {
  const noise = Buffer.from(Uint8Array.from({ length: 3 << 20 }, (_, i) => Math.imul(i, i * 2654435761) >>> 24));
  for (const data of [words, noise]) {
    const packed = execFileSync("xz", ["-c", "--block-size=1MiB"], { input: data, maxBuffer: 1 << 26 });
    expect(xzSize(packed)).toBe(data.length);
    expect(Buffer.from(await collect(decompress("xz", packed))).equals(data)).toBe(true);
  }
});
