/**
 * What a block device and its service say to each other: whole requests by the places of their data in the arena.
 *
 * Request: u32 tag, u32 operation, f64 offset in bytes, f64 length in bytes, then u32 HPA and u32 length for each piece of data.
 * Answer: u32 tag, u32 status (0: done). The greeting is a `DiskFacts` as JSON.
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
}

export const blockOperation = { read: 0, write: 1, flush: 2, discard: 3, writeZeroes: 4, writeZeroesUnmap: 5 } as const;
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

export function encodeRequest({ tag, operation, offset, length, pieces }: BlockRequest): Uint8Array {
  const view = new DataView(new ArrayBuffer(headBytes + 8 * pieces.length));
  view.setUint32(0, tag, true);
  view.setUint32(4, operation, true);
  view.setFloat64(8, offset, true);
  view.setFloat64(16, length, true);
  pieces.forEach((piece, n) => {
    view.setUint32(headBytes + 8 * n, piece.hpa, true);
    view.setUint32(headBytes + 8 * n + 4, piece.length, true);
  });
  return new Uint8Array(view.buffer);
}

export function decodeRequest(message: Uint8Array): BlockRequest {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  return {
    tag: view.getUint32(0, true),
    operation: view.getUint32(4, true),
    offset: view.getFloat64(8, true),
    length: view.getFloat64(16, true),
    pieces: Array.from({ length: (message.length - headBytes) >> 3 }, (_, n) => ({
      hpa: view.getUint32(headBytes + 8 * n, true) as ArenaRange["hpa"],
      length: view.getUint32(headBytes + 8 * n + 4, true),
    })),
  };
}

export function encodeAnswer(tag: number, status: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(tag, status).buffer);
}

export function decodeAnswer(message: Uint8Array): { tag: number; status: number } {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  return { tag: view.getUint32(0, true), status: view.getUint32(4, true) };
}
