/**
 * Which clusters of a qcow2 file are in use: a table of refcount blocks, each with the counts of as many clusters as it holds.
 *
 * Law: a cluster's count is in the file before anything refers to it there, and is lowered only after nothing does; so
 * whenever the process ends, no cluster is used twice, and some may be counted for nothing.
 */
import { assert } from "#base";
import { DiskError, type DiskFile } from "../file.ts";
import { headerField, type Qcow2Header } from "./header.ts";
import { type Table, TableCache } from "./table-cache.ts";

const cacheBytes = 4 << 20;
/** Refcount block offsets have 56 bits; low ones are reserved. */
const offsetHighMask = 0x00ff_ffff;

export class Refcounts {
  readonly #file: DiskFile;
  readonly #clusterBytes: number;
  readonly #order: number;
  readonly #countsInBlock: number;
  readonly #blocks: TableCache;
  #table: DataView;
  #tableOffset: number;
  /** Places in the table that are not in the file yet. */
  readonly #changedEntries = new Set<number>();
  /** No cluster below is free. */
  #searchFrom = 0;
  /** Freed, but the file still refers to them until the next flush. */
  #freed: number[] = [];

  constructor(file: DiskFile, header: Qcow2Header) {
    this.#file = file;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#order = header.refcountOrder;
    this.#countsInBlock = (this.#clusterBytes * 8) >> this.#order;
    this.#blocks = new TableCache(file, this.#clusterBytes, cacheBytes);
    this.#tableOffset = header.refcountTableOffset;
    this.#table = new DataView(new ArrayBuffer(header.refcountTableClusters * this.#clusterBytes));
    file.read(this.#tableOffset, new Uint8Array(this.#table.buffer));
  }

  /** Clusters that hold the counts, by their numbers. */
  *metadata(): Generator<number> {
    const first = this.#tableOffset / this.#clusterBytes;
    for (let n = 0; n < this.#table.byteLength / this.#clusterBytes; n++) yield first + n;
    for (let n = 0; n < this.#entries; n++) {
      const offset = this.#blockOffset(n);
      if (offset !== 0) yield offset / this.#clusterBytes;
    }
  }

  /** Offset of a cluster that was free, now counted once. `metadata` is told of clusters taken for counts. */
  allocate(metadata: (cluster: number) => void): number {
    let cluster = this.#searchFrom;
    for (; ; cluster++) {
      const block = this.#block(cluster) ?? this.#newBlock(cluster, metadata);
      if (readCount(block.view, cluster % this.#countsInBlock, this.#order) === 0) break;
    }
    this.#set(cluster, 1, metadata);
    this.#searchFrom = cluster + 1;
    return cluster * this.#clusterBytes;
  }

  /** Nothing will refer to the cluster after the next flush. */
  release(offset: number): void {
    this.#freed.push(Math.floor(offset / this.#clusterBytes));
  }

  /** The cluster was allocated, and nothing came to refer to it. */
  giveBack(offset: number): void {
    this.#lower(offset / this.#clusterBytes);
  }

  get isDirty(): boolean {
    return this.#changedEntries.size > 0 || this.#blocks.isDirty;
  }

  get isFull(): boolean {
    return this.#blocks.isFull;
  }

  /** Writes the counts; they are safe after the caller's next flush of the file. */
  write(): void {
    this.#blocks.writeDirty();
    if (this.#changedEntries.size === 0) return;
    this.#file.flush();
    for (const entry of this.#changedEntries)
      this.#file.write(this.#tableOffset + 8 * entry, new Uint8Array(this.#table.buffer, 8 * entry, 8));
    this.#changedEntries.clear();
  }

  /** To be called when all references are in the file: what was released before may be used again. */
  lowerReleased(): void {
    const freed = this.#freed;
    this.#freed = [];
    for (const cluster of freed) this.#lower(cluster);
  }

  get #entries(): number {
    return this.#table.byteLength / 8;
  }

  #blockOffset(entry: number): number {
    const offset = (this.#table.getUint32(8 * entry) & offsetHighMask) * 2 ** 32 + this.#table.getUint32(8 * entry + 4);
    return offset - (offset % this.#clusterBytes);
  }

  #block(cluster: number): Table | undefined {
    const entry = Math.floor(cluster / this.#countsInBlock);
    const offset = entry < this.#entries ? this.#blockOffset(entry) : 0;
    return offset === 0 ? undefined : this.#blocks.load(offset);
  }

  #set(cluster: number, value: number, metadata: (cluster: number) => void): void {
    const block = this.#block(cluster) ?? this.#newBlock(cluster, metadata);
    writeCount(block.view, cluster % this.#countsInBlock, this.#order, value);
    block.dirty = true;
  }

  #lower(cluster: number): void {
    const block = this.#block(cluster);
    if (block === undefined) return;
    const index = cluster % this.#countsInBlock;
    const count = readCount(block.view, index, this.#order);
    if (count === 0) return;
    writeCount(block.view, index, this.#order, count - 1);
    block.dirty = true;
    if (count === 1) this.#searchFrom = Math.min(this.#searchFrom, cluster);
  }

  /** A block lies in the first of the clusters that it counts. */
  #newBlock(cluster: number, metadata: (cluster: number) => void): Table {
    const entry = Math.floor(cluster / this.#countsInBlock);
    if (entry >= this.#entries) this.#growTable(entry, metadata);
    const first = entry * this.#countsInBlock;
    const existing = this.#block(cluster);
    if (existing !== undefined) return existing;
    const block = this.#addBlock(entry, first, metadata);
    writeCount(block.view, 0, this.#order, 1);
    return block;
  }

  #addBlock(entry: number, cluster: number, metadata: (cluster: number) => void): Table {
    const offset = cluster * this.#clusterBytes;
    if (offset >= 2 ** 53) throw new DiskError(`${this.#file.name}: the qcow2 file cannot grow any more`);
    this.#table.setUint32(8 * entry, Math.floor(offset / 2 ** 32));
    this.#table.setUint32(8 * entry + 4, offset % 2 ** 32);
    this.#changedEntries.add(entry);
    metadata(cluster);
    return this.#blocks.create(offset);
  }

  /**
   * A table for more clusters, at their first: blocks that count the new table and themselves, then the table. The header
   * names it when it is safe.
   */
  #growTable(entry: number, metadata: (cluster: number) => void): void {
    const { buffer: old } = this.#table;
    const oldOffset = this.#tableOffset;
    const firstCluster = this.#entries * this.#countsInBlock;
    const tableClusters = Math.max(
      2 * (old.byteLength / this.#clusterBytes),
      Math.ceil((8 * (entry + 1)) / this.#clusterBytes) + 1,
    );
    let blocks = 1;
    while (blocks * this.#countsInBlock < blocks + tableClusters) blocks++;
    const firstEntry = this.#entries;
    assert(
      8 * (firstEntry + blocks) <= tableClusters * this.#clusterBytes,
      "a refcount table has room for its own blocks",
    );
    this.#table = new DataView(new ArrayBuffer(tableClusters * this.#clusterBytes));
    new Uint8Array(this.#table.buffer).set(new Uint8Array(old));
    this.#tableOffset = (firstCluster + blocks) * this.#clusterBytes;
    for (let n = 0; n < blocks; n++) this.#addBlock(firstEntry + n, firstCluster + n, metadata);
    for (let n = 0; n < blocks + tableClusters; n++) {
      this.#set(firstCluster + n, 1, metadata);
      metadata(firstCluster + n);
    }
    this.#changedEntries.clear();
    this.#blocks.writeDirty();
    this.#file.write(this.#tableOffset, new Uint8Array(this.#table.buffer));
    this.#file.flush();
    const place = new DataView(new ArrayBuffer(12));
    place.setUint32(0, Math.floor(this.#tableOffset / 2 ** 32));
    place.setUint32(4, this.#tableOffset % 2 ** 32);
    place.setUint32(8, tableClusters);
    this.#file.write(headerField.refcountTableOffset, new Uint8Array(place.buffer));
    this.#file.flush();
    for (let at = 0; at < old.byteLength; at += this.#clusterBytes) this.release(oldOffset + at);
  }
}

/** Counts of less than a byte lie from the lowest bit on; larger ones are big-endian. */
function readCount(view: DataView, index: number, order: number): number {
  switch (order) {
    case 3:
      return view.getUint8(index);
    case 4:
      return view.getUint16(2 * index);
    case 5:
      return view.getUint32(4 * index);
    case 6:
      return view.getUint32(8 * index) * 2 ** 32 + view.getUint32(8 * index + 4);
    default: {
      const bits = 1 << order;
      const at = index * bits;
      return (view.getUint8(at >> 3) >> (at & 7)) & ((1 << bits) - 1);
    }
  }
}

function writeCount(view: DataView, index: number, order: number, value: number): void {
  switch (order) {
    case 3:
      return view.setUint8(index, value);
    case 4:
      return view.setUint16(2 * index, value);
    case 5:
      return view.setUint32(4 * index, value);
    case 6:
      view.setUint32(8 * index, Math.floor(value / 2 ** 32));
      return view.setUint32(8 * index + 4, value % 2 ** 32);
    default: {
      const bits = 1 << order;
      const at = index * bits;
      const mask = ((1 << bits) - 1) << (at & 7);
      view.setUint8(at >> 3, (view.getUint8(at >> 3) & ~mask) | (value << (at & 7)));
    }
  }
}
