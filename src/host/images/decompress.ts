/** Node's decompressors: zlib's own for gzip and zstd, the system's `xz` where there is one, else ours. */
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { type ByteStream, type Decompress, ImageError } from "#images";

/** Below this our decoder is done before a process has started. */
const worthAProcess = 1 << 20;
/** Node's own pieces of 16 KiB would cost more in stream handling than in decompression. */
const pieceSize = 1 << 20;

export const decompress: Decompress = (compression, bytes) => {
  switch (compression) {
    case "none":
      return one(bytes);
    case "gzip":
      return named(feed(bytes).pipe(createGunzip({ chunkSize: pieceSize })));
    case "zstd":
      return named(feed(bytes).pipe(createZstdDecompress({ chunkSize: pieceSize })));
    case "xz":
      return bytes.length < worthAProcess ? unpackHere(bytes) : unpackByProcess(bytes);
  }
};

const feed = (bytes: Uint8Array): Readable => Readable.from([bytes]);

async function* one(bytes: Uint8Array): ByteStream {
  yield bytes;
}

async function* named(stream: ByteStream): ByteStream {
  try {
    yield* stream;
  } catch (error) {
    throw broken(error);
  }
}

async function* unpackByProcess(bytes: Uint8Array): ByteStream {
  const child = spawn("xz", ["--decompress", "--stdout", "--threads=0"], { stdio: ["pipe", "pipe", "ignore"] });
  const started = new Promise<boolean>((resolve) => {
    child.once("spawn", () => resolve(true));
    child.once("error", () => resolve(false));
  });
  if (!(await started)) return yield* unpackHere(bytes);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  // The process may end before it has read all: what it says of that is its status.
  child.stdin.on("error", () => {});
  child.stdin.end(bytes);
  try {
    yield* child.stdout;
    if ((await ended) !== 0) throw broken();
  } finally {
    child.kill();
  }
}

async function* unpackHere(bytes: Uint8Array): ByteStream {
  // A machine starts without it, and most hosts have a process for this.
  const { decodeXz } = await import("#vm");
  let output: Uint8Array;
  try {
    output = new Uint8Array(xzSize(bytes));
    decodeXz(bytes, output);
  } catch (error) {
    throw broken(error);
  }
  yield output;
}

/** The unpacked size, which the index at the end of an XZ stream tells (The .xz File Format, "Index"). */
export function xzSize(bytes: Uint8Array): number {
  const footer = bytes.length - 12;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (footer < 12 || bytes[footer + 10] !== 0x59 || bytes[footer + 11] !== 0x5a) throw broken();
  let at = footer - (view.getUint32(footer + 4, true) + 1) * 4;
  if (at < 12 || bytes[at++] !== 0) throw broken();
  const number = (): number => {
    let value = 0;
    for (let scale = 1; at < footer && scale < 2 ** 49; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw broken();
  };
  let size = 0;
  for (let records = number(); records > 0; records--) {
    number();
    size += number();
  }
  if (size > 2 ** 32) throw broken();
  return size;
}

function broken(cause?: unknown): ImageError {
  return new ImageError(
    "bad-package",
    "a compressed file in the package is broken: delete it and prepare again",
    cause,
  );
}
