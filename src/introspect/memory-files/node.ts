/**
 * A tree of files about a machine's memory, as FUSE and the library show it: folders, and files with a size that are read and written at
 * any offset. Everything is asked of the machine, so everything may take a while, and the machine may be gone.
 *
 * What cannot be done is thrown as a `MemoryFileError`.
 */

export type MemoryNode = MemoryFolder | MemoryFile;

export interface MemoryFolder {
  readonly kind: "folder";
  entries(): Promise<readonly FolderEntry[]>;
  find(name: string): Promise<MemoryNode | undefined>;
  /** Makes a file of that name. Absent where all there is is there. */
  readonly make?: (name: string) => Promise<MemoryFile>;
  readonly remove?: (name: string) => Promise<void>;
}

export interface FolderEntry {
  readonly name: string;
  readonly kind: MemoryNode["kind"];
}

export interface FileFacts {
  /** 0 for a text, which is made when it is opened. */
  readonly size: number;
  /** Of it, in pages that hold something; the others are holes, and read as zeros. */
  readonly bytesHeld: number;
  readonly writable: boolean;
}

export interface MemoryFile {
  readonly kind: "file";
  facts(): Promise<FileFacts>;
  open(): Promise<OpenMemoryFile>;
  /** From then on nobody writes to it, for good. Absent where nobody can, or where it means nothing. */
  readonly seal?: () => Promise<void>;
  /** Empties it. Absent where it has the size that it has. */
  readonly truncate?: () => Promise<void>;
}

export interface OpenMemoryFile {
  /** Fewer bytes only at the end. */
  read(offset: number, bytes: number): Promise<Uint8Array>;
  /** How many were written. */
  readonly write?: (offset: number, data: Uint8Array) => Promise<number>;
  /** Makes a hole. */
  readonly punch?: (offset: number, bytes: number) => Promise<void>;
  /** The first offset from `offset` on that is in a hole, or in none; -1 where there is none. */
  readonly seek?: (offset: number, what: "data" | "hole") => Promise<number>;
}

export type MemoryFileErrorCode =
  /** Nothing of that name; a folder's name for a file's, and the other way round. */
  | "ENOENT"
  | "EISDIR"
  | "ENOTDIR"
  | "EEXIST"
  /** Sealed, or never to be changed; */
  | "EPERM"
  /** read-only for the guest, too; */
  | "EROFS"
  /** there is no memory. */
  | "ENXIO"
  | "EINVAL"
  | "EOPNOTSUPP";

export class MemoryFileError extends Error {
  override name = "MemoryFileError";
  readonly code: MemoryFileErrorCode;

  constructor(code: MemoryFileErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
