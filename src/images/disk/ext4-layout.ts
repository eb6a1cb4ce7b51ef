/**
 * Where things are in an ext4 file system of ours (kernel documentation, "ext4 Data Structures and Algorithms"): blocks of 4 KiB, groups
 * of 128 MiB, all whole, no checksums of metadata, a journal. Each group: in some a copy of the superblock and of the group
 * descriptors, then the two bitmaps, the inode table, data.
 */
export const blockSize = 4096;
export const blocksPerGroup = 32768;
export const groupBytes = blockSize * blocksPerGroup;
export const inodeSize = 256;
export const inodesPerGroup = 8192;
const inodeTableBlocks = (inodesPerGroup * inodeSize) / blockSize;
const descriptorSize = 32;

export const rootInode = 2;
export const journalInode = 8;
export const lostAndFoundInode = 11;
export const firstFreeInode = 12;
/** 16 MiB. */
export const journalBlocks = 4096;

export interface Group {
  readonly first: number;
  readonly hasSuperblock: boolean;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** The first block of data. */
  readonly data: number;
}

export interface Layout {
  readonly groups: readonly Group[];
  readonly descriptorBlocks: number;
}

export function layOut(sizeBytes: number): Layout {
  const count = sizeBytes / groupBytes;
  const descriptorBlocks = Math.ceil((count * descriptorSize) / blockSize);
  const groups = Array.from({ length: count }, (_, index): Group => {
    const first = index * blocksPerGroup;
    const hasSuperblock = isSparse(index);
    const blockBitmap = first + (hasSuperblock ? 1 + descriptorBlocks : 0);
    const inodeTable = blockBitmap + 2;
    return {
      first,
      hasSuperblock,
      blockBitmap,
      inodeBitmap: blockBitmap + 1,
      inodeTable,
      data: inodeTable + inodeTableBlocks,
    };
  });
  return { groups, descriptorBlocks };
}

/** Groups with a copy of the superblock: 0, 1 and the powers of 3, 5 and 7 (sparse_super). */
function isSparse(group: number): boolean {
  const isPower = (base: number): boolean => {
    let value = base;
    while (value < group) value *= base;
    return value === group;
  };
  return group <= 1 || isPower(3) || isPower(5) || isPower(7);
}

export interface Usage {
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly folders: number;
}

export function descriptors(layout: Layout, usage: readonly Usage[]): Uint8Array {
  const bytes = new Uint8Array(layout.descriptorBlocks * blockSize);
  const view = new DataView(bytes.buffer);
  layout.groups.forEach((group, i) => {
    const at = i * descriptorSize;
    view.setUint32(at, group.blockBitmap, true);
    view.setUint32(at + 4, group.inodeBitmap, true);
    view.setUint32(at + 8, group.inodeTable, true);
    view.setUint16(at + 12, usage[i].freeBlocks, true);
    view.setUint16(at + 14, usage[i].freeInodes, true);
    view.setUint16(at + 16, usage[i].folders, true);
  });
  return bytes;
}

export interface Identity {
  readonly uuid: Uint8Array;
  /** At most 16 bytes. */
  readonly label: string;
  /** Seconds since 1970. */
  readonly made: number;
}

const compatible = { hasJournal: 0x4, extendedAttributes: 0x8, folderIndex: 0x20 };
const incompatible = { fileType: 0x2, extents: 0x40 };
const readOnlyCompatible = { sparseSuper: 0x1, largeFile: 0x2, folderLinks: 0x20, extraInodeSize: 0x40 };
const sum = (flags: Readonly<Record<string, number>>): number => Object.values(flags).reduce((a, b) => a | b, 0);

/** The 1024 bytes of struct ext4_super_block. `journalBlocksField`: i_block of the journal's inode, and its size. */
export function superblock(
  layout: Layout,
  usage: readonly Usage[],
  identity: Identity,
  group: number,
  journalMap: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(1024);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const total = (pick: (each: Usage) => number): number => usage.reduce((all, each) => all + pick(each), 0);
  const count = layout.groups.length;
  u32(0x00, count * inodesPerGroup);
  u32(0x04, count * blocksPerGroup);
  u32(
    0x0c,
    total((each) => each.freeBlocks),
  );
  u32(
    0x10,
    total((each) => each.freeInodes),
  );
  u32(0x18, 2); // log2 of the block size, less 10
  u32(0x1c, 2);
  u32(0x20, blocksPerGroup);
  u32(0x24, blocksPerGroup);
  u32(0x28, inodesPerGroup);
  u32(0x30, identity.made);
  u16(0x36, 0xffff); // never check by the number of mounts
  u16(0x38, 0xef53);
  u16(0x3a, 1); // clean
  u16(0x3c, 1); // go on after an error
  u32(0x40, identity.made);
  u32(0x4c, 1); // dynamic revision
  u32(0x54, 11);
  u16(0x58, inodeSize);
  u16(0x5a, group);
  u32(0x5c, sum(compatible));
  u32(0x60, sum(incompatible));
  u32(0x64, sum(readOnlyCompatible));
  bytes.set(identity.uuid.subarray(0, 16), 0x68);
  bytes.set(new TextEncoder().encode(identity.label).subarray(0, 16), 0x78);
  u32(0xe0, journalInode);
  bytes.set(identity.uuid.subarray(0, 16), 0xec); // seed of the hash of names
  bytes[0xfc] = 1; // half MD4
  bytes[0xfd] = 1; // the journal's inode is copied below
  u32(0x100, 0xc); // user_xattr, acl
  u32(0x108, identity.made);
  bytes.set(journalMap, 0x10c);
  u32(0x10c + 64, journalBlocks * blockSize);
  u16(0x15c, 32);
  u16(0x15e, 32);
  u32(0x160, 1); // the hash takes characters with a sign, as x86 does
  return bytes;
}

/** The journal's first block (struct journal_superblock_s, big-endian): an empty journal. */
export function journalSuperblock(identity: Identity): Uint8Array {
  const bytes = new Uint8Array(blockSize);
  const view = new DataView(bytes.buffer);
  view.setUint32(0x00, 0xc03b3998);
  view.setUint32(0x04, 4);
  view.setUint32(0x0c, blockSize);
  view.setUint32(0x10, journalBlocks);
  view.setUint32(0x14, 1);
  view.setUint32(0x18, 1);
  bytes.set(identity.uuid.subarray(0, 16), 0x30);
  view.setUint32(0x40, 1);
  return bytes;
}
