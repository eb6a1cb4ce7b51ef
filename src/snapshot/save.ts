/**
 * A machine written down: pages first, as they come, then the disks; what says where they are comes last, and the header when all is there.
 */
import { pageSize } from "#address";
import type { Value } from "#base";
import type { HostFile } from "#devices";
import type { AddressSpace, PageSet } from "#memory";
import type { Machine, MachineParts, MachineState } from "#vm";
import { encodeEnding, firstPlace } from "./format.ts";
import type { SnapshotReader } from "./pages.ts";

/** The file. Bytes may lie in shared memory, and change after the call. */
export interface SnapshotSink {
  writeAt(offset: number, bytes: Uint8Array): void;
  /** For other threads of this process; absent where they know none of its files. */
  readonly file?: HostFile;
}

export interface SavedSnapshot {
  readonly sizeBytes: number;
  /** In the file. */
  readonly pages: number;
  /** Those whose bytes were looked at; that of a live one counts as often as it was. */
  readonly looked: number;
}

/** What a differential snapshot lacks, and the name it will find it by. */
export interface SnapshotBase {
  readonly name: string;
  readonly pages: SnapshotReader;
}

/** Gathered to be written in one go. */
const gatheredBytes = 1 << 20;

/**
 * Requires: the machine stands between two instructions. `owner`: what whoever restores it wants to know about how the machine was
 * started. `base`: only what differs from it is written.
 */
export function writeSnapshot(machine: Machine, owner: Value, sink: SnapshotSink, base?: SnapshotBase): SavedSnapshot {
  return machine.whileStill((state) => {
    const writer = new SnapshotWriter(machine, sink, base);
    writer.saveAll();
    return writer.finish(state, owner);
  });
}

/** Where a page's bytes are: nowhere, since it is zeros; in this file; as the base has them, which may be nowhere. */
const nowhere = 0;
const inFile = 1;
const asBase = 2;

export class SnapshotWriter {
  readonly #machine: Machine;
  readonly #memory: AddressSpace;
  readonly #runtime: MachineParts["engine"]["runtime"];
  readonly #sink: SnapshotSink;
  readonly #base: SnapshotBase | undefined;
  /** Pages that may differ from the base's; undefined where all may. */
  readonly #changed: PageSet | undefined;
  /** Of each page: where its bytes are to be found; its place in the file, 0 where it never had one; its check. */
  readonly #kept: Uint8Array;
  readonly #places: Uint32Array;
  readonly #checks: Uint32Array;
  #nextPlace = firstPlace;
  #looked = 0;
  readonly #gathered = new Uint8Array(gatheredBytes);
  #gatheredAt = 0;
  #gatheredLength = 0;

  constructor(machine: Machine, sink: SnapshotSink, base?: SnapshotBase) {
    const { memory, engine } = machine.parts;
    this.#machine = machine;
    this.#memory = memory;
    this.#runtime = engine.runtime;
    this.#sink = sink;
    this.#base = base;
    this.#changed = base && machine.savePoints.changedSince(base.pages.header);
    this.#kept = new Uint8Array(this.end);
    this.#places = new Uint32Array(this.end);
    this.#checks = new Uint32Array(this.end);
  }

  /** Above the number of every page. */
  get end(): number {
    return Math.max(...this.#memory.memslots.map((slot) => (slot.gpa + slot.sizeBytes) / pageSize));
  }

  /** Saves all pages as they are now. */
  saveAll(): void {
    this.saveFirst(0, this.end);
  }

  /**
   * Saves pages for the first time, those in [first, end), which are multiples of 32: one that was not stored to since the writer was made is
   * now as it was then.
   */
  saveFirst(first: number, end: number): void {
    if (this.#changed === undefined) return this.savePages(first, end);
    this.#kept.fill(asBase, first, end);
    for (const gfn of this.#changed.within(first, end)) this.#look(gfn, gfn + 1);
    this.#write();
  }

  /** Saves the pages in [first, end) as they are now, also those that were saved before. */
  savePages(first: number, end: number): void {
    this.#look(first, end);
    this.#write();
  }

  #look(first: number, end: number): void {
    const memory = this.#memory;
    const runtime = this.#runtime;
    this.#kept.fill(nowhere, first, end);
    memory.survey(first, end, (gfn, frame, check) => {
      this.#looked++;
      if (frame !== 0) return this.#save(gfn, frame, check);
      // Only its object has it.
      const at = memory.swap.peek(gfn);
      if (runtime.is_zero(at) !== 0) return;
      this.#save(gfn, at, Number(BigInt.asUintN(32, runtime.xxh64(at, pageSize))));
    });
  }

  /** Writes what makes a snapshot of it. */
  finish(state: MachineState, owner: Value): SavedSnapshot {
    const base = this.#base && { name: this.#base.name, header: this.#base.pages.header };
    const { disks, end: offset } = this.#machine.freezeDisks(this.#nextPlace * pageSize, this.#sink.file);
    const description: Value = {
      machine: state as unknown as Value,
      owner,
      ...(base && { base }),
      ...(disks.length > 0 && { disks: disks as unknown as Value }),
    };
    const index = this.#index();
    const { header, tail } = encodeEnding(description, index, offset);
    this.#sink.writeAt(offset, tail);
    this.#sink.writeAt(0, header);
    this.#machine.savePoints.add(header);
    const pages = this.#kept.reduce((sum, kept) => sum + Number(kept === inFile), 0);
    return { sizeBytes: offset + tail.length, pages, looked: this.#looked };
  }

  #save(gfn: number, frame: number, check: number): void {
    this.#checks[gfn] = check;
    this.#kept[gfn] = this.#base?.pages.checkOf(gfn) === check ? asBase : inFile;
    if (this.#kept[gfn] === asBase) return;
    if (this.#places[gfn] === 0) this.#places[gfn] = this.#nextPlace++;
    const offset = this.#places[gfn] * pageSize;
    const follows = offset === this.#gatheredAt + this.#gatheredLength && this.#gatheredLength < gatheredBytes;
    if (!follows) {
      this.#write();
      this.#gatheredAt = offset;
    }
    this.#gathered.set(this.#memory.frameBytes(frame, pageSize), this.#gatheredLength);
    this.#gatheredLength += pageSize;
  }

  #write(): void {
    if (this.#gatheredLength > 0)
      this.#sink.writeAt(this.#gatheredAt, this.#gathered.subarray(0, this.#gatheredLength));
    this.#gatheredLength = 0;
  }

  /** Three words a page. Pages that were in the base and are zeros now are in it, too. */
  #index(): Uint32Array {
    const words: number[] = [];
    const end = Math.max(this.end, this.#base?.pages.end ?? 0);
    for (let gfn = 0; gfn < end; gfn++) {
      const kept = this.#kept[gfn] ?? nowhere;
      if (kept === inFile) words.push(gfn, this.#checks[gfn], this.#places[gfn]);
      else if (kept === nowhere && this.#base?.pages.has(gfn)) words.push(gfn, 0, 0);
    }
    return Uint32Array.from(words);
  }
}
