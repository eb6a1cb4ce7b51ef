/**
 * What a block device and its service say to each other: whole requests by the places of their data in the arena.
 *
 * Request: u32 tag, u32 operation, f64 offset in bytes, f64 length in bytes, then u32 HPA and u32 length for each piece of data.
 * Answer: u32 tag, u32 status (0: done), then perhaps a `Place` as five f64. To freeze is to write what the disk holds into the file with the number `length` from `offset` on,
 * whose key, if it has one, stands in place of pieces; the answer to it goes on with f64 place of the index, f64 end of what was written, u32 count and u32 check of the
 * index. The greeting is a `DiskFacts` as JSON.
 */
import type { ArenaRange } from "#memory";

/** A disk as the person who runs the machine asks for it. */
export interface DiskConfig {
  readonly file: string;
  /** Without a word: by the file's name, qcow2 where it ends in ".qcow2", else raw. */
  readonly format?: DiskFormat;
  /** The guest may not write. */
  readonly readOnly?: boolean;
  /** The file stays as it is: what the guest writes goes to this qcow2 file, or with `true` is gone at the end. */
  readonly overlay?: string | true;
  /** The disk as a snapshot has it, in place of what the file holds now: the guest writes to an overlay of its own. */
  readonly saved?: SavedDisk;
}

/** By which a file is known again. */
export interface DiskFileFacts {
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/** What a snapshot has of a disk. */
export interface SavedDisk {
  readonly sizeBytes: number;
  /** What the guest never writes to, the upper one first: it has to be there as it was. */
  readonly files: readonly DiskFileFacts[];
  /** Where in the snapshot's file the rest is, and its check; absent where there is no rest (disk/frozen.ts). */
  readonly index?: { readonly offset: number; readonly count: number; readonly check: number };
  /** The snapshot's file, and where it is encrypted the file with its secret; whoever reads it says so. */
  readonly snapshot?: string;
  readonly key?: string;
}

/** A file of the host that a thread has open, for the others of its process. */
export interface HostFile {
  readonly descriptor: number;
  /** Of one that is encrypted: what its bytes are encrypted with. */
  readonly key?: Uint8Array;
}

export const diskFormats = ["raw", "qcow2"] as const;
export type DiskFormat = (typeof diskFormats)[number];

/** What a service tells of the disk it opened. */
export interface DiskFacts {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** At most 20 bytes of ASCII: the disk's serial number in the guest. */
  readonly id: string;
  /** What the host likes its accesses to be a multiple of. */
  readonly physicalBlockBytes: number;
  /** A file that is the disk, byte by byte, as the host numbers it: it is lent to the machine's thread. */
  readonly file?: number;
  /** Files that the guest never writes to, the upper one first. */
  readonly below: readonly DiskFileFacts[];
}

/** Where a part of the disk lies in a file of the host, which is lent by its number. */
export interface Place {
  readonly from: number;
  readonly length: number;
  readonly file: number;
  /** Of the part's first byte. */
  readonly at: number;
  /** Writing there is all that a write to the part takes. */
  readonly writable: boolean;
}

export const blockOperation = {
  read: 0,
  write: 1,
  flush: 2,
  discard: 3,
  writeZeroes: 4,
  writeZeroesUnmap: 5,
  freeze: 6,
} as const;
export type BlockOperation = (typeof blockOperation)[keyof typeof blockOperation];

export interface BlockRequest {
  readonly tag: number;
  readonly operation: number;
  readonly offset: number;
  readonly length: number;
  readonly pieces: readonly ArenaRange[];
}

export const blockStatus = { done: 0, failed: 1 } as const;

const headBytes = 24;
const answerBytes = 8;
const placeBytes = 40;
/** The most pieces of a request. */
export const maxPieces = 4096;
/** Messages are made and read here: they are copied into and out of rings anyway, and views of fresh memory cost more than that. */
const scratch = new Uint8Array(headBytes + 8 * maxPieces);
const scratchView = new DataView(scratch.buffer);

/** Good until the next call of this file. Requires: at most `maxPieces`. */
export function encodeRequest({ tag, operation, offset, length, pieces }: BlockRequest): Uint8Array {
  scratchView.setUint32(0, tag, true);
  scratchView.setUint32(4, operation, true);
  scratchView.setFloat64(8, offset, true);
  scratchView.setFloat64(16, length, true);
  let at = headBytes;
  for (const piece of pieces) {
    scratchView.setUint32(at, piece.hpa, true);
    scratchView.setUint32(at + 4, piece.length, true);
    at += 8;
  }
  return scratch.subarray(0, at);
}

export function decodeRequest(message: Uint8Array): BlockRequest {
  scratch.set(message);
  const pieces: ArenaRange[] = [];
  const operation = scratchView.getUint32(4, true);
  const end = operation === blockOperation.freeze ? headBytes : message.length;
  for (let at = headBytes; at + 8 <= end; at += 8) {
    const hpa = scratchView.getUint32(at, true) as ArenaRange["hpa"];
    pieces.push({ hpa, length: scratchView.getUint32(at + 4, true) });
  }
  return {
    tag: scratchView.getUint32(0, true),
    operation,
    offset: scratchView.getFloat64(8, true),
    length: scratchView.getFloat64(16, true),
    pieces,
  };
}

/** To write what the disk holds into a file, from `offset` on. Good until the next call of this file. */
export function encodeFreeze(tag: number, offset: number, { descriptor, key }: HostFile): Uint8Array {
  const head = { tag, operation: blockOperation.freeze, offset, length: descriptor, pieces: [] };
  const { length } = encodeRequest(head);
  scratch.set(key ?? [], length);
  return scratch.subarray(0, length + (key?.length ?? 0));
}

/** Of such a request. */
export function decodeFreeze(message: Uint8Array): HostFile {
  const { length: descriptor } = decodeRequest(message);
  return { descriptor, ...(message.length > headBytes && { key: message.slice(headBytes) }) };
}

/** Good until the next call of this file. */
export function encodeAnswer(tag: number, status: number, place?: Place): Uint8Array {
  scratchView.setUint32(0, tag, true);
  scratchView.setUint32(4, status, true);
  if (place === undefined) return scratch.subarray(0, answerBytes);
  const { from, length, file, at, writable } = place;
  [from, length, file, at, writable ? 1 : 0].forEach((value, n) =>
    scratchView.setFloat64(answerBytes + 8 * n, value, true),
  );
  return scratch.subarray(0, answerBytes + placeBytes);
}

export function decodeAnswer(message: Uint8Array): { tag: number; status: number; place: Place | undefined } {
  scratch.set(message.subarray(0, answerBytes + placeBytes));
  const [tag, status] = [scratchView.getUint32(0, true), scratchView.getUint32(4, true)];
  if (message.length < answerBytes + placeBytes) return { tag, status, place: undefined };
  const field = (n: number): number => scratchView.getFloat64(answerBytes + 8 * n, true);
  return {
    tag,
    status,
    place: { from: field(0), length: field(1), file: field(2), at: field(3), writable: field(4) !== 0 },
  };
}

/** Good until the next call of this file. */
export function encodeFrozen(
  tag: number,
  { offset, count, check }: NonNullable<SavedDisk["index"]>,
  end: number,
): Uint8Array {
  scratchView.setUint32(0, tag, true);
  scratchView.setUint32(4, blockStatus.done, true);
  scratchView.setFloat64(8, offset, true);
  scratchView.setFloat64(16, end, true);
  scratchView.setUint32(24, count, true);
  scratchView.setUint32(28, check, true);
  return scratch.subarray(0, 32);
}

/** The rest of the answer to `freeze`. */
export function decodeFrozen(message: Uint8Array): { index: NonNullable<SavedDisk["index"]>; end: number } {
  const view = new DataView(message.buffer, message.byteOffset);
  const index = { offset: view.getFloat64(8, true), count: view.getUint32(24, true), check: view.getUint32(28, true) };
  return { index, end: view.getFloat64(16, true) };
}
