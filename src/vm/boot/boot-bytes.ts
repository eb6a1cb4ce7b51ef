/** What is loaded into a guest: bytes, or a file that is read into the guest's memory piece by piece, and never held as a whole. */
import { BootError } from "./boot-error.ts";

export interface BootFile {
  readonly sizeBytes: number;
  /** Fills `target` from `offset` on; gives how many bytes there were. */
  read(offset: number, target: Uint8Array): number;
}
export type BootBytes = Uint8Array | BootFile;

export const sizeOf = (source: BootBytes): number => (source instanceof Uint8Array ? source.length : source.sizeBytes);

/** Bytes [from, to), in memory of their own where the source is a file. Throws BootError where it has got shorter. */
export function bytesOf(source: BootBytes, from = 0, to = sizeOf(source)): Uint8Array {
  if (source instanceof Uint8Array) return source.subarray(from, to);
  const bytes = new Uint8Array(to - from);
  fill(source, from, bytes);
  return bytes;
}

/** Few enough to stay in a processor's cache on their way. */
const pieceBytes = 256 * 1024;

/** Calls `take` with all bytes [from, to) in turn, in pieces that last for the call; `at` counts from `from`. */
export function eachPiece(
  source: BootBytes,
  from: number,
  to: number,
  take: (at: number, piece: Uint8Array) => void,
): void {
  if (source instanceof Uint8Array) return take(0, source.subarray(from, to));
  const room = new Uint8Array(Math.min(pieceBytes, to - from));
  for (let at = from; at < to; at += pieceBytes) {
    const piece = room.subarray(0, Math.min(pieceBytes, to - at));
    fill(source, at, piece);
    take(at - from, piece);
  }
}

function fill(file: BootFile, offset: number, target: Uint8Array): void {
  if (file.read(offset, target) !== target.length) throw new BootError("a file to boot has become shorter than it was");
}

/** Whether bytes [from, to) are zeros. */
export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  // Four bytes at a time where they lie so: a kernel's image and its .bss are tens of megabytes.
  if ((bytes.byteOffset + from) % 4 === 0 && bytes[from] === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (to - from) >> 2);
    for (let n = 0; n < words.length; n++) if (words[n] !== 0) return false;
    at += words.length * 4;
  }
  for (; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
