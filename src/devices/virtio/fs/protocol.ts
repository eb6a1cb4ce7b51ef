/**
 * FUSE's protocol as a virtio-fs device speaks it (linux/fuse.h, version 7.31): numbers, and where fields lie in structures.
 * All of it is little-endian.
 */

export const fuseMajor = 7;
export const fuseMinor = 31;
/** Below this, structures are shorter than ours. Linux 4.20 has it. */
export const oldestMinor = 28;

export const opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  access: 34,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
} as const;

/** fuse_in_header: u32 length, opcode; u64 unique, node; u32 uid, gid, pid, padding. */
export const inHeaderBytes = 40;
/** fuse_out_header: u32 length; i32 error; u64 unique. */
export const outHeaderBytes = 16;
/** A request moves so much data at most. */
export const maxWriteBytes = 1 << 20;
/** fuse_write_in; the data follows. */
export const writeArgumentBytes = 40;
export const attributeBytes = 88;
export const entryBytes = 40 + attributeBytes;
/** fuse_dirent before the name; a whole one is padded to 8. */
export const dirEntryBytes = 24;

/** FUSE_* of fuse_init_in and _out. */
export const initFlag = {
  asyncRead: 1 << 0,
  atomicTruncate: 1 << 3,
  bigWrites: 1 << 5,
  autoInvalidate: 1 << 12,
  readdirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  asyncDirectIo: 1 << 15,
  parallelDirectories: 1 << 18,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
} as const;

/** FOPEN_*. */
export const openFlag = { directIo: 1 << 0, keepCache: 1 << 1 } as const;

/** FALLOC_FL_* of fallocate(2). */
export const allocateFlag = { keepSize: 1 << 0, punchHole: 1 << 1, zeroRange: 1 << 4 } as const;

/** SEEK_* of lseek(2) that a kernel asks for. */
export const seekTo = { data: 3, hole: 4 } as const;

/** FATTR_* of fuse_setattr_in. */
export const setFlag = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  handle: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
} as const;

/** O_* of open(2) as x86-64 Linux has them. */
export const accessMode = 3;
export const openMode = {
  write: 1,
  readWrite: 2,
  exclusive: 0o200,
  truncate: 0o1000,
  append: 0o2000,
  sync: 0o4010000,
} as const;

/** S_IF*. */
export const fileType = { mask: 0o170000, directory: 0o040000, regular: 0o100000, link: 0o120000 } as const;

/** FUSE_FSYNC_FDATASYNC. */
export const fsyncDataOnly = 1;

/** Linux's numbers of errors, by their names. */
export const errno: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ENOTSUP: 95,
  ESTALE: 116,
  EDQUOT: 122,
};
