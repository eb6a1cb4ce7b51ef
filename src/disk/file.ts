/**
 * What disks ask of the host: files read and written at any place, by threads that may wait for them.
 *
 * Law: what lies past a file's end reads as zeros, and is there after a write beyond it. A failure of the host is thrown as
 * `DiskError`; the file is then as the host left it.
 */

import type { DiskFileFacts, HostFile } from "#devices";

/** A disk that cannot be opened, read or written: one line that says what is wrong, and what to do where there is something. */
export class DiskError extends Error {
  override name = "DiskError";
}

export interface DiskFile {
  readonly name: string;
  /** By which other threads of the process know it while it is open, where there is such a number. */
  readonly hostFile?: number;
  /** Bytes; grows with what is written. */
  readonly sizeBytes: number;
  /** When somebody last wrote to it, in milliseconds since 1970; 0 where nobody can tell. */
  readonly modifiedMs: number;
  /** Fills the targets, one after the other, from `offset` on. */
  read(offset: number, ...targets: readonly Uint8Array[]): void;
  write(offset: number, ...sources: readonly Uint8Array[]): void;
  /** What was written before is on the host's disk when this returns. */
  flush(): void;
  /** The same, while the thread goes on. */
  flushLater(): Promise<void>;
  resize(sizeBytes: number): void;
  /** Gives the range back to the host; it reads as zeros then. False, and nothing is done, where the host cannot. */
  punch(offset: number, length: number): Promise<boolean>;
  close(): void;
}

/** A file to be written, in whole pages of 4096 bytes. */
export interface DiskWriter {
  writeAt(offset: number, bytes: Uint8Array): void;
}

/** What is read of a snapshot. */
export type SnapshotFile = Pick<DiskFile, "name" | "read" | "close">;

export interface DiskHost {
  /**
   * Opens a file. One opened for writing is held alone, and one opened for reading is held with others that read, until it is
   * closed or the process ends, however it ends.
   */
  open(name: string, access: "read" | "write"): DiskFile;
  /** Opens a snapshot, without holding it; `key`: the file with its secret. */
  openSnapshot?(name: string, key?: string): SnapshotFile;
  /** A file that another thread of the process has open; absent where threads know none of each other's. */
  writer?(file: HostFile): DiskWriter;
  /** A new file; an error where there is one of this name. */
  create(name: string): DiskFile;
  /** A file without a name, gone when it is closed. */
  createTemporary(): DiskFile;
  exists(name: string): boolean;
  /** The whole name of what stands in the file `from`, relative to where that one lies; "": relative to where we are. */
  resolve(from: string, name: string): string;
  /** Unpacks raw deflate or zstd, at most `size` bytes. */
  unpack(method: "deflate" | "zstd", bytes: Uint8Array, size: number): Uint8Array;
}

/** By which a snapshot knows a file again. */
export const factsOf = ({ name, sizeBytes, modifiedMs }: DiskFile): DiskFileFacts => ({ name, sizeBytes, modifiedMs });
