/**
 * Which pages a machine has stored to since it was what a snapshot has: since it was saved to it, or was made from it. A differential
 * snapshot looks at no others.
 *
 * Law: of a page that is not in `changedSince(s)` the snapshot s has the bytes. What has changed since another snapshot is not known.
 */
import type { DirtyLog, DirtyTracker, PageSet } from "#memory";

/** Snapshots that are remembered: those of last. A log costs a bitmap, and nothing while the guest runs. */
const mostPoints = 4;

export class SavePoints {
  readonly #dirty: DirtyTracker;
  /** By the snapshots' headers, the oldest first. */
  readonly #logs = new Map<string, DirtyLog>();

  constructor(dirty: DirtyTracker) {
    this.#dirty = dirty;
  }

  /** At this instant the machine is what the snapshot with this header has. Requires: it stands still. */
  add(header: Uint8Array): void {
    this.#forget(nameOf(header));
    this.#logs.set(nameOf(header), this.#dirty.open());
    for (const name of this.#logs.keys()) if (this.#logs.size > mostPoints) this.#forget(name);
  }

  /** Undefined where it is not known. */
  changedSince(header: Uint8Array): PageSet | undefined {
    return this.#logs.get(nameOf(header))?.soFar();
  }

  #forget(name: string): void {
    this.#logs.get(name)?.[Symbol.dispose]();
    this.#logs.delete(name);
  }
}

const nameOf = (header: Uint8Array): string => header.join();
