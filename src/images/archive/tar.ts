/**
 * Reads a tar archive as it streams by: POSIX ustar, GNU long names (L, K) and pax records (path, linkpath, size, uid, gid, mtime).
 * Nothing is written anywhere: a name with `..` in it is the reader's to refuse, and `cleanPath` does.
 */
import { ImageError } from "../image-error.ts";
import { ByteSource, type ByteStream } from "./byte-source.ts";

export type TarKind = "file" | "directory" | "symlink" | "link" | "character" | "block" | "fifo" | "other";

export interface TarHeader {
  /** Without `./` or `/` before it and without `/` behind it. */
  readonly path: string;
  readonly kind: TarKind;
  readonly mode: number;
  readonly user: number;
  readonly group: number;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly sizeBytes: number;
  /** Where a symbolic or hard link points, as written. */
  readonly target: string;
  /** Of a device node. */
  readonly device: readonly [major: number, minor: number];
}

export interface TarEntry extends TarHeader {
  readonly data: Uint8Array;
}

export interface StreamedEntry {
  readonly header: TarHeader;
  /** The data, to be read before the next entry is asked for, or not at all. */
  readonly body: ByteStream;
}

const block = 512;
/** No file that we take out of a package is near this: a header that claims more is broken. */
const largestFile = 1 << 30;
const largestName = 1 << 16;
const pieceSize = 1 << 18;

/** The entries that `wanted` picks, with their data; the others go by unread. */
export async function* readTar(stream: ByteStream, wanted: (header: TarHeader) => boolean): AsyncGenerator<TarEntry> {
  for await (const { header, body } of streamTar(stream)) {
    if (!wanted(header)) continue;
    if (header.sizeBytes > largestFile) throw broken(`an entry claims ${header.sizeBytes} bytes`);
    const data = new Uint8Array(header.sizeBytes);
    let at = 0;
    for await (const piece of body) {
      data.set(piece, at);
      at += piece.length;
    }
    yield { ...header, data };
  }
}

/** All entries in order, their data as streams. */
export async function* streamTar(stream: ByteStream): AsyncGenerator<StreamedEntry> {
  const source = new ByteSource(stream);
  let extended: Extended = {};
  try {
    for (;;) {
      const bytes = await source.read(block);
      if (bytes.length < block || bytes[0] === 0) return;
      if (!checksumHolds(bytes)) throw broken("a header's checksum is wrong");
      const sizeBytes = extended.size ?? number(bytes, 124, 12);
      const type = String.fromCharCode(bytes[156]);
      if (type === "L" || type === "K" || type === "x") {
        const text = await body(source, sizeBytes, largestName);
        if (type === "L") extended.path = untilZero(text);
        else if (type === "K") extended.target = untilZero(text);
        else extended = { ...extended, ...paxRecords(text) };
        continue;
      }
      const header = headerOf(bytes, kinds[type] ?? "other", sizeBytes, extended);
      extended = {};
      const size = header.kind === "file" || header.kind === "other" ? sizeBytes : 0;
      const part = { left: size };
      yield { header, body: pieces(source, part) };
      await skip(source, part.left + padding(size), true);
    }
  } finally {
    await source.close();
  }
}

interface Extended {
  path?: string;
  target?: string;
  size?: number;
  user?: number;
  group?: number;
  modified?: number;
}

function headerOf(bytes: Uint8Array, kind: TarKind, sizeBytes: number, extended: Extended): TarHeader {
  return {
    path: cleanPath(extended.path ?? ustarName(bytes)),
    kind,
    mode: number(bytes, 100, 8) & 0o7777,
    user: extended.user ?? number(bytes, 108, 8),
    group: extended.group ?? number(bytes, 116, 8),
    modified: extended.modified ?? number(bytes, 136, 12),
    sizeBytes: kind === "file" ? sizeBytes : 0,
    target: extended.target ?? untilZero(bytes.subarray(157, 257)),
    device: [number(bytes, 329, 8), number(bytes, 337, 8)],
  };
}

async function* pieces(source: ByteSource, part: { left: number }): ByteStream {
  while (part.left > 0) {
    const piece = await source.read(Math.min(part.left, pieceSize));
    if (piece.length === 0) throw broken("it ends inside a file");
    part.left -= piece.length;
    yield piece;
  }
}

/** A path relative to the archive's root. One that climbs out of it is refused. */
export function cleanPath(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw broken(`the name "${path}" leaves the archive`);
  return parts.join("/");
}

const kinds: Record<string, TarKind> = {
  "\0": "file",
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "7": "file",
};

async function body(source: ByteSource, size: number, limit: number): Promise<Uint8Array> {
  if (size > limit) throw broken(`an entry claims ${size} bytes`);
  const data = await source.read(size);
  if (data.length < size) throw broken("it ends inside a file");
  await skip(source, padding(size), true);
  return data;
}

async function skip(source: ByteSource, size: number, bare = false): Promise<void> {
  const whole = bare ? size : size + padding(size);
  if ((await source.skip(whole)) < whole) throw broken("it ends inside a file");
}

const padding = (size: number): number => (block - (size % block)) % block;

function ustarName(bytes: Uint8Array): string {
  const name = untilZero(bytes.subarray(0, 100));
  // GNU archives use the same bytes for other things; only "ustar\0" has a prefix there.
  const prefix = bytes[257] === 0x75 && bytes[262] === 0 ? untilZero(bytes.subarray(345, 500)) : "";
  return prefix ? `${prefix}/${name}` : name;
}

/** Octal text, or base 256 where the first bit is set (GNU). */
function number(bytes: Uint8Array, start: number, length: number): number {
  const part = bytes.subarray(start, start + length);
  const value =
    part[0] & 0x80
      ? part.subarray(1).reduce((sum, byte) => sum * 256 + byte, part[0] & 0x7f)
      : Number.parseInt(untilZero(part).trim() || "0", 8);
  if (!Number.isSafeInteger(value)) throw broken("a header's number is none");
  return value;
}

/** The sum of the header's bytes, its own field read as blanks. */
function checksumHolds(bytes: Uint8Array): boolean {
  const sum = bytes.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  return sum === number(bytes, 148, 8);
}

function paxRecords(bytes: Uint8Array): Extended {
  const found: Record<string, string> = {};
  let at = 0;
  while (at < bytes.length) {
    const length = Number.parseInt(text(bytes.subarray(at, at + 12)), 10);
    if (!(length > 0)) break;
    const record = text(bytes.subarray(at, at + length - 1));
    const equals = record.indexOf("=");
    found[record.slice(record.indexOf(" ") + 1, equals)] = record.slice(equals + 1);
    at += length;
  }
  const value = (name: string): number | undefined => {
    if (found[name] === undefined) return undefined;
    const parsed = Math.floor(Number(found[name]));
    if (!Number.isSafeInteger(parsed) || (parsed < 0 && name !== "mtime")) throw broken("a header's number is none");
    return parsed;
  };
  const extended: Extended = {
    path: found.path,
    target: found.linkpath,
    size: value("size"),
    user: value("uid"),
    group: value("gid"),
    modified: value("mtime"),
  };
  return Object.fromEntries(Object.entries(extended).filter(([, each]) => each !== undefined)) as Extended;
}

const decoder = new TextDecoder();
const text = (bytes: Uint8Array): string => decoder.decode(bytes);

function untilZero(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return text(end < 0 ? bytes : bytes.subarray(0, end));
}

const broken = (why: string): ImageError => new ImageError("bad-package", `the tar archive is broken: ${why}`);
