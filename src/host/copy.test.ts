import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Member, tarOf } from "../images/archive/fixtures.ts";
import { packPath, unpackTo } from "./copy.ts";

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "memvisor-copy-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function* one(bytes: Uint8Array) {
  yield bytes;
}

/** Unpacks what a guest sent; the error's text, or what is there then. */
async function unpacked(name: string, members: readonly Member[]): Promise<string[] | string> {
  const target = join(folder, name);
  mkdirSync(target);
  try {
    await unpackTo(one(tarOf(members)), target);
  } catch (error) {
    return (error as Error).message;
  }
  return (readdirSync(target, { recursive: true }) as string[]).sort();
}

test("a folder that is packed and unpacked is the same", async () => {
  const source = join(folder, "source");
  const deep = `${"long-name-".repeat(9)}/${"deeper-".repeat(9)}`;
  mkdirSync(join(source, deep), { recursive: true });
  writeFileSync(join(source, deep, "file"), "x".repeat(70_000), { mode: 0o750 });
  writeFileSync(join(source, "empty"), "");
  symlinkSync("empty", join(source, "link"));
  await unpackTo(packPath(source, "source"), join(folder, "copy"));
  const list = (path: string) => (readdirSync(path, { recursive: true }) as string[]).sort();
  expect(list(join(folder, "copy"))).toEqual(list(source));
  expect(readFileSync(join(folder, "copy", deep, "file"), "utf8")).toBe("x".repeat(70_000));
  expect(statSync(join(folder, "copy", deep, "file")).mode & 0o777).toBe(0o750);
  expect(readlinkSync(join(folder, "copy/link"))).toBe("empty");
});

test("a file takes the name it is given, or keeps its own in a folder", async () => {
  const members = [{ path: "file", data: "1" }];
  await unpackTo(one(tarOf(members)), join(folder, "renamed"));
  expect(readFileSync(join(folder, "renamed"), "utf8")).toBe("1");
  expect(await unpacked("kept", members)).toEqual(["file"]);
});

test("what the sender says at its end, behind the archive, is heard", async () => {
  async function* failing() {
    yield tarOf([{ path: "file", data: "1" }]);
    throw new Error("another file cannot be read");
  }
  async function* endless() {
    yield tarOf([{ path: "file", data: "1" }]);
    for (;;) yield new Uint8Array(1 << 16);
  }
  const into = (archive: AsyncIterable<Uint8Array>) => unpackTo(archive, join(folder, "ends"));
  await expect(into(failing())).rejects.toThrow("another file cannot be read");
  await expect(into(endless())).rejects.toThrow("more than an archive");
});

test("where nothing can be written the place is named", async () => {
  const target = join(folder, "nowhere/file");
  await expect(unpackTo(one(tarOf([{ path: "file", data: "1" }])), target)).rejects.toMatchObject({
    code: "file",
    message: expect.stringContaining(`${target} cannot be written: ENOENT`),
  });
});

test("an archive from a hostile guest writes nothing outside its folder", async () => {
  const outside = join(folder, "outside");
  mkdirSync(outside);
  const through = (target: string): Member[] => [
    { path: "a", type: "5", mode: 0o755 },
    { path: "a/link", type: "2", target },
    { path: "a/link/file", data: "bad" },
  ];
  expect(await unpacked("h1", through(outside))).toContain("no folder");
  expect(await unpacked("h2", through("../../outside"))).toContain("no folder");
  expect(await unpacked("h3", [{ path: "a/../../outside/file", data: "bad" }])).toContain("leaves the archive");
  expect(await unpacked("h4", [{ path: "a", type: "1", target: "../outside" }])).toContain("none of a file below");
  expect(await unpacked("h5", [{ path: "a" }, { path: "b" }])).toContain("nobody asked for");
  expect(await unpacked("h6", [{ path: "a", type: "3" }])).toContain("device");
  expect(await unpacked("h7", [{ path: "a", data: "x", mode: 0o4755 }])).toEqual(["a"]);
  expect(statSync(join(folder, "h7/a")).mode & 0o7777).toBe(0o755);
  // A link in the way is replaced, not followed.
  symlinkSync(outside, join(folder, "way"));
  await unpackTo(one(tarOf([{ path: "file", data: "x" }])), join(folder, "way2")).catch(() => {});
  expect(
    await unpacked("h8", [
      { path: "a", type: "2", target: `${outside}/x` },
      { path: "a", data: "own" },
    ]),
  ).toEqual(["a"]);
  expect(readdirSync(outside)).toEqual([]);
});
