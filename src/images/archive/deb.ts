/**
 * A Debian binary package: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*` (deb(5)).
 * Only the data is read here: what a package would run on installation is never run.
 */
import { ImageError } from "../image-error.ts";
import type { ByteStream } from "./byte-source.ts";
import { readTar, type TarEntry, type TarHeader } from "./tar.ts";

export type Compression = "none" | "gzip" | "xz" | "zstd";

/** Decompressors come from outside: a host has native ones. A broken stream makes them throw. */
export type Decompress = (compression: Compression, bytes: Uint8Array) => ByteStream;

const compressions: Record<string, Compression> = {
  "": "none",
  ".gz": "gzip",
  ".xz": "xz",
  ".zst": "zstd",
};

export async function* readDeb(
  bytes: Uint8Array,
  decompress: Decompress,
  wanted: (header: TarHeader) => boolean,
): AsyncGenerator<TarEntry> {
  const members = readAr(bytes);
  const data = members.find((member) => member.name.startsWith("data.tar"));
  if (members[0]?.name !== "debian-binary" || !data) throw broken("it has no data member");
  const compression = compressions[data.name.slice("data.tar".length)];
  if (!compression) throw broken(`${data.name} is compressed in a way that is not known`);
  yield* readTar(decompress(compression, data.bytes), wanted);
}

export interface ArMember {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const magic = "!<arch>\n";
const headerSize = 60;

/** The members of an `ar` archive: 60-byte headers of text, data padded to even addresses. */
export function readAr(bytes: Uint8Array): ArMember[] {
  if (text(bytes, 0, magic.length) !== magic) throw broken("it is no ar archive");
  const members: ArMember[] = [];
  let at = magic.length;
  while (at + headerSize <= bytes.length) {
    const size = Number.parseInt(text(bytes, at + 48, 10), 10);
    const start = at + headerSize;
    if (!(size >= 0) || start + size > bytes.length) throw broken("a member is cut short");
    const name = text(bytes, at, 16).trim().replace(/\/$/, "");
    members.push({ name, bytes: bytes.subarray(start, start + size) });
    at = start + size + (size & 1);
  }
  return members;
}

const text = (bytes: Uint8Array, start: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(start, start + length));

const broken = (why: string): ImageError => new ImageError("bad-package", `the package is broken: ${why}`);
