/**
 * Persistent memory: files of the host in the guest's address space, with a device each that flushes them (devices/virtio/pmem).
 *
 * The pages of a region are its file's: they come when they are touched, and go back to the file when the driver asks for a flush, and at the
 * machine's end. Law: when a flush has succeeded, what was stored before it is on the host's disk.
 */
import { gfnOf, gpa, pageSize } from "#address";
import { type MemoryRange, type PersistentRegion, pmemAlignment, pmemRanges } from "#devices";
import {
  type AddressSpace,
  type DirtyLog,
  MemoryObjectError,
  type Memslot,
  type PageFile,
  PersistentPages,
} from "#memory";
import { BootError } from "./boot/index.ts";
import type { MachineHost } from "./machine-host.ts";

/** A file as persistent memory. */
export interface PmemConfig {
  readonly file: string;
  /** Makes the file where there is none, or makes it longer; a multiple of 2 MiB. Without a word it is as long as it is. */
  readonly sizeBytes?: number;
  /** What the guest stores is dropped. */
  readonly readOnly?: boolean;
}

type Host = Pick<MachineHost, "openPages" | "report">;

export class PersistentMemory implements Disposable {
  readonly slots: readonly Memslot[];
  readonly regions: readonly PersistentRegion[];
  readonly #files: readonly PageFile[];
  readonly #host: Host;
  readonly #readOnly: readonly boolean[];
  #objects: readonly PersistentPages[] = [];
  #space: AddressSpace | undefined;
  #log: DirtyLog | undefined;
  /** Of each region: guest frames whose bytes are not in the file. */
  readonly #owed: readonly Set<number>[];

  /** Opens the files. Throws `BootError` for one that cannot be used. */
  constructor(configs: readonly PmemConfig[], host: Host) {
    this.#host = host;
    const files: PageFile[] = [];
    try {
      for (const config of configs) files.push(openPages(config, host));
    } catch (error) {
      for (const file of files) file.close();
      throw error;
    }
    this.#files = files;
    this.#readOnly = configs.map(({ readOnly = false }) => readOnly);
    this.#owed = configs.map(() => new Set());
    const ranges = pmemRanges(files.map(({ sizeBytes }) => sizeBytes));
    this.slots = ranges.map(({ base, size }, n) => ({
      gpa: gpa(base),
      sizeBytes: size,
      ...(this.#readOnly[n] && { readOnly: true }),
    }));
    this.regions = ranges.map(({ base, size }: MemoryRange, n) => ({
      base,
      sizeBytes: size,
      flush: () => this.#flush(n),
    }));
  }

  get sizeBytes(): number {
    return this.slots.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Requires: `space` has the slots, and nobody has touched them. */
  attach(space: AddressSpace): void {
    if (this.slots.length === 0) return;
    this.#space = space;
    this.#objects = this.#files.map((file) => new PersistentPages(file));
    for (const [n, slot] of this.slots.entries()) space.swap.map(slot, this.#objects[n] as PersistentPages, 0);
    this.#log = space.dirty.open();
  }

  /** Everything that was stored goes to the files, which are closed. */
  [Symbol.dispose](): void {
    for (const n of this.#objects.keys()) if (!this.#readOnly[n]) this.#flush(n);
    this.#log?.[Symbol.dispose]();
    for (const file of this.#files) file.close();
    this.#objects = [];
    this.#space = undefined;
  }

  #flush(n: number): boolean {
    const object = this.#objects[n];
    if (object === undefined || this.#readOnly[n]) return false;
    try {
      this.#harvest();
      this.#write(n, object);
      object.flush();
      return true;
    } catch (error) {
      if (!(error instanceof MemoryObjectError)) throw error;
      this.#host.report("notice", `persistent memory: ${error.message}`);
      return false;
    }
  }

  #harvest(): void {
    const pages = this.#log?.harvest();
    if (pages === undefined) return;
    for (const [n, slot] of this.slots.entries()) {
      const first = gfnOf(slot.gpa);
      for (const gfn of pages.within(first, first + slot.sizeBytes / pageSize)) this.#owed[n]?.add(gfn);
    }
  }

  #write(n: number, object: PersistentPages): void {
    const first = gfnOf((this.slots[n] as Memslot).gpa);
    const owed = this.#owed[n] as Set<number>;
    for (const gfn of owed) {
      // A page without a frame is in its object, by eviction.
      const bytes = this.#space?.presentBytes(gfn);
      if (bytes !== undefined) object.write(gfn - first, bytes);
      owed.delete(gfn);
    }
  }
}

function openPages({ file, sizeBytes, readOnly = false }: PmemConfig, host: Host): PageFile {
  if (host.openPages === undefined) throw new BootError("persistent memory: this host has no files");
  const pages = attempt(() => host.openPages?.(file, readOnly ? "read" : "write", sizeBytes !== undefined) as PageFile);
  try {
    if (sizeBytes !== undefined && pages.sizeBytes < sizeBytes) {
      if (readOnly)
        throw new BootError(`${file}: it is shorter than size says, and may not be made longer: leave out ro`);
      attempt(() => pages.resize(sizeBytes));
    }
    if (pages.sizeBytes === 0 || pages.sizeBytes % pmemAlignment !== 0)
      throw new BootError(
        `${file}: its size, ${pages.sizeBytes} bytes, is no whole number of 2 MiB: make it so, as with size=64M`,
      );
    return pages;
  } catch (error) {
    pages.close();
    throw error;
  }
}

function attempt<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new BootError(error instanceof Error ? error.message : String(error));
  }
}
