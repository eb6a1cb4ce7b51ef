/**
 * A snapshot of a machine that runs on while it is taken: all pages are written between its turns, then those that it stored to
 * meanwhile, again and again; it stands still only for the last of them, its devices and its disks. The instant that the snapshot shows
 * is that of `finish`.
 */
import type { Value } from "#base";
import type { DirtyLog } from "#memory";
import type { Machine } from "#vm";
import { type SavedSnapshot, type SnapshotBase, type SnapshotSink, SnapshotWriter } from "./save.ts";

/** Pages of guest memory looked at between two turns: a millisecond or two. */
const stepPages = 1024;
/** So many left are not worth another round; a guest that stores faster than we write is stopped after so many rounds. */
const fewPages = 256;
const mostRounds = 6;

export class LiveSnapshot implements Disposable {
  readonly #machine: Machine;
  readonly #writer: SnapshotWriter;
  readonly #log: DirtyLog;
  /** The first pass is done up to here. */
  #next = 0;
  #dirty: number[] = [];
  #rounds = 0;

  /** `base`: only what differs from it is written. */
  constructor(machine: Machine, sink: SnapshotSink, base?: SnapshotBase) {
    this.#machine = machine;
    // Before the writer knows what has changed: vCPUs on threads of their own run on.
    this.#log = machine.parts.memory.dirty.open();
    this.#writer = new SnapshotWriter(machine, sink, base);
  }

  /** Saves some pages, between two turns of the machine; true when it is time for `finish`. */
  step(): boolean {
    if (this.#next < this.#writer.end) {
      const end = Math.min(this.#next + stepPages, this.#writer.end);
      this.#writer.saveFirst(this.#next, end);
      this.#next = end;
      return false;
    }
    if (this.#dirty.length === 0) {
      this.#dirty = [...this.#log.harvest()];
      if (this.#dirty.length <= fewPages || ++this.#rounds > mostRounds) return true;
    }
    for (const gfn of this.#dirty.splice(0, stepPages / 4)) this.#writer.savePages(gfn, gfn + 1);
    return false;
  }

  /** Requires: `step` has said that it is time. */
  finish(owner: Value): SavedSnapshot {
    return this.#machine.whileStill((state) => {
      for (const gfn of [...this.#dirty, ...this.#log.harvest()]) this.#writer.savePages(gfn, gfn + 1);
      return this.#writer.finish(state, owner);
    });
  }

  [Symbol.dispose](): void {
    this.#log[Symbol.dispose]();
  }
}
