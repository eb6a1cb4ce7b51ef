/**
 * A directory of this host as a share (devices/virtio/fs/share-host.ts), by Node's synchronous calls.
 *
 * Owners: as root, numbers of users and groups are the same here and there. As anybody else, our files are root's in the guest, what
 * the guest makes is ours, and changes of owner are taken and have no effect.
 * Set-user-ID and set-group-ID bits of files are never set here: a guest must not make programs that run as somebody.
 *
 * Not here: paths, and why none leads out of the directory (inodes.ts).
 */
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readvSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writevSync,
} from "node:fs";
import {
  type Attributes,
  type Changes,
  type DirectoryEntry,
  type Entry,
  type FileOperations,
  type FileSystemStats,
  type NewTime,
  type Opened,
  type OpenFlags,
  type Owner,
  type SessionRecord,
  ShareError,
  type ShareHost,
} from "#devices";
import { OpenDirectory } from "./directory.ts";
import { type Inode, Inodes, openRoot } from "./inodes.ts";

export interface ShareOptions {
  /** Of the directory, absolute. */
  readonly path: string;
  readonly readOnly: boolean;
  /** Whether owners are the guest's: we are root. */
  readonly asRoot: boolean;
  /** The user whose files are root's in the guest. */
  readonly uid: number;
  readonly gid: number;
  /** Whether directories are reached through `/proc/self/fd`: Linux. */
  readonly byDescriptor: boolean;
  /** Descriptors that the share may have open. */
  readonly maxDescriptors: number;
}

interface OpenFile {
  readonly inode: Inode;
  readonly fd: number;
  readonly flags: OpenFlags;
  /** The guest's device has it, until it is recalled. */
  readonly lent: boolean;
  readonly directory?: undefined;
}

type Handle = OpenFile | { readonly inode: Inode; readonly directory: OpenDirectory };

const {
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
} = constants;
/** A file that changed less long ago may change again and look the same: clocks of file systems tick slowly. */
const settledNs = 100_000_000n;

export class Share implements ShareHost {
  /** Of the directory, without links. */
  readonly path: string;
  readonly #options: ShareOptions;
  readonly #root: number;
  readonly #inodes: Inodes;
  readonly #handles = new Map<number, Handle>();
  readonly #rootDevice: bigint;
  #nextHandle = 1;
  onRecall: ((file: number) => void) | undefined;
  /** Descriptors that are lent, and to how many. */
  readonly #lent = new Map<number, number>();
  /** Those of them that the guest has closed, or never had. */
  readonly #recalled = new Set<number>();

  /** Throws what the system says of the path. */
  constructor(options: ShareOptions) {
    this.#options = options;
    const { byDescriptor, maxDescriptors } = options;
    const path = realpathSync(options.path);
    this.path = path;
    this.#root = openRoot(path, byDescriptor);
    this.#inodes = new Inodes(this.#root, { path, byDescriptor, maxHeld: Math.floor(maxDescriptors / 2) });
    this.#rootDevice = this.#inodes.stat(this.#inodes.root).dev;
  }

  /** What it holds, for tests. */
  get held(): { readonly inodes: number; readonly descriptors: number; readonly handles: number } {
    return { inodes: this.#inodes.count, descriptors: this.#inodes.held, handles: this.#handles.size };
  }

  reset(): void {
    for (const handle of [...this.#handles.values()]) this.#close(handle);
    this.#handles.clear();
    this.#inodes.reset();
  }

  save(): SessionRecord {
    const handles = [...this.#handles].map(([handle, open]) => ({
      handle,
      inode: open.inode.id,
      ...(open.directory === undefined && { flags: open.flags }),
    }));
    return { inodes: this.#inodes.records(), handles };
  }

  restore({ inodes, handles }: SessionRecord): void {
    this.reset();
    this.#inodes.bringBack(inodes);
    for (const { handle, inode, flags } of handles) {
      this.#nextHandle = Math.max(this.#nextHandle, handle + 1);
      try {
        this.#handles.set(handle, this.#opened(this.#inodes.get(inode), flags));
      } catch {
        // It is gone, or another one: to the guest the handle is bad.
      }
    }
  }

  lookup(parent: number, name: string): Entry {
    const { inode, stats } = this.#inodes.find(this.#inodes.directory(parent), name);
    return this.#entry(inode, stats);
  }

  forget(node: number, count: number): void {
    this.#inodes.forget(node, count);
  }

  attributes(node: number, handle?: number): Attributes {
    const inode = this.#inodes.get(node);
    return this.#attributes(handle === undefined ? this.#inodes.stat(inode) : this.#statOpen(inode, handle));
  }

  change(node: number, changes: Changes, handle?: number): Attributes {
    this.#mustBeWritable();
    const inode = this.#inodes.get(node);
    if (changes.size !== undefined) this.#resize(inode, changes.size, handle);
    if (this.#options.asRoot && (changes.uid !== undefined || changes.gid !== undefined)) {
      // -1 leaves it as it is.
      this.#setOwner(inode, { uid: changes.uid ?? 0xffff_ffff, gid: changes.gid ?? 0xffff_ffff });
    }
    if (changes.mode !== undefined) chmodSync(this.#inodes.pathOf(inode), safeMode(inode.type, changes.mode));
    if (changes.atimeNs !== undefined || changes.mtimeNs !== undefined) {
      const stats = this.#inodes.stat(inode);
      const [atime, mtime] = [seconds(changes.atimeNs, stats.atimeNs), seconds(changes.mtimeNs, stats.mtimeNs)];
      if (inode.type === S_IFLNK) lutimesSync(this.#linkPath(inode), atime, mtime);
      else utimesSync(this.#inodes.pathOf(inode), atime, mtime);
    }
    return this.#attributes(this.#inodes.stat(inode));
  }

  readLink(node: number): string {
    const inode = this.#inodes.get(node);
    if (inode.type !== S_IFLNK) throw new ShareError("EINVAL");
    // A link is read by its name: what was read is its own when it is still there afterwards, or another one's of this directory.
    const target = readlinkSync(this.#linkPath(inode), { encoding: "latin1" });
    const { parent, name } = inode;
    if (parent === undefined || this.#inodes.find(parent, name).inode !== inode) throw new ShareError("ESTALE");
    return target;
  }

  symlink(parent: number, name: string, target: string, owner: Owner): Entry {
    const directory = this.#writableDirectory(parent);
    symlinkSync(Buffer.from(target, "latin1"), this.#inodes.pathIn(directory, name));
    return this.#made(directory, name, owner);
  }

  makeFile(parent: number, name: string, mode: number, owner: Owner): Entry {
    const directory = this.#writableDirectory(parent);
    closeSync(openSync(this.#inodes.pathIn(directory, name), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode & 0o777));
    return this.#made(directory, name, owner, mode);
  }

  makeDirectory(parent: number, name: string, mode: number, owner: Owner): Entry {
    const directory = this.#writableDirectory(parent);
    mkdirSync(this.#inodes.pathIn(directory, name), mode & 0o777);
    return this.#made(directory, name, owner, mode);
  }

  unlink(parent: number, name: string): void {
    const directory = this.#writableDirectory(parent);
    const inode = directory.children.get(name);
    if (inode !== undefined) this.#inodes.keep(inode);
    unlinkSync(this.#inodes.pathIn(directory, name));
    this.#inodes.nameRemoved(directory, name);
  }

  removeDirectory(parent: number, name: string): void {
    const directory = this.#writableDirectory(parent);
    rmdirSync(this.#inodes.pathIn(directory, name));
    this.#inodes.nameRemoved(directory, name);
  }

  rename(parent: number, name: string, newParent: number, newName: string): void {
    const [from, to] = [this.#writableDirectory(parent), this.#writableDirectory(newParent)];
    const replaced = to.children.get(newName);
    if (replaced !== undefined) this.#inodes.keep(replaced);
    // The second path must not cost the first its descriptor.
    this.#inodes.pathIn(to, newName);
    renameSync(this.#inodes.pathIn(from, name), this.#inodes.pathIn(to, newName));
    this.#inodes.renamed(from, name, to, newName);
  }

  link(node: number, newParent: number, newName: string): Entry {
    const inode = this.#inodes.get(node);
    const to = this.#writableDirectory(newParent);
    if (inode.type === S_IFDIR) throw new ShareError("EPERM");
    // link(2) follows no link at the end of the old path: what was swapped in there is linked itself, and found out.
    const target = this.#inodes.pathIn(to, newName);
    linkSync(this.#linkPath(inode), target);
    const made = lstatSync(target, { bigint: true });
    if (`${made.dev}:${made.ino}` === inode.key) return this.#entry(this.#inodes.adopt(to, newName, made), made);
    unlinkSync(target);
    throw new ShareError("ESTALE");
  }

  open(node: number, flags: OpenFlags): Opened {
    const inode = this.#inodes.get(node);
    if (flags.write || flags.truncate) this.#mustBeWritable();
    this.#mustHaveRoom();
    const fd = this.#inodes.openFile(inode, hostFlags(flags));
    if (flags.truncate) this.#orClose(fd, () => ftruncateSync(fd, 0));
    const stats = fstatSync(fd, { bigint: true });
    const now = BigInt(Date.now()) * 1_000_000n;
    const state = `${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
    const keepCache = inode.cached === state;
    inode.cached = now - stats.ctimeNs > settledNs ? state : "";
    return { keepCache, ...this.#addFile(inode, fd, flags) };
  }

  create(parent: number, name: string, flags: OpenFlags, mode: number, owner: Owner): Entry & Opened {
    const directory = this.#writableDirectory(parent);
    this.#mustHaveRoom();
    const path = this.#inodes.pathIn(directory, name);
    const existed = flags.exclusive ? undefined : lstatSync(path, { bigint: true, throwIfNoEntry: false });
    const extra = O_CREAT | O_NOFOLLOW | O_NONBLOCK | (flags.exclusive ? O_EXCL : 0);
    const fd = openSync(path, hostFlags(flags) | extra, mode & 0o777);
    return this.#orClose(fd, () => {
      let stats = fstatSync(fd, { bigint: true });
      if ((Number(stats.mode) & constants.S_IFMT) !== S_IFREG) throw new ShareError("EEXIST");
      if (existed === undefined || existed.ino !== stats.ino) {
        const toGive = this.#isForeign(stats, owner);
        const toChange = permissions(stats) !== safeMode(S_IFREG, mode);
        if (toGive) fchownSync(fd, owner.uid, owner.gid);
        if (toChange) fchmodSync(fd, safeMode(S_IFREG, mode));
        if (toGive || toChange) stats = fstatSync(fd, { bigint: true });
      } else if (flags.truncate) {
        ftruncateSync(fd, 0);
        stats = fstatSync(fd, { bigint: true });
      }
      const inode = this.#inodes.adopt(directory, name, stats);
      return { ...this.#entry(inode, stats), keepCache: false, ...this.#addFile(inode, fd, flags) };
    });
  }

  read(node: number, handle: number, offset: number, targets: readonly Uint8Array[]): number {
    const { fd } = this.#file(node, handle);
    return fileOperations.read(fd, offset, targets);
  }

  write(node: number, handle: number, offset: number, sources: readonly Uint8Array[]): number {
    this.#mustBeWritable();
    const { fd } = this.#file(node, handle);
    return fileOperations.write(fd, offset, sources);
  }

  sync(node: number, handle: number, dataOnly: boolean): void {
    fileOperations.sync(this.#file(node, handle).fd, dataOnly);
  }

  release(_node: number, handle: number): void {
    const open = this.#handles.get(handle);
    if (open === undefined) throw new ShareError("EBADF");
    this.#handles.delete(handle);
    this.#close(open);
  }

  openDirectory(node: number): number {
    const inode = this.#inodes.directory(node);
    this.#mustHaveRoom();
    return this.#addHandle(this.#opened(inode, undefined));
  }

  readDirectory(node: number, handle: number, offset: number, take: (entry: DirectoryEntry) => boolean): void {
    const open = this.#handles.get(handle);
    if (open?.directory === undefined || open.inode.id !== node) throw new ShareError("EBADF");
    open.directory.read(checkedOffset(offset), take);
  }

  syncDirectory(node: number): void {
    const fd = this.lendDirectory(node);
    try {
      fileOperations.sync(fd, false);
    } finally {
      this.returned(fd);
    }
  }

  statistics(node: number): FileSystemStats {
    const s = statfsSync(this.#inodes.pathOf(this.#inodes.get(node)), { bigint: true });
    return {
      blockSize: Number(s.bsize),
      blocks: s.blocks,
      free: s.bfree,
      available: s.bavail,
      files: s.files,
      filesFree: s.ffree,
    };
  }

  lend(node: number, handle: number): number {
    return this.#lend(this.#file(node, handle).fd);
  }

  lendDirectory(node: number): number {
    this.#mustHaveRoom();
    const fd = openSync(this.#inodes.pathOf(this.#inodes.directory(node)), O_RDONLY);
    this.#recalled.add(fd);
    return this.#lend(fd);
  }

  returned(file: number): void {
    const others = (this.#lent.get(file) ?? 0) - 1;
    if (others > 0) return void this.#lent.set(file, others);
    this.#lent.delete(file);
    if (this.#recalled.delete(file)) closeSync(file);
  }

  /** Gives up all descriptors, the root's too. Requires: nobody uses what was lent any more. */
  close(): void {
    this.onRecall = undefined;
    this.reset();
    for (const file of this.#recalled) closeSync(file);
    this.#recalled.clear();
    this.#lent.clear();
    closeSync(this.#root);
  }

  #lend(fd: number): number {
    this.#lent.set(fd, (this.#lent.get(fd) ?? 0) + 1);
    return fd;
  }

  #mustBeWritable(): void {
    if (this.#options.readOnly) throw new ShareError("EROFS");
  }

  #mustHaveRoom(): void {
    if (this.#handles.size + this.#recalled.size >= this.#options.maxDescriptors / 2) throw new ShareError("ENFILE");
  }

  #writableDirectory(node: number): Inode {
    this.#mustBeWritable();
    return this.#inodes.directory(node);
  }

  #file(node: number, handle: number): OpenFile {
    const open = this.#handles.get(handle);
    if (open === undefined || open.directory !== undefined || open.inode.id !== node) throw new ShareError("EBADF");
    return open;
  }

  #statOpen(inode: Inode, handle: number): BigIntStats {
    const open = this.#handles.get(handle);
    if (open?.inode !== inode || open.directory !== undefined) return this.#inodes.stat(inode);
    return fstatSync(open.fd, { bigint: true });
  }

  #resize(inode: Inode, size: number, handle: number | undefined): void {
    const open = handle === undefined ? undefined : this.#handles.get(handle);
    if (open?.inode === inode && open.directory === undefined) return ftruncateSync(open.fd, size);
    const fd = this.#inodes.openFile(inode, O_WRONLY | O_NONBLOCK);
    try {
      ftruncateSync(fd, size);
    } finally {
      closeSync(fd);
    }
  }

  /** What was just made under this name, with the owner and mode that it is to have. */
  #made(directory: Inode, name: string, owner: Owner, mode?: number): Entry {
    const { inode, stats } = this.#inodes.find(directory, name);
    const wanted = mode === undefined ? permissions(stats) : safeMode(inode.type, mode);
    const toGive = this.#isForeign(stats, owner);
    const toChange = permissions(stats) !== wanted;
    if (toGive) this.#setOwner(inode, owner);
    if (toChange) chmodSync(this.#inodes.pathOf(inode), wanted);
    return this.#entry(inode, toGive || toChange ? this.#inodes.stat(inode) : stats);
  }

  /** Whether what we made is to be given to its owner. */
  #isForeign({ uid, gid }: BigIntStats, owner: Owner): boolean {
    return this.#options.asRoot && (Number(uid) !== owner.uid || Number(gid) !== owner.gid);
  }

  #setOwner(inode: Inode, { uid, gid }: Owner): void {
    if (inode.type === S_IFLNK) lchownSync(this.#linkPath(inode), uid, gid);
    else chownSync(this.#inodes.pathOf(inode), uid, gid);
  }

  /** A link by its name, for what does not follow it: another file that is there by now is one of this directory, too. */
  #linkPath({ parent, name }: Inode): Buffer {
    if (parent === undefined) throw new ShareError("ESTALE");
    return this.#inodes.pathIn(parent, name);
  }

  #entry(inode: Inode, stats: BigIntStats): Entry {
    inode.lookups++;
    return { node: inode.id, attributes: this.#attributes(stats) };
  }

  #attributes(s: BigIntStats): Attributes {
    const { asRoot, uid, gid } = this.#options;
    return {
      // File systems that are mounted within have numbers of their own.
      ino: s.dev === this.#rootDevice ? s.ino : s.ino ^ (s.dev << 40n),
      size: s.size,
      blocks: s.blocks,
      atimeNs: s.atimeNs,
      mtimeNs: s.mtimeNs,
      ctimeNs: s.ctimeNs,
      mode: Number(s.mode),
      nlink: Number(s.nlink),
      uid: !asRoot && Number(s.uid) === uid ? 0 : Number(s.uid),
      gid: !asRoot && Number(s.gid) === gid ? 0 : Number(s.gid),
      rdev: Number(BigInt.asUintN(32, s.rdev)),
      blksize: Number(s.blksize),
    };
  }

  #addFile(inode: Inode, fd: number, flags: OpenFlags): { readonly handle: number; readonly file?: number } {
    inode.open.add(fd);
    // Files that are written through take their time.
    const lent = this.onRecall !== undefined && !flags.sync;
    const handle = this.#addHandle({ inode, fd, flags, lent });
    return { handle, ...(lent && { file: this.#lend(fd) }) };
  }

  /** Without flags a directory. */
  #opened(inode: Inode, flags: OpenFlags | undefined): Handle {
    if (flags === undefined) return { inode, directory: new OpenDirectory(() => this.#inodes.pathOf(inode)) };
    if (flags.write) this.#mustBeWritable();
    const fd = this.#inodes.openFile(inode, hostFlags(flags));
    inode.open.add(fd);
    return { inode, fd, flags, lent: false };
  }

  #addHandle(handle: Handle): number {
    this.#handles.set(this.#nextHandle, handle);
    return this.#nextHandle++;
  }

  #close(open: Handle): void {
    if (open.directory !== undefined) return open.directory.close();
    this.#inodes.closed(open.inode, open.fd);
    if (!this.#lent.has(open.fd)) return closeSync(open.fd);
    this.#recalled.add(open.fd);
    if (open.lent) this.onRecall?.(open.fd);
  }

  #orClose<T>(fd: number, use: () => T): T {
    try {
      return use();
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}

function hostFlags(flags: OpenFlags): number {
  const access = flags.write ? (flags.read ? O_RDWR : O_WRONLY) : O_RDONLY;
  return access | O_NONBLOCK | (flags.append ? O_APPEND : 0) | (flags.sync ? O_SYNC : 0);
}

const permissions = ({ mode }: BigIntStats): number => Number(mode) & 0o7777;
const safeMode = (type: number, mode: number): number => (type === S_IFDIR ? mode : mode & ~0o6000);

function checkedOffset(offset: number): number {
  if (offset < 0) throw new ShareError("EINVAL");
  return offset;
}

/** Node takes times as seconds, which a double holds to about a quarter of a microsecond. */
function seconds(time: NewTime | undefined, now: bigint): number {
  return time === "now" ? Date.now() / 1000 : Number(time ?? now) / 1e9;
}

/** On descriptors, which may be another share's on another thread. */
export const fileOperations: FileOperations = {
  read: (fd, offset, targets) => transfer(targets, (views, done) => readvSync(fd, views, checkedOffset(offset) + done)),
  write: (fd, offset, sources) =>
    transfer(sources, (views, done) => writevSync(fd, views, checkedOffset(offset) + done)),
  sync: (fd, dataOnly) => (dataOnly ? fdatasyncSync(fd) : fsyncSync(fd)),
};

/** Moves bytes of all pieces, in as many calls as it takes; an error after the first bytes is for the next request to meet. */
function transfer(pieces: readonly Uint8Array[], move: (views: Uint8Array[], done: number) => number): number {
  let done = 0;
  let left = [...pieces];
  while (left.length > 0) {
    let moved: number;
    try {
      moved = move(left, done);
    } catch (error) {
      if (done > 0) return done;
      throw error;
    }
    if (moved === 0) break;
    done += moved;
    left = behind(left, moved);
  }
  return done;
}

function behind(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  let skip = bytes;
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length;
    else {
      left.push(piece.subarray(skip));
      skip = 0;
    }
  }
  return left;
}
