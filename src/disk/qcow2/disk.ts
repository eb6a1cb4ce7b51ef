/**
 * A qcow2 file as a disk: guest clusters are found by two levels of tables, and get a place in the file when they are first
 * written. What has none shows the disk below, or zeros.
 *
 * Laws: data goes to the file at once, tables at a flush, in this order, each safe before the next: refcounts, L2 tables, L1.
 * So the file is consistent whenever the process ends; what was written before the last flush is there.
 * A cluster whose entry is not marked as its own (internal snapshots) is never written in place. Clusters of tables are never
 * data, whatever the tables say.
 */
import type { DiskFileFacts, Place } from "#devices";
import type { Disk } from "../disk.ts";
import { DiskError, type DiskFile, type DiskHost, factsOf } from "../file.ts";
import type { DiskRange } from "../frozen.ts";
import { headerField, parseHeader, type Qcow2Header } from "./header.ts";
import { type Mapping, readL1, readMapping, writeNone, writeOwn } from "./mapping.ts";
import { Pieces } from "./pieces.ts";
import { Refcounts } from "./refcounts.ts";
import { type Table, TableCache } from "./table-cache.ts";
import { zstdFrameLength } from "./zstd-frame.ts";

/** L2 tables kept: 4 MiB of them find 32 GiB, with clusters of 64 KiB. */
const cacheBytes = 4 << 20;
/** So much is looked for at most when somebody asks where something lies. */
const mostLocated = 4 << 20;

export interface Qcow2Options {
  readonly readOnly: boolean;
  /** What lies below a file whose header names nothing. */
  readonly below?: Disk;
  readonly unpack: DiskHost["unpack"];
  /** Opens the backing file that the header names. */
  readonly openBelow: (name: string, format: string | undefined) => Disk;
}

/** Throws `DiskError` when the file is none that can be used. */
export function openQcow2(file: DiskFile, options: Qcow2Options): Qcow2Disk {
  const header = parseHeader(file, options.readOnly);
  if (header.hasAutoclear && !options.readOnly) file.write(headerField.autoclear, new Uint8Array(8));
  const below = options.below ?? (header.backing && options.openBelow(header.backing.name, header.backing.format));
  return new Qcow2Disk(file, header, options, below);
}

export class Qcow2Disk implements Disk {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly physicalBlockBytes: number;
  readonly #file: DiskFile;
  readonly #header: Qcow2Header;
  readonly below: Disk | undefined;
  readonly #unpack: DiskHost["unpack"];
  readonly #clusterBytes: number;
  readonly #l1: { readonly view: DataView };
  readonly #l2: TableCache;
  readonly #refcounts: Refcounts;
  readonly #changedL1 = new Set<number>();
  /** Clusters of header, tables and refcounts. */
  readonly #metadata = new Set<number>();
  /** The compressed cluster unpacked last. */
  #unpacked: { readonly cluster: number; readonly bytes: Uint8Array } | undefined;

  constructor(file: DiskFile, header: Qcow2Header, { readOnly, unpack }: Qcow2Options, below: Disk | undefined) {
    this.#file = file;
    this.#header = header;
    this.below = below;
    this.#unpack = unpack;
    this.readOnly = readOnly;
    this.sizeBytes = Math.floor(header.sizeBytes / 512) * 512;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.physicalBlockBytes = Math.min(this.#clusterBytes, 1 << 16);
    const l1 = new Uint8Array(8 * header.l1Entries);
    file.read(header.l1Offset, l1);
    this.#l1 = { view: new DataView(l1.buffer) };
    this.#l2 = new TableCache(file, this.#clusterBytes, cacheBytes);
    this.#refcounts = new Refcounts(file, header);
    this.#noteMetadata();
  }

  read(offset: number, targets: readonly Uint8Array[]): void {
    const pieces = new Pieces(targets);
    /** Clusters that follow each other in the file are read at once. */
    let run = { offset: 0, length: 0 };
    const readRun = (): void => {
      if (run.length > 0) this.#file.read(run.offset, ...pieces.take(run.length));
      run = { offset: 0, length: 0 };
    };
    this.#eachCluster(offset, pieces.length, (cluster, start, length) => {
      const mapping = this.#find(cluster);
      if (mapping.kind === "data") {
        const at = mapping.offset + start;
        if (run.length > 0 && run.offset + run.length === at) run.length += length;
        else {
          readRun();
          run = { offset: at, length };
        }
        return;
      }
      readRun();
      this.#readOther(mapping, cluster, start, pieces.take(length));
    });
    readRun();
  }

  write(offset: number, sources: readonly Uint8Array[]): void {
    const pieces = new Pieces(sources);
    let run = { offset: 0, length: 0 };
    const writeRun = (): void => {
      if (run.length > 0) this.#file.write(run.offset, ...pieces.take(run.length));
      run = { offset: 0, length: 0 };
    };
    this.#eachCluster(offset, pieces.length, (cluster, start, length) => {
      const mapping = this.#find(cluster);
      if (mapping.kind === "data" && mapping.own) {
        const at = mapping.offset + start;
        if (run.length > 0 && run.offset + run.length === at) run.length += length;
        else {
          writeRun();
          run = { offset: at, length };
        }
        return;
      }
      writeRun();
      this.#writeNew(mapping, cluster, start, pieces.take(length), length);
    });
    writeRun();
    if (this.#l2.isFull || this.#refcounts.isFull) this.flush();
  }

  flush(): void {
    if (this.readOnly) return;
    if (this.#refcounts.isDirty) {
      this.#refcounts.write();
      this.#file.flush();
    }
    if (this.#changedL1.size > 0) {
      this.#l2.writeDirty();
      this.#file.flush();
      for (const entry of this.#changedL1)
        this.#file.write(this.#header.l1Offset + 8 * entry, new Uint8Array(this.#l1.view.buffer, 8 * entry, 8));
      this.#changedL1.clear();
    } else this.#l2.writeDirty();
    this.#file.flush();
    this.#refcounts.lowerReleased();
  }

  /** Whole clusters lose their place in the file, which others get; the file becomes no shorter. */
  discard(offset: number, length: number): void {
    this.#eachCluster(offset, length, (cluster, _start, part) => {
      if (part === this.#clusterBytes) this.#drop(cluster, false);
    });
    if (this.#l2.isFull || this.#refcounts.isFull) this.flush();
  }

  writeZeroes(offset: number, length: number, unmap: boolean): void {
    this.#eachCluster(offset, length, (cluster, start, part) => {
      if (part === this.#clusterBytes && this.#drop(cluster, !unmap)) return;
      const mapping = this.#find(cluster);
      if (mapping.kind === "zero" || (mapping.kind === "absent" && this.below === undefined)) return;
      this.write(cluster * this.#clusterBytes + start, [new Uint8Array(part)]);
    });
    if (this.#l2.isFull || this.#refcounts.isFull) this.flush();
  }

  get files(): readonly DiskFileFacts[] {
    return [factsOf(this.#file)];
  }

  *held(): Iterable<DiskRange> {
    const length = this.#clusterBytes;
    for (let entry = 0; entry < this.#header.l1Entries; entry++) {
      if (readL1(this.#l1.view, entry).offset === 0) continue;
      for (let n = 0; n < this.#entriesInL2; n++) {
        const cluster = entry * this.#entriesInL2 + n;
        if (cluster * length >= this.sizeBytes) return;
        if (this.#find(cluster).kind !== "absent") yield { offset: cluster * length, length };
      }
    }
  }

  close(): void {
    try {
      // What was freed since the last flush is counted down by this one, and the counts are written by the next.
      this.flush();
      this.flush();
    } finally {
      this.#file.close();
      this.below?.close();
    }
  }

  /** Calls `visit` for each cluster's part of a range. */
  #eachCluster(offset: number, length: number, visit: (cluster: number, start: number, length: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const start = at % this.#clusterBytes;
      const part = Math.min(length - done, this.#clusterBytes - start);
      visit((at - start) / this.#clusterBytes, start, part);
      done += part;
    }
  }

  // Finding.

  locate(offset: number): Place | undefined {
    const cluster = Math.floor(offset / this.#clusterBytes);
    const first = this.#clusterPlace(cluster);
    if (first === undefined) return undefined;
    // Only as far as the table goes that has been read.
    const inTable = this.#entriesInL2 - (cluster % this.#entriesInL2);
    const most = Math.min(inTable, Math.max(1, mostLocated / this.#clusterBytes));
    let count = 1;
    for (; count < most; count++) {
      const next = this.#clusterPlace(cluster + count);
      const follows = next?.file === first.file && next.at === first.at + count * this.#clusterBytes;
      if (!follows || next.writable !== first.writable) break;
    }
    return { ...first, length: count * this.#clusterBytes };
  }

  #clusterPlace(cluster: number): Place | undefined {
    const [from, length] = [cluster * this.#clusterBytes, this.#clusterBytes];
    if (from + length > this.sizeBytes) return undefined;
    const mapping = this.#find(cluster);
    if (mapping.kind === "data") {
      const { hostFile: file } = this.#file;
      return file === undefined
        ? undefined
        : { from, length, file, at: mapping.offset, writable: mapping.own && !this.readOnly };
    }
    const below = this.below;
    if (mapping.kind !== "absent" || below?.hostFile === undefined || from + length > below.sizeBytes) return undefined;
    return { from, length, file: below.hostFile, at: from, writable: false };
  }

  get #entriesInL2(): number {
    return this.#clusterBytes / 8;
  }

  #find(cluster: number): Mapping {
    const { offset } = readL1(this.#l1.view, Math.floor(cluster / this.#entriesInL2));
    if (offset === 0) return { kind: "absent" };
    const mapping = readMapping(
      this.#l2.load(this.#aligned(offset)),
      cluster % this.#entriesInL2,
      this.#header.clusterBits,
    );
    if (mapping.kind === "data") this.#checkData(mapping.offset);
    return mapping;
  }

  #aligned(offset: number): number {
    if (offset % this.#clusterBytes !== 0)
      throw new DiskError(`${this.#file.name}: damaged: a table lies at an odd place`);
    return offset;
  }

  #checkData(offset: number): void {
    if (offset % this.#clusterBytes !== 0 || this.#metadata.has(offset / this.#clusterBytes))
      throw new DiskError(`${this.#file.name}: damaged: data lies where a table is`);
  }

  #noteMetadata(): void {
    const tableClusters = Math.ceil((8 * this.#header.l1Entries) / this.#clusterBytes);
    this.#metadata.add(0);
    for (let n = 0; n < tableClusters; n++) this.#metadata.add(this.#header.l1Offset / this.#clusterBytes + n);
    for (const cluster of this.#refcounts.metadata()) this.#metadata.add(cluster);
    for (let n = 0; n < this.#header.l1Entries; n++) {
      const { offset } = readL1(this.#l1.view, n);
      if (offset !== 0) this.#metadata.add(offset / this.#clusterBytes);
    }
  }

  /** What a cluster without data of its own in the file reads as. */
  #readOther(mapping: Mapping, cluster: number, start: number, targets: readonly Uint8Array[]): void {
    if (mapping.kind === "compressed") {
      let at = start;
      const bytes = this.#unpackCluster(mapping, cluster);
      for (const target of targets) {
        target.set(bytes.subarray(at, at + target.length));
        at += target.length;
      }
    } else if (mapping.kind === "absent" && this.below !== undefined) {
      readBelow(this.below, cluster * this.#clusterBytes + start, targets);
    } else for (const target of targets) target.fill(0);
  }

  #unpackCluster(mapping: Mapping & { kind: "compressed" }, cluster: number): Uint8Array {
    if (this.#unpacked?.cluster === cluster) return this.#unpacked.bytes;
    const packed = new Uint8Array(mapping.length);
    this.#file.read(mapping.offset, packed);
    const method = this.#header.compression;
    const whole = method === "zstd" ? packed.subarray(0, zstdFrameLength(packed)) : packed;
    const bytes = this.#unpack(method, whole, this.#clusterBytes);
    if (bytes.length !== this.#clusterBytes)
      throw new DiskError(`${this.#file.name}: damaged: a compressed cluster is too short`);
    this.#unpacked = { cluster, bytes };
    return bytes;
  }

  // Changing.

  /** Gives the cluster a place of its own in the file, with the bytes written and those it had. */
  #writeNew(mapping: Mapping, cluster: number, start: number, sources: readonly Uint8Array[], length: number): void {
    const table = this.#ownL2(Math.floor(cluster / this.#entriesInL2));
    const kept = mapping.kind === "zero" && mapping.own && mapping.offset !== 0 ? mapping.offset : undefined;
    if (kept !== undefined) this.#checkData(kept);
    const beyondEnd = this.#file.sizeBytes;
    const offset = kept ?? this.#allocate();
    try {
      const whole = length === this.#clusterBytes;
      const zerosAround = mapping.kind === "zero" || (mapping.kind === "absent" && this.below === undefined);
      if (whole || (zerosAround && kept === undefined && offset >= beyondEnd))
        this.#file.write(offset + start, ...sources);
      else {
        const old = new Uint8Array(this.#clusterBytes);
        if (mapping.kind === "data") this.#file.read(mapping.offset, old);
        else this.#readOther(mapping, cluster, 0, [old]);
        this.#file.write(offset, old.subarray(0, start), ...sources, old.subarray(start + length));
      }
    } catch (error) {
      if (kept === undefined) this.#refcounts.giveBack(offset);
      throw error;
    }
    writeOwn(table, cluster % this.#entriesInL2, offset);
    table.dirty = true;
    if (kept === undefined) this.#release(mapping);
    if (this.#unpacked?.cluster === cluster) this.#unpacked = undefined;
  }

  /**
   * Makes a whole cluster read as zeros, or as anything (`keep` false: its place is given back). False, and nothing is done,
   * where the format has no way to say so.
   */
  #drop(cluster: number, keep: boolean): boolean {
    const mapping = this.#find(cluster);
    if (mapping.kind === "absent" && this.below === undefined) return true;
    const canSayZero = this.#header.version >= 3;
    if (this.below !== undefined && !canSayZero) return false;
    if (keep && mapping.kind === "zero") return true;
    const table = this.#ownL2(Math.floor(cluster / this.#entriesInL2));
    const index = cluster % this.#entriesInL2;
    if (keep && canSayZero && mapping.kind === "data" && mapping.own) writeOwn(table, index, mapping.offset, true);
    else {
      writeNone(table, index, this.below !== undefined);
      this.#release(mapping);
    }
    table.dirty = true;
    if (this.#unpacked?.cluster === cluster) this.#unpacked = undefined;
    return true;
  }

  /** The L2 table of an L1 entry, to be written: made, or copied from one that others use too. */
  #ownL2(entry: number): Table {
    const { offset, own } = readL1(this.#l1.view, entry);
    if (offset !== 0 && own) return this.#l2.load(this.#aligned(offset));
    const old = offset === 0 ? undefined : this.#l2.load(this.#aligned(offset)).bytes;
    const place = this.#allocate();
    const table = this.#l2.create(place);
    if (old !== undefined) {
      table.bytes.set(old);
      this.#refcounts.release(offset);
    }
    this.#metadata.add(place / this.#clusterBytes);
    writeOwn(this.#l1, entry, place);
    this.#changedL1.add(entry);
    return table;
  }

  #allocate(): number {
    const offset = this.#refcounts.allocate((cluster) => this.#metadata.add(cluster));
    this.#metadata.delete(offset / this.#clusterBytes);
    return offset;
  }

  /** An entry refers no longer to what it did. */
  #release(mapping: Mapping): void {
    if (mapping.kind === "absent" || mapping.offset === 0) return;
    if (mapping.kind !== "compressed") return this.#refcounts.release(mapping.offset);
    const last = mapping.offset + mapping.length - 1;
    const first = mapping.offset - (mapping.offset % this.#clusterBytes);
    for (let at = first; at <= last; at += this.#clusterBytes) this.#refcounts.release(at);
  }
}

/** A disk below may be shorter. */
function readBelow(below: Disk, offset: number, targets: readonly Uint8Array[]): void {
  const pieces = new Pieces(targets);
  const there = Math.max(0, Math.min(pieces.length, below.sizeBytes - offset));
  if (there > 0) below.read(offset, pieces.take(there));
  for (const rest of pieces.take(pieces.length)) rest.fill(0);
}
