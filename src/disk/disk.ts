import type { DiskFileFacts, Place } from "#devices";
import type { DiskRange } from "./frozen.ts";

/** A disk as a guest has it, whatever keeps its bytes. Offsets and lengths are multiples of 512 within its size. */
export interface Disk {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly physicalBlockBytes: number;
  /** The host's number of an open file that is the disk, byte by byte; what a guest may not write is not written there either. */
  readonly hostFile?: number | undefined;
  /**
   * Where the byte at `offset` lies in an open file of the host, and those around it, in whole physical blocks: until a write, a
   * discard or zeros for a part of them. Undefined where it lies in none as it is.
   */
  locate?(offset: number): Place | undefined;
  read(offset: number, targets: readonly Uint8Array[]): void;
  write(offset: number, sources: readonly Uint8Array[]): void;
  /** What was written before stays, whatever happens to the process or the host. */
  flush(): void | Promise<void>;
  /** The guest does not need the range any more; it may read as anything. */
  discard(offset: number, length: number): void | Promise<void>;
  /** The range reads as zeros; `unmap`: and need not take room. */
  writeZeroes(offset: number, length: number, unmap: boolean): void | Promise<void>;
  /** What shows where this one has nothing. */
  readonly below?: Disk | undefined;
  /** Files of this one alone. */
  readonly files: readonly DiskFileFacts[];
  /** Ranges that this one has by itself, whatever lies below; what it has not is in none. */
  held(): Iterable<DiskRange>;
  close(): void;
}
