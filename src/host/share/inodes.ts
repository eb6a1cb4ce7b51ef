/**
 * The files of a share that the guest knows, and the only place that makes paths of them.
 *
 * Law: no path that is made here leads out of the shared directory, whoever renames and links what meanwhile. On Linux each
 * directory is held by a descriptor (O_PATH), and `/proc/self/fd/N/NAME` is looked up in that very directory: one component, which
 * no caller follows when it is a symbolic link. A descriptor is got from its parent's by one such step with O_NOFOLLOW, and is then
 * compared with the file that the guest was told of. (docs/shares.md has the argument at length.)
 *
 * Only some descriptors are held; others are got again when they are needed, from the name that the file had last. One that is not
 * found there any more is stale, and the guest looks it up anew. A path is good until the next `get`, which lets descriptors go.
 *
 * Hosts without /proc/self/fd (macOS, BSD): paths are names from the shared directory on, and each directory on the way is compared
 * with what the guest was told of before each use. A program of the host that puts a link in a directory's place at just that moment
 * is not noticed.
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { type InodeRecord, ShareError } from "#devices";

/** O_PATH of Linux; Node has no name for it. */
const O_PATH = 0o10000000;
/** A guest with 3 GiB of memory cannot hold more inodes than this. */
const maxInodes = 1 << 19;
/** A tree that is deeper is walked no more. */
const maxDepth = 4096;

/** By what a file is known again, whatever its name. */
interface Identity {
  readonly key: string;
  readonly birthNs: bigint;
  /** S_IFMT of its mode. */
  readonly type: number;
}

export class Inode implements Identity {
  /** The number by which the guest knows it. */
  readonly id: number;
  readonly key: string;
  readonly birthNs: bigint;
  /** S_IFMT of its mode. */
  readonly type: number;
  /** Where it was found last; no parent: the root, or a file that has no name any more. */
  parent: Inode | undefined;
  name = "";
  /** Those found in it last. */
  readonly children = new Map<string, Inode>();
  /** How often the guest was told of it and has not forgotten. */
  lookups = 0;
  /** Names that it had when it was last looked at. */
  links = 1;
  /** O_PATH, or -1. */
  fd = -1;
  /** Descriptors that the guest has it open by. */
  readonly open = new Set<number>();
  /** State of the contents that the guest may have in its cache. */
  cached = "";

  constructor(id: number, { key, birthNs, type }: Identity) {
    this.id = id;
    this.key = key;
    this.birthNs = birthNs;
    this.type = type;
  }
}

export class Inodes {
  readonly root: Inode;
  readonly #byId = new Map<number, Inode>();
  readonly #byKey = new Map<string, Inode>();
  /** Inodes with a descriptor, the one used longest ago first. */
  readonly #held = new Set<Inode>();
  readonly #rootPath: string;
  readonly #byDescriptor: boolean;
  readonly #maxHeld: number;
  #nextId = 1;

  /** `fd`: of the shared directory; it stays open. */
  constructor(fd: number, { path, byDescriptor, maxHeld }: InodesOptions) {
    this.#rootPath = path;
    this.#byDescriptor = byDescriptor;
    this.#maxHeld = maxHeld;
    this.root = this.#add(fstatSync(fd, { bigint: true }));
    this.root.fd = fd;
    this.root.lookups = 1;
  }

  get count(): number {
    return this.#byId.size;
  }

  /** Descriptors held besides the root's. */
  get held(): number {
    return this.#held.size;
  }

  /** Throws ESTALE for a number that the guest has not been told, or has forgotten. Paths made before are not good any more. */
  get(id: number): Inode {
    while (this.#held.size > this.#maxHeld) this.#letGo();
    const inode = this.#byId.get(id);
    if (inode === undefined) throw new ShareError("ESTALE");
    return inode;
  }

  directory(id: number): Inode {
    const inode = this.get(id);
    if (inode.type !== constants.S_IFDIR) throw new ShareError("ENOTDIR");
    return inode;
  }

  /** The path of a name in a directory. Its last component may be a link: callers do not follow it. */
  pathIn(parent: Inode, name: string): Buffer {
    if (!this.#byDescriptor) return Buffer.from(`${this.#checkedPath(parent)}/${name}`, "latin1");
    return Buffer.from(`/proc/self/fd/${this.#anchor(parent)}/${name}`, "latin1");
  }

  /** The path of a file itself, whatever its name is by now. A symbolic link is itself, too: it is not followed. */
  pathOf(inode: Inode): Buffer {
    if (this.#byDescriptor) return Buffer.from(`/proc/self/fd/${this.#anchor(inode)}`);
    // Its path would be followed.
    if (inode.type === constants.S_IFLNK) throw new ShareError("EOPNOTSUPP");
    return Buffer.from(this.#checkedPath(inode), "latin1");
  }

  /** What a name in a directory stands for now. Throws ENOENT. */
  find(parent: Inode, name: string): { readonly inode: Inode; readonly stats: BigIntStats } {
    const stats = lstatSync(this.pathIn(parent, name), { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) throw new ShareError("ENOENT");
    return { inode: this.adopt(parent, name, stats), stats };
  }

  /** The inode of a file that was just found under this name. */
  adopt(parent: Inode, name: string, stats: BigIntStats): Inode {
    const key = keyOf(stats);
    let inode = this.#byKey.get(key);
    // The host uses numbers of removed files again.
    if (inode === undefined || !isSame(inode, stats)) inode = this.#add(stats);
    inode.links = Number(stats.nlink);
    if (inode !== this.root && (inode.parent !== parent || inode.name !== name)) this.#place(inode, parent, name);
    return inode;
  }

  /** Throws ESTALE when the file is not where it was found last. */
  stat(inode: Inode): BigIntStats {
    const fd = descriptorOf(inode);
    if (fd >= 0) return fstatSync(fd, { bigint: true });
    if (inode.parent === undefined) throw new ShareError("ESTALE");
    const path = this.pathIn(inode.parent, inode.name);
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined || !isSame(inode, stats)) throw new ShareError("ESTALE");
    return stats;
  }

  /** Opens a regular file. Throws ESTALE when it is not where it was found last. */
  openFile(inode: Inode, flags: number): number {
    if (inode.type === constants.S_IFDIR) throw new ShareError("EISDIR");
    // Pipes and devices are the guest's own: opening the host's could wait for good, or do something.
    if (inode.type !== constants.S_IFREG) throw new ShareError("ENXIO");
    if (this.#byDescriptor && descriptorOf(inode) >= 0) return openSync(this.pathOf(inode), flags);
    if (inode.parent === undefined) throw new ShareError("ESTALE");
    const path = this.pathIn(inode.parent, inode.name);
    const fd = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (isSame(inode, fstatSync(fd, { bigint: true }))) return fd;
    closeSync(fd);
    throw new ShareError("ESTALE");
  }

  /** The file is about to lose a name: where it may have another, or is in use, it is held by a descriptor. */
  keep(inode: Inode): void {
    if (this.#byDescriptor && descriptorOf(inode) < 0 && inode.links > 1) this.#anchor(inode);
  }

  /** The name is no more. */
  nameRemoved(parent: Inode, name: string): void {
    const inode = parent.children.get(name);
    if (inode === undefined) return;
    parent.children.delete(name);
    inode.parent = undefined;
    this.#dropUnused(inode);
  }

  renamed(parent: Inode, name: string, newParent: Inode, newName: string): void {
    if (parent === newParent && name === newName) return;
    const inode = parent.children.get(name);
    this.nameRemoved(newParent, newName);
    if (inode !== undefined) this.#place(inode, newParent, newName);
  }

  forget(id: number, count: number): void {
    const inode = this.#byId.get(id);
    if (inode === undefined || inode === this.root) return;
    inode.lookups = Math.max(0, inode.lookups - count);
    this.#dropUnused(inode);
  }

  /** A descriptor of the guest's was closed. */
  closed(inode: Inode, fd: number): void {
    inode.open.delete(fd);
    this.#dropUnused(inode);
  }

  /** Forgets all but the root. */
  reset(): void {
    for (const inode of this.#held) closeSync(inode.fd);
    this.#held.clear();
    this.#byId.clear();
    this.#byKey.clear();
    this.root.children.clear();
    this.#byId.set(this.root.id, this.root);
    this.#byKey.set(this.root.key, this.root);
  }

  /** All but the root, for `bringBack`. */
  records(): InodeRecord[] {
    return [...this.#byId.values()]
      .filter((inode) => inode !== this.root)
      .map(({ id, parent, name, key, birthNs, type, lookups }) => ({
        ...{ id, parent: parent?.id ?? 0, name: parent ? name : "", key, birthNs: `${birthNs}`, type, lookups },
      }));
  }

  /** Requires: nothing but the root is known. Whether a file is still where it was, is seen when it is used. */
  bringBack(records: readonly InodeRecord[]): void {
    for (const { id, key, birthNs, type, lookups } of records.slice(0, maxInodes)) {
      if (this.#byId.has(id)) continue;
      const inode = new Inode(id, { key, birthNs: BigInt(birthNs), type });
      inode.lookups = lookups;
      this.#nextId = Math.max(this.#nextId, id + 1);
      this.#byId.set(id, inode);
      this.#byKey.set(key, inode);
    }
    for (const { id, parent, name } of records) {
      const [inode, directory] = [this.#byId.get(id), this.#byId.get(parent)];
      if (inode && directory && inode !== this.root) this.#place(inode, directory, name);
    }
  }

  #add(stats: BigIntStats): Inode {
    if (this.#byId.size >= maxInodes) throw new ShareError("ENFILE");
    const inode = new Inode(this.#nextId++, identityOf(stats));
    this.#byId.set(inode.id, inode);
    this.#byKey.set(inode.key, inode);
    return inode;
  }

  #place(inode: Inode, parent: Inode, name: string): void {
    const before = inode.parent;
    if (before?.children.get(inode.name) === inode) before.children.delete(inode.name);
    const other = parent.children.get(name);
    if (other !== undefined) other.parent = undefined;
    inode.parent = parent;
    inode.name = name;
    parent.children.set(name, inode);
    if (other !== undefined) this.#dropUnused(other);
    if (before !== undefined) this.#dropUnused(before);
  }

  /** Inodes that the guest has forgotten go, unless others are found through them. */
  #dropUnused(first: Inode): void {
    for (let inode: Inode | undefined = first; inode !== undefined; ) {
      const used = inode.lookups > 0 || inode.children.size > 0 || inode.open.size > 0 || inode === this.root;
      if (used || this.#byId.get(inode.id) !== inode) return;
      this.#byId.delete(inode.id);
      if (this.#byKey.get(inode.key) === inode) this.#byKey.delete(inode.key);
      if (this.#held.delete(inode)) closeSync(inode.fd);
      inode.fd = -1;
      const parent: Inode | undefined = inode.parent;
      if (parent?.children.get(inode.name) === inode) parent.children.delete(inode.name);
      inode.parent = undefined;
      inode = parent;
    }
  }

  /** A descriptor of the file, for a path by it: good until the next call. */
  #anchor(inode: Inode): number {
    const fd = descriptorOf(inode);
    if (fd >= 0) {
      if (this.#held.delete(inode)) this.#held.add(inode);
      return fd;
    }
    const missing: Inode[] = [];
    let from: Inode = inode;
    while (descriptorOf(from) < 0) {
      if (from.parent === undefined || missing.push(from) > maxDepth) throw new ShareError("ESTALE");
      from = from.parent;
    }
    let parentFd = descriptorOf(from);
    for (const each of missing.reverse()) parentFd = this.#hold(each, parentFd);
    return parentFd;
  }

  /** Requires: `parentFd` is of the inode's parent. */
  #hold(inode: Inode, parentFd: number): number {
    const path = Buffer.from(`/proc/self/fd/${parentFd}/${inode.name}`, "latin1");
    const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
    if (!isSame(inode, fstatSync(fd, { bigint: true }))) {
      closeSync(fd);
      throw new ShareError("ESTALE");
    }
    inode.fd = fd;
    this.#held.add(inode);
    return fd;
  }

  /** Closes the descriptor that was not used for the longest time. */
  #letGo(): void {
    for (const inode of this.#held) {
      closeSync(inode.fd);
      inode.fd = -1;
      this.#held.delete(inode);
      return;
    }
  }

  /** Where there are no descriptors to stand on: the names of a file from the root on, each directory looked at. */
  #checkedPath(inode: Inode): string {
    const names: string[] = [];
    for (let each = inode; each !== this.root; ) {
      if (each.parent === undefined || names.push(each.name) > maxDepth) throw new ShareError("ESTALE");
      each = each.parent;
    }
    let path = this.#rootPath;
    const inodes = this.#chain(inode, names.length);
    for (const [n, name] of names.reverse().entries()) {
      path += `/${name}`;
      const stats = lstatSync(Buffer.from(path, "latin1"), { bigint: true, throwIfNoEntry: false });
      if (stats === undefined || !isSame(inodes[n], stats)) throw new ShareError("ESTALE");
    }
    return path;
  }

  /** The last `depth` inodes on the way to this one. */
  #chain(inode: Inode, depth: number): Inode[] {
    const chain: Inode[] = [];
    for (let each: Inode | undefined = inode; each !== undefined && chain.length < depth; each = each.parent)
      chain.push(each);
    return chain.reverse();
  }
}

export interface InodesOptions {
  /** Of the shared directory, absolute, without links. */
  readonly path: string;
  /** Whether directories are reached through `/proc/self/fd`. */
  readonly byDescriptor: boolean;
  /** Descriptors that are held, at most. */
  readonly maxHeld: number;
}

/** The shared directory's descriptor. Throws what the system says. */
export function openRoot(path: string, byDescriptor: boolean): number {
  return openSync(path, (byDescriptor ? O_PATH : constants.O_RDONLY) | constants.O_DIRECTORY);
}

function descriptorOf(inode: Inode): number {
  if (inode.fd >= 0) return inode.fd;
  for (const fd of inode.open) return fd;
  return -1;
}

const keyOf = (stats: BigIntStats): string => `${stats.dev}:${stats.ino}`;

function identityOf(stats: BigIntStats): Identity {
  return { key: keyOf(stats), birthNs: stats.birthtimeNs, type: Number(stats.mode) & constants.S_IFMT };
}

function isSame(inode: Inode, stats: BigIntStats): boolean {
  const { key, birthNs, type } = identityOf(stats);
  return inode.key === key && inode.type === type && inode.birthNs === birthNs;
}
