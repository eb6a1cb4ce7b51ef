/**
 * A Debian binary package: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*` (deb(5)).
 * Nothing of it is run here: what a package would run on installation runs in the guest, or not at all.
 */
import { ImageError } from "../image-error.ts";
import type { ByteStream } from "./byte-source.ts";
import { readTar, type StreamedEntry, streamTar, type TarEntry, type TarHeader } from "./tar.ts";

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
  yield* readTar(member(bytes, "data.tar", decompress), wanted);
}

/** The package's files, their data as streams. */
export function streamDeb(bytes: Uint8Array, decompress: Decompress): AsyncGenerator<StreamedEntry> {
  return streamTar(member(bytes, "data.tar", decompress));
}

/** What dpkg keeps of a package: its `control` file, checksums, and the scripts it runs. */
export function readDebControl(bytes: Uint8Array, decompress: Decompress): AsyncGenerator<TarEntry> {
  return readTar(member(bytes, "control.tar", decompress), () => true);
}

function member(bytes: Uint8Array, prefix: "data.tar" | "control.tar", decompress: Decompress): ByteStream {
  const members = readAr(bytes);
  const found = members.find(({ name }) => name.startsWith(prefix));
  if (members[0]?.name !== "debian-binary" || !found) {
    throw broken(`it has no ${prefix === "data.tar" ? "data" : "control"} member`);
  }
  const compression = compressions[found.name.slice(prefix.length)];
  if (!compression) throw broken(`${found.name} is compressed in a way that is not known`);
  return decompress(compression, found.bytes);
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
