import type { ClosableShare } from "./service.ts";
import { type Attributes, type Entry, ShareError } from "./share-host.ts";

const attributes: Attributes = {
  ino: 5n,
  size: 3n,
  blocks: 1n,
  atimeNs: 0n,
  mtimeNs: -1n,
  ctimeNs: 0n,
  mode: 0o100644,
  nlink: 1,
  uid: 0,
  gid: 0,
  rdev: 0,
  blksize: 4096,
};
export const entry: Entry = { node: 2, attributes };

/** A share of one file that answers anything, and counts what it is asked for. */
export function oneFile() {
  const calls: Record<string, number> = {};
  const called = <T>(name: string, value: T): T => {
    calls[name] = (calls[name] ?? 0) + 1;
    return value;
  };
  const share: ClosableShare = {
    close: () => called("close", undefined),
    lend: (_node, handle) => {
      if (handle !== 1) throw new ShareError("EBADF");
      return called("lend", 55);
    },
    lendDirectory: () => called("lend", 56),
    returned: (file) => called(`returned ${file}`, undefined),
    reset: () => called("reset", undefined),
    save: () => ({ inodes: [], handles: [{ handle: 9, inode: 1 }] }),
    restore: (session) => called(`restore ${session.handles.length}`, undefined),
    lookup: () => called("lookup", entry),
    forget: () => called("forget", undefined),
    attributes: () => attributes,
    change: () => attributes,
    readLink: () => "target",
    symlink: () => entry,
    makeFile: () => entry,
    makeDirectory: () => entry,
    unlink: () => called("unlink", undefined),
    removeDirectory: () => {
      throw new ShareError("ENOTEMPTY");
    },
    rename: () => {},
    link: () => entry,
    open: () => called("open", { handle: 1, keepCache: false }),
    create: () => called("create", { ...entry, handle: 1, keepCache: false }),
    read: (_node, _handle, _offset, targets) => {
      for (const target of targets) target.fill(0x61);
      return targets.reduce((sum, each) => sum + each.length, 0);
    },
    write: (_node, _handle, _offset, sources) => sources.reduce((sum, each) => sum + each.length, 0),
    sync: () => {},
    release: () => {},
    openDirectory: () => 1,
    readDirectory: (_node, _handle, offset, take) => {
      for (let n = offset; take({ name: `${n}`, type: 8, next: n + 1 }); n++);
    },
    syncDirectory: () => {},
    statistics: () => ({ blockSize: 4096, blocks: 1n, free: 1n, available: 1n, files: 1n, filesFree: 1n }),
  };
  return { share, calls };
}
