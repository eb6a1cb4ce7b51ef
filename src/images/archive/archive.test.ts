import { expect, test } from "vitest";
import { type ByteStream, collect } from "./byte-source.ts";
import { fileType, writeCpio } from "./cpio.ts";
import { type Decompress, readAr, readDeb } from "./deb.ts";
import { arOf, bytesOf, type Member, tarOf } from "./fixtures.ts";
import { readTar, type TarEntry } from "./tar.ts";

const text = (data: Uint8Array): string => new TextDecoder().decode(data);

async function* pieces(data: Uint8Array, size: number): ByteStream {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function list(data: Uint8Array, pieceSize = 1000, wanted = (_: { path: string }) => true): Promise<string[]> {
  const seen: string[] = [];
  for await (const entry of readTar(pieces(data, pieceSize), wanted)) seen.push(say(entry));
  return seen;
}

const say = ({ kind, path, mode, target, data }: TarEntry): string =>
  `${kind} ${path} ${mode.toString(8)}${target && ` -> ${target}`}${kind === "file" ? `: ${text(data)}` : ""}`;

const members: Member[] = [
  { path: "./", type: "5" },
  { path: "./usr/bin/tool", data: "x".repeat(700), mode: 0o755 },
  { path: "./usr/bin/link", type: "2", target: "tool" },
  { path: "./empty" },
];

test.each([1, 511, 512, 513, 1 << 20])("a tar archive in pieces of %i bytes says the same", async (size) => {
  expect(await list(tarOf(members), size)).toEqual([
    "directory  644",
    `file usr/bin/tool 755: ${"x".repeat(700)}`,
    "symlink usr/bin/link 644 -> tool",
    "file empty 644: ",
  ]);
});

test("entries that nobody wants go by unread", async () => {
  expect(await list(tarOf(members), 100, ({ path }) => path === "empty")).toEqual(["file empty 644: "]);
});

test("GNU long names and pax paths name the entry behind them", async () => {
  const long = `${"d/".repeat(80)}file`;
  const record = `path=${long}2\n`;
  const length = record.length + 4;
  const data = tarOf([
    { path: "././@LongLink", type: "L", data: `${long}\0` },
    { path: "cut", data: "1" },
    { path: "PaxHeaders", type: "x", data: `${length} ${record}` },
    { path: "cut", data: "2" },
    { path: "own", data: "3" },
  ]);
  expect(await list(data)).toEqual([`file ${long} 644: 1`, `file ${long}2 644: 2`, "file own 644: 3"]);
});

test("a tar archive that is cut, changed, or climbs out of its folder is refused", async () => {
  const data = tarOf(members);
  await expect(list(data.subarray(0, 1200))).rejects.toThrow("ends inside a file");
  const changed = data.slice();
  changed[3] ^= 1;
  await expect(list(changed)).rejects.toThrow("checksum");
  await expect(list(tarOf([{ path: "a/../../etc/passwd" }]))).rejects.toThrow("leaves the archive");
});

test("any bytes at all into the tar reader end or are refused by name", async () => {
  let seed = 7;
  for (let i = 0; i < 300; i++) {
    const data = tarOf(members);
    for (let j = 0; j < 4; j++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      data[seed % data.length] = seed >>> 24;
    }
    await list(data).catch((error: Error) => expect(error.name).toBe("ImageError"));
  }
});

const plain: Decompress = (compression, data) => {
  expect(compression).toBe("none");
  return pieces(data, 4096);
};

test("a package's files come out of its data member", async () => {
  const deb = arOf([
    ["debian-binary", bytesOf("2.0\n")],
    ["control.tar", tarOf([])],
    ["data.tar", tarOf(members)],
  ]);
  const seen: string[] = [];
  for await (const entry of readDeb(deb, plain, ({ kind }) => kind === "symlink")) seen.push(entry.path);
  expect(seen).toEqual(["usr/bin/link"]);
});

test("what is no package is refused by name", async () => {
  const read = (deb: Uint8Array) => readDeb(deb, plain, () => true).next();
  await expect(read(bytesOf("#!/bin/sh"))).rejects.toThrow("no ar archive");
  await expect(read(arOf([["debian-binary", bytesOf("2.0\n")]]))).rejects.toThrow("no data member");
  await expect(
    read(
      arOf([
        ["debian-binary", bytesOf("")],
        ["data.tar.lz", bytesOf("")],
      ]),
    ),
  ).rejects.toThrow("data.tar.lz");
  expect(() => readAr(arOf([["odd", bytesOf("123")]]).subarray(0, 70))).toThrow("cut short");
});

test("a cpio entry is a header of text, the name and the data, each padded to four bytes", () => {
  const data = text(writeCpio([{ path: "ab", mode: fileType.file | 0o644, data: bytesOf("hello") }]));
  expect(data.slice(0, 110)).toBe(
    "070701" +
      "00000001" +
      "000081a4" +
      "00000000".repeat(2) +
      "00000001" +
      "00000000" +
      "00000005" +
      "00000000".repeat(4) +
      "00000003" +
      "00000000",
  );
  expect(data.slice(110, 130)).toBe("ab\0\0\0\0" + "hello\0\0\0" + "070701");
  expect(data).toContain("TRAILER!!!\0");
  expect(data.length % 4).toBe(0);
});

test("a stream's pieces join to the whole", async () => {
  expect(text(await collect(pieces(bytesOf("abcdefg"), 3)))).toBe("abcdefg");
});
