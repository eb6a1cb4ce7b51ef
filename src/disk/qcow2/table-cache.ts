/** Clusters of a qcow2 file that hold tables: the last ones used are kept, changed ones until they are written. */
import type { DiskFile } from "../file.ts";

export class Table {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  dirty = false;

  constructor(offset: number, sizeBytes: number) {
    this.offset = offset;
    this.bytes = new Uint8Array(sizeBytes);
    this.view = new DataView(this.bytes.buffer);
  }
}

export class TableCache {
  readonly #file: DiskFile;
  readonly #tableBytes: number;
  readonly #most: number;
  /** The one used last is the last. */
  readonly #tables = new Map<number, Table>();

  /** `cacheBytes`: kept at most, but for changed tables. */
  constructor(file: DiskFile, tableBytes: number, cacheBytes: number) {
    this.#file = file;
    this.#tableBytes = tableBytes;
    this.#most = Math.max(4, Math.floor(cacheBytes / tableBytes));
  }

  /** The table at this place of the file. */
  load(offset: number): Table {
    const known = this.#tables.get(offset);
    if (known !== undefined) return this.#use(known);
    const table = new Table(offset, this.#tableBytes);
    this.#file.read(offset, table.bytes);
    return this.#use(table);
  }

  /** A table of zeros that is not in the file yet. */
  create(offset: number): Table {
    const table = new Table(offset, this.#tableBytes);
    table.dirty = true;
    return this.#use(table);
  }

  forget(offset: number): void {
    this.#tables.delete(offset);
  }

  /** More changed tables are kept than there should be tables: they are to be written soon. */
  get isFull(): boolean {
    if (this.#tables.size < this.#most) return false;
    for (const table of this.#tables.values()) if (!table.dirty) return false;
    return true;
  }

  get isDirty(): boolean {
    for (const table of this.#tables.values()) if (table.dirty) return true;
    return false;
  }

  writeDirty(): void {
    for (const table of this.#tables.values()) {
      if (!table.dirty) continue;
      this.#file.write(table.offset, table.bytes);
      table.dirty = false;
    }
  }

  #use(table: Table): Table {
    this.#tables.delete(table.offset);
    this.#tables.set(table.offset, table);
    if (this.#tables.size > this.#most) this.#dropOldest();
    return table;
  }

  #dropOldest(): void {
    for (const [offset, table] of this.#tables) {
      if (table.dirty) continue;
      this.#tables.delete(offset);
      return;
    }
  }
}
