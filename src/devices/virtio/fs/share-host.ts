/**
 * The files of a share, as the FUSE server asks for them. Whoever implements it keeps the guest inside one directory.
 *
 * Names and link targets are bytes, a character each (latin1). A *node* is a file that the guest knows, by a number that is never
 * used again; a *handle* is a file that it has open. Numbers come from the guest: one that is not in use is an error.
 * What cannot be done is thrown: any error whose `code` is the name of a Linux error, such as Node's or a `ShareError`.
 */

export class ShareError extends Error {
  override name = "ShareError";
  /** `EACCES` and the like. */
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export interface Attributes {
  readonly ino: bigint;
  readonly size: bigint;
  /** Of 512 bytes. */
  readonly blocks: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** With the type's bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly blksize: number;
}

export interface Entry {
  readonly node: number;
  readonly attributes: Attributes;
}

/** Who asks, as the guest's kernel says. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A time to be set. */
export type NewTime = bigint | "now";

export interface Changes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly atimeNs?: NewTime;
  readonly mtimeNs?: NewTime;
}

export interface Opened {
  readonly handle: number;
  /** What the guest has cached of the file is still good. */
  readonly keepCache: boolean;
  /** The host's number of the open file, where it is lent: it stays open until `returned`. */
  readonly file?: number;
}

export interface OpenFlags {
  readonly read: boolean;
  readonly write: boolean;
  readonly append: boolean;
  readonly truncate: boolean;
  readonly exclusive: boolean;
  readonly sync: boolean;
}

/** Of a directory, in the order of its offsets. */
export interface DirectoryEntry {
  readonly name: string;
  /** As in the `mode` of a file, shifted: DT_*; 0 unknown. */
  readonly type: number;
  /** Where the next one is asked for. */
  readonly next: number;
}

export interface FileSystemStats {
  readonly blockSize: number;
  readonly blocks: bigint;
  readonly free: bigint;
  readonly available: bigint;
  readonly files: bigint;
  readonly filesFree: bigint;
}

/** The part of a share's state that a guest relies on. */
export interface SessionRecord {
  readonly inodes: readonly InodeRecord[];
  readonly handles: readonly HandleRecord[];
}

export interface InodeRecord {
  readonly id: number;
  /** Where it was found last; 0: nowhere. */
  readonly parent: number;
  readonly name: string;
  /** Device and number, and time of birth, by which it is known again. */
  readonly key: string;
  readonly birthNs: string;
  readonly type: number;
  readonly lookups: number;
}

export interface HandleRecord {
  readonly handle: number;
  readonly inode: number;
  /** None: a directory. */
  readonly flags?: OpenFlags;
}

export interface ShareHost {
  /** Told of each file lent by `open` that the guest has closed. Without it `open` lends none. */
  onRecall?: ((file: number) => void) | undefined;
  /** Lends an open file, as `open` does, for one request. */
  lend(node: number, handle: number): number;
  /** Lends a directory to be synced. */
  lendDirectory(node: number): number;
  /** One of those whom the file was lent to uses it no more. */
  returned(file: number): void;
  /** What the guest has open and knows, as plain data: `restore` on such a share goes on with it. */
  save(): SessionRecord;
  /** Files that are not where they were are stale to the guest, and it looks for them anew. */
  restore(session: SessionRecord): void;
  /** Closes everything and forgets all nodes but the root: a new guest begins. */
  reset(): void;
  /** Every entry that is given counts once, until it is forgotten. */
  lookup(parent: number, name: string): Entry;
  forget(node: number, count: number): void;
  attributes(node: number, handle?: number): Attributes;
  change(node: number, changes: Changes, handle?: number): Attributes;
  readLink(node: number): string;
  symlink(parent: number, name: string, target: string, owner: Owner): Entry;
  makeFile(parent: number, name: string, mode: number, owner: Owner): Entry;
  makeDirectory(parent: number, name: string, mode: number, owner: Owner): Entry;
  unlink(parent: number, name: string): void;
  removeDirectory(parent: number, name: string): void;
  rename(parent: number, name: string, newParent: number, newName: string): void;
  link(node: number, newParent: number, newName: string): Entry;
  open(node: number, flags: OpenFlags): Opened;
  create(parent: number, name: string, flags: OpenFlags, mode: number, owner: Owner): Entry & Opened;
  /** Fills `targets` from `offset` on; fewer bytes only at the file's end. */
  read(node: number, handle: number, offset: number, targets: readonly Uint8Array[]): number;
  write(node: number, handle: number, offset: number, sources: readonly Uint8Array[]): number;
  sync(node: number, handle: number, dataOnly: boolean): void;
  release(node: number, handle: number): void;
  openDirectory(node: number): number;
  /** Entries from `offset` on while `take` says yes; the one it refuses comes again. Without "." and "..". */
  readDirectory(node: number, handle: number, offset: number, take: (entry: DirectoryEntry) => boolean): void;
  syncDirectory(node: number): void;
  statistics(node: number): FileSystemStats;
}
