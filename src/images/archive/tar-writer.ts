/** Writes tar archives as streams: POSIX ustar, with pax records for what its fields cannot hold. */
import type { ByteStream } from "./byte-source.ts";

export interface TarMember {
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink";
  readonly mode: number;
  /** Seconds since 1970. */
  readonly modified: number;
  /** Of a symbolic link. */
  readonly target?: string;
  /** Of a file: so many bytes, and the bytes. */
  readonly sizeBytes?: number;
  readonly body?: ByteStream;
}

const block = 512;
const encoder = new TextEncoder();
const types = { file: "0", directory: "5", symlink: "2" };
const largestOctal = 8 ** 11 - 1;

/** A member whose body is shorter than it says is filled with zeros; one that is longer is cut. */
export async function* writeTar(members: AsyncIterable<TarMember>): ByteStream {
  for await (const member of members) {
    const size = member.sizeBytes ?? 0;
    const records = recordsOf(member, size);
    if (records.length > 0) {
      yield header({ path: "pax", kind: "file", mode: 0o644, modified: 0 }, "x", records.length);
      yield padded(records);
    }
    yield header(member, types[member.kind], size);
    let left = size;
    if (member.body) {
      for await (const piece of member.body) {
        const part = piece.subarray(0, left);
        left -= part.length;
        yield part;
        if (left === 0) break;
      }
    }
    for (; left > 0; left -= Math.min(left, 1 << 16)) yield new Uint8Array(Math.min(left, 1 << 16));
    yield new Uint8Array(paddingOf(size));
  }
  yield new Uint8Array(2 * block);
}

function recordsOf({ path, target = "" }: TarMember, size: number): Uint8Array {
  const fits = (text: string): boolean => encoder.encode(text).length <= 99;
  const wanted: [string, string][] = [];
  if (!fits(path)) wanted.push(["path", path]);
  if (!fits(target)) wanted.push(["linkpath", target]);
  if (size > largestOctal) wanted.push(["size", String(size)]);
  return encoder.encode(wanted.map(([name, value]) => record(`${name}=${value}`)).join(""));
}

/** "LENGTH NAME=VALUE\n", where the length counts itself. */
function record(text: string): string {
  const rest = encoder.encode(text).length + 2;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return `${length} ${text}\n`;
}

function header({ path, mode, modified, target = "" }: TarMember, type: string, size: number): Uint8Array {
  const bytes = new Uint8Array(block);
  const text = (at: number, length: number, value: string): void =>
    bytes.set(encoder.encode(value).subarray(0, length), at);
  const octal = (at: number, length: number, value: number): void =>
    text(at, length, value.toString(8).padStart(length - 1, "0"));
  text(0, 99, path);
  octal(100, 8, mode & 0o7777);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, Math.min(size, largestOctal));
  octal(136, 12, Math.min(Math.max(Math.floor(modified), 0), largestOctal));
  text(148, 8, "        ");
  text(156, 1, type);
  text(157, 99, target);
  text(257, 8, "ustar\x0000");
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  text(148, 8, `${sum.toString(8).padStart(6, "0")}\0 `);
  return bytes;
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(bytes.length + paddingOf(bytes.length));
  whole.set(bytes);
  return whole;
}

const paddingOf = (size: number): number => (block - (size % block)) % block;
