/**
 * Writes a tree as an ext4 file system, once, from front to back: folders and files one behind the other in blocks of
 * their own, then the metadata. What is not written stays a hole: an empty disk of 4 GiB takes a few MiB on the host.
 *
 * Law: the same tree and identity give the same bytes. `e2fsck -f` finds nothing to say.
 */
import { ImageError } from "../image-error.ts";
import type { DiskFolder, DiskNode, DiskTree, Owner } from "./disk-tree.ts";
import {
  blockSize,
  blocksPerGroup,
  descriptors,
  firstFreeInode,
  groupBytes,
  type Identity,
  inodeSize,
  inodesPerGroup,
  journalBlocks,
  journalInode,
  journalSuperblock,
  type Layout,
  layOut,
  lostAndFoundInode,
  rootInode,
  superblock,
  type Usage,
} from "./ext4-layout.ts";

/** Where the disk is written to; what is never written reads as zeros. */
export interface DiskSink {
  writeAt(offset: number, bytes: Uint8Array): Promise<void>;
}

type Run = readonly [first: number, count: number];

const modes = {
  folder: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
};
/** As in folder entries. */
const fileTypes = { file: 1, folder: 2, character: 3, block: 4, fifo: 5, symlink: 7 };
const extentsFlag = 0x80000;
const extentsInInode = 4;
const extentsInBlock = (blockSize - 12) / 12;
const longestInlineLink = 59;
const encoder = new TextEncoder();

/** The least size of a disk that holds the tree, with `freeBytes` to spare: whole groups. */
export function diskSizeFor(tree: DiskTree, freeBytes: number): number {
  // Each file's last block and its share of a folder, and one block in seventy for groups' own.
  const data = tree.contentBytes + tree.nodes * (blockSize + 64) + journalBlocks * blockSize + freeBytes;
  const byBytes = Math.ceil((data * 1.02) / groupBytes);
  const byInodes = Math.ceil((tree.nodes * 1.1 + firstFreeInode) / inodesPerGroup);
  return Math.max(byBytes, byInodes, 2) * groupBytes;
}

/** Writes the file system; `sizeBytes` is a whole number of groups of 128 MiB. */
export async function writeExt4(
  tree: DiskTree,
  sizeBytes: number,
  identity: Identity,
  sink: DiskSink,
  onBytes: (count: number) => void = () => {},
): Promise<void> {
  await new Ext4Writer(sizeBytes, identity, sink, onBytes).write(tree);
}

class Ext4Writer {
  readonly #layout: Layout;
  readonly #identity: Identity;
  readonly #sink: DiskSink;
  readonly #onBytes: (count: number) => void;
  readonly #inodes = new Map<DiskNode, number>();
  readonly #links = new Map<DiskNode, number>();
  readonly #foldersIn: number[];
  /** Inode tables, as far as they are used. */
  readonly #tables: Uint8Array[] = [];
  #nextInode = firstFreeInode;
  #group = 0;
  #nextBlock: number;

  constructor(sizeBytes: number, identity: Identity, sink: DiskSink, onBytes: (count: number) => void) {
    this.#layout = layOut(sizeBytes);
    this.#identity = identity;
    this.#sink = sink;
    this.#onBytes = onBytes;
    this.#foldersIn = this.#layout.groups.map(() => 0);
    this.#nextBlock = this.#layout.groups[0].data;
  }

  async write(tree: DiskTree): Promise<void> {
    tree.root.children.delete("lost+found");
    const lostAndFound: DiskFolder = {
      kind: "folder",
      owner: { ...tree.root.owner, mode: 0o700 },
      children: new Map(),
    };
    this.#inodes.set(tree.root, rootInode);
    this.#inodes.set(lostAndFound, lostAndFoundInode);
    const journalMap = await this.#writeJournal();
    await this.#writeFolder(tree.root, rootInode, new Map([["lost+found", lostAndFound], ...tree.root.children]));
    for (const [node, inode] of this.#inodes) this.#setLinks(inode, this.#links.get(node) ?? 0);
    await this.#writeMetadata(journalMap);
  }

  async #writeJournal(): Promise<Uint8Array> {
    const runs = this.#allot(journalBlocks);
    await this.#sink.writeAt(runs[0][0] * blockSize, journalSuperblock(this.#identity));
    const owner: Owner = { mode: 0o600, user: 0, group: 0, modified: this.#identity.made };
    await this.#setInode(journalInode, "file", owner, journalBlocks * blockSize, runs);
    this.#setLinks(journalInode, 1);
    const map = this.#inodeAt(journalInode).slice(40, 100);
    const backup = new Uint8Array(64);
    backup.set(map);
    return backup;
  }

  /** The folder with all that is in it: inodes first, so that its entries can name them. */
  async #writeFolder(node: DiskFolder, parent: number, children: ReadonlyMap<string, DiskNode>): Promise<void> {
    const inode = this.#inodeOf(node);
    this.#foldersIn[groupOfInode(inode)]++;
    this.#count(node, 2);
    const entries: Entry[] = [
      { name: encoder.encode("."), inode, type: fileTypes.folder },
      { name: encoder.encode(".."), inode: parent, type: fileTypes.folder },
    ];
    const fresh: DiskNode[] = [];
    for (const [name, child] of [...children].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!this.#links.has(child)) fresh.push(child);
      this.#count(child, child.kind === "folder" ? 0 : 1);
      if (child.kind === "folder") this.#count(node, 1);
      entries.push({ name: encoder.encode(name), inode: this.#inodeOf(child), type: fileTypes[child.kind] });
    }
    const bytes = folderBlocks(entries);
    const runs = this.#allot(bytes.length / blockSize);
    await this.#writeRuns(runs, bytes);
    await this.#setInode(inode, "folder", node.owner, bytes.length, runs);
    for (const child of fresh) {
      if (child.kind === "folder") await this.#writeFolder(child, inode, child.children);
      else await this.#writeLeaf(child);
    }
  }

  async #writeLeaf(node: Exclude<DiskNode, DiskFolder>): Promise<void> {
    const inode = this.#inodeOf(node);
    if (node.kind === "file") {
      const { sizeBytes } = node.content;
      const runs = this.#allot(Math.ceil(sizeBytes / blockSize));
      await this.#writeContent(runs, node.content.read(), sizeBytes);
      await this.#setInode(inode, node.kind, node.owner, sizeBytes, runs);
    } else if (node.kind === "symlink") {
      const target = encoder.encode(node.target);
      if (target.length <= longestInlineLink) {
        await this.#setInode(inode, node.kind, node.owner, target.length);
        this.#inodeAt(inode).set(target, 40);
      } else {
        const runs = this.#allot(1);
        await this.#writeRuns(runs, target);
        await this.#setInode(inode, node.kind, node.owner, target.length, runs);
      }
    } else {
      await this.#setInode(inode, node.kind, node.owner, 0);
      if (node.kind !== "fifo") setDevice(this.#viewOf(inode), node.device);
    }
  }

  #inodeOf(node: DiskNode): number {
    const known = this.#inodes.get(node);
    if (known !== undefined) return known;
    const inode = this.#nextInode++;
    if (inode > this.#layout.groups.length * inodesPerGroup) throw tooSmall("files");
    this.#inodes.set(node, inode);
    return inode;
  }

  #count(node: DiskNode, links: number): void {
    this.#links.set(node, (this.#links.get(node) ?? 0) + links);
  }

  /** So many blocks, in as few runs as there are groups to fill. */
  #allot(count: number): Run[] {
    const runs: Run[] = [];
    for (let left = count; left > 0; ) {
      const end = (this.#group + 1) * blocksPerGroup;
      const taken = Math.min(left, end - this.#nextBlock);
      if (taken > 0) runs.push([this.#nextBlock, taken]);
      this.#nextBlock += taken;
      left -= taken;
      if (this.#nextBlock < end) continue;
      const next = this.#layout.groups[this.#group + 1];
      if (!next) {
        if (left > 0) throw tooSmall("bytes");
        break;
      }
      this.#group++;
      this.#nextBlock = next.data;
    }
    return runs;
  }

  async #writeRuns(runs: readonly Run[], bytes: Uint8Array): Promise<void> {
    let at = 0;
    for (const [first, count] of runs) {
      await this.#sink.writeAt(first * blockSize, bytes.subarray(at, at + count * blockSize));
      at += count * blockSize;
    }
  }

  async #writeContent(runs: readonly Run[], source: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<void> {
    let run = 0;
    let inRun = 0;
    let written = 0;
    for await (const piece of source) {
      let rest = piece.subarray(0, sizeBytes - written);
      while (rest.length > 0) {
        const [first, count] = runs[run];
        const part = rest.subarray(0, count * blockSize - inRun);
        await this.#sink.writeAt(first * blockSize + inRun, part);
        inRun += part.length;
        written += part.length;
        rest = rest.subarray(part.length);
        if (inRun < count * blockSize) continue;
        run++;
        inRun = 0;
      }
    }
    this.#onBytes(written);
  }

  async #setInode(
    inode: number,
    kind: keyof typeof modes,
    owner: Owner,
    sizeBytes: number,
    runs?: readonly Run[],
  ): Promise<void> {
    const view = this.#viewOf(inode);
    const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
    const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
    u16(0x00, modes[kind] | (owner.mode & 0o7777));
    u16(0x02, owner.user & 0xffff);
    u32(0x04, sizeBytes % 2 ** 32);
    for (const at of [0x08, 0x0c, 0x10, 0x90]) u32(at, owner.modified);
    u16(0x18, owner.group & 0xffff);
    u32(0x6c, Math.floor(sizeBytes / 2 ** 32));
    u16(0x78, owner.user >>> 16);
    u16(0x7a, owner.group >>> 16);
    u16(0x80, 32);
    if (!runs) return;
    const extra = await this.#setExtents(view, runs);
    u32(0x20, extentsFlag);
    const sectors = (runs.reduce((sum, [, count]) => sum + count, extra) * blockSize) / 512;
    u32(0x1c, sectors % 2 ** 32);
    u16(0x74, Math.floor(sectors / 2 ** 32));
  }

  /** Which blocks are whose: in the inode, or one level below it. Gives back how many blocks that took. */
  async #setExtents(inode: DataView, runs: readonly Run[]): Promise<number> {
    if (runs.length <= extentsInInode) {
      fillExtents(inode, 40, runs, 0, extentsInInode);
      return 0;
    }
    const leaves = Math.ceil(runs.length / extentsInBlock);
    if (leaves > extentsInInode) throw new ImageError("bad-tree", "a file is too large for a disk of ours");
    extentHeader(inode, 40, leaves, extentsInInode, 1);
    let logical = 0;
    for (let leaf = 0; leaf < leaves; leaf++) {
      const part = runs.slice(leaf * extentsInBlock, (leaf + 1) * extentsInBlock);
      const [[place]] = this.#allot(1);
      const bytes = new Uint8Array(blockSize);
      const at = 40 + 12 + 12 * leaf;
      inode.setUint32(at, logical, true);
      inode.setUint32(at + 4, place, true);
      logical = fillExtents(new DataView(bytes.buffer), 0, part, logical, extentsInBlock);
      await this.#sink.writeAt(place * blockSize, bytes);
    }
    return leaves;
  }

  #setLinks(inode: number, links: number): void {
    // A folder with more subfolders than the field counts has 1 (dir_nlink).
    this.#viewOf(inode).setUint16(0x1a, links > 65000 ? 1 : links, true);
  }

  #inodeAt(inode: number): Uint8Array {
    const group = groupOfInode(inode);
    const table = (this.#tables[group] ??= new Uint8Array(inodesPerGroup * inodeSize));
    const at = ((inode - 1) % inodesPerGroup) * inodeSize;
    return table.subarray(at, at + inodeSize);
  }

  #viewOf(inode: number): DataView {
    const bytes = this.#inodeAt(inode);
    return new DataView(bytes.buffer, bytes.byteOffset, inodeSize);
  }

  async #writeMetadata(journalMap: Uint8Array): Promise<void> {
    const { groups } = this.#layout;
    const usage: Usage[] = [];
    for (const [index, group] of groups.entries()) {
      const end =
        index < this.#group ? blocksPerGroup : Math.max(this.#nextBlock - group.first, group.data - group.first);
      const usedBlocks = index > this.#group ? group.data - group.first : end;
      const usedInodes = Math.min(Math.max(this.#nextInode - 1 - index * inodesPerGroup, 0), inodesPerGroup);
      await this.#sink.writeAt(group.blockBitmap * blockSize, bitmap(usedBlocks, blocksPerGroup));
      await this.#sink.writeAt(group.inodeBitmap * blockSize, bitmap(usedInodes, inodesPerGroup));
      const table = this.#tables[index];
      if (table) await this.#sink.writeAt(group.inodeTable * blockSize, table);
      usage.push({
        freeBlocks: blocksPerGroup - usedBlocks,
        freeInodes: inodesPerGroup - usedInodes,
        folders: this.#foldersIn[index],
      });
    }
    const table = descriptors(this.#layout, usage);
    for (const [index, group] of groups.entries()) {
      if (!group.hasSuperblock) continue;
      const copy = superblock(this.#layout, usage, this.#identity, index, journalMap);
      // In the first block the superblock comes behind 1024 bytes for a boot sector.
      await this.#sink.writeAt(group.first * blockSize + (index === 0 ? 1024 : 0), copy);
      await this.#sink.writeAt((group.first + 1) * blockSize, table);
    }
  }
}

const groupOfInode = (inode: number): number => Math.floor((inode - 1) / inodesPerGroup);

interface Entry {
  readonly name: Uint8Array;
  readonly inode: number;
  readonly type: number;
}

/** A folder's blocks: entries do not cross a block's end, and the last one of a block reaches it. */
function folderBlocks(entries: readonly Entry[]): Uint8Array {
  const blocks: Entry[][] = [[]];
  let used = 0;
  for (const entry of entries) {
    const size = entrySize(entry);
    if (used + size > blockSize) {
      blocks.push([]);
      used = 0;
    }
    blocks[blocks.length - 1].push(entry);
    used += size;
  }
  const bytes = new Uint8Array(blocks.length * blockSize);
  const view = new DataView(bytes.buffer);
  blocks.forEach((list, index) => {
    let at = index * blockSize;
    list.forEach((entry, i) => {
      const length = i === list.length - 1 ? (index + 1) * blockSize - at : entrySize(entry);
      view.setUint32(at, entry.inode, true);
      view.setUint16(at + 4, length, true);
      bytes[at + 6] = entry.name.length;
      bytes[at + 7] = entry.type;
      bytes.set(entry.name, at + 8);
      at += length;
    });
  });
  return bytes;
}

const entrySize = ({ name }: Entry): number => (8 + name.length + 3) & ~3;

function extentHeader(view: DataView, at: number, entries: number, most: number, depth: number): void {
  view.setUint16(at, 0xf30a, true);
  view.setUint16(at + 2, entries, true);
  view.setUint16(at + 4, most, true);
  view.setUint16(at + 6, depth, true);
}

/** Gives back the logical block behind the last one. */
function fillExtents(view: DataView, at: number, runs: readonly Run[], logical: number, most: number): number {
  extentHeader(view, at, runs.length, most, 0);
  let next = logical;
  runs.forEach(([first, count], i) => {
    const place = at + 12 + 12 * i;
    view.setUint32(place, next, true);
    view.setUint16(place + 4, count, true);
    view.setUint32(place + 8, first, true);
    next += count;
  });
  return next;
}

/** As Linux encodes a device's numbers: the old way where they fit, else the new one (include/linux/kdev_t.h). */
function setDevice(inode: DataView, [major, minor]: readonly [number, number]): void {
  if (major < 256 && minor < 256) inode.setUint32(40, (major << 8) | minor, true);
  else inode.setUint32(44, (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12), true);
}

/** A block whose first `used` bits are set; bits behind the last one that there is are set too. */
function bitmap(used: number, count: number): Uint8Array {
  const bytes = new Uint8Array(blockSize).fill(0xff, count / 8);
  bytes.fill(0xff, 0, used >> 3);
  if (used & 7) bytes[used >> 3] |= (1 << (used & 7)) - 1;
  return bytes;
}

const tooSmall = (what: string): ImageError =>
  new ImageError("too-small", `the disk is too small for all ${what}: pass a larger --size`);
