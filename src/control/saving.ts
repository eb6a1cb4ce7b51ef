/** The order to write a machine to a file, carried out at once or while it runs on. */
import { parseValue, type Value } from "#base";
import {
  type LiveSnapshot,
  readSnapshot,
  type SavedSnapshot,
  type SnapshotBase,
  SnapshotError,
  type SnapshotSink,
} from "#snapshot";
import type { Later, Order } from "./orders.ts";
import type { NewFile, ThreadHost } from "./thread-machine-host.ts";
import type { SnapshotSummary } from "./vm-api.ts";

/** A machine as far as this goes. */
export interface SavedMachine {
  snapshot?(owner: Value, sink: SnapshotSink, base?: SnapshotBase): SavedSnapshot;
  saveLive?(sink: SnapshotSink, base?: SnapshotBase): LiveSnapshot;
}

export type SaveOrder = Extract<Order, { type: "snapshot" }>;

/** Throws SnapshotError and the like; then there is no file, or that of before. */
export function save(machine: SavedMachine | undefined, thread: ThreadHost, order: SaveOrder): SnapshotSummary {
  const file = newFile(machine, thread, order);
  try {
    const begun = thread.now();
    const saved = (machine as Required<SavedMachine>).snapshot(
      parseValue(order.owner),
      file,
      baseOf(thread, file, order),
    );
    const pauseMs = (thread.now() - begun) / 1e6;
    file.finish();
    return { ...saved, pauseMs };
  } catch (error) {
    file.abandon();
    throw error;
  }
}

/** A machine that is saved between its turns. Law: `later` is settled once. */
export class Saving {
  readonly #thread: ThreadHost;
  readonly #file: NewFile;
  readonly #owner: Value;
  readonly #snapshot: LiveSnapshot;
  readonly #later: Later;

  /** Throws as `save` does. */
  constructor(machine: SavedMachine | undefined, thread: ThreadHost, order: SaveOrder, later: Later) {
    this.#thread = thread;
    this.#owner = parseValue(order.owner);
    this.#later = later;
    this.#file = newFile(machine, thread, order);
    try {
      const { saveLive } = machine as SavedMachine;
      if (saveLive === undefined) throw new Error("this machine cannot be saved while it runs");
      this.#snapshot = saveLive(this.#file, baseOf(thread, this.#file, order));
    } catch (error) {
      this.#file.abandon();
      throw error;
    }
  }

  /** Goes on for a moment; true when it is over. */
  goOn(): boolean {
    try {
      if (!this.#snapshot.step()) return false;
      const begun = this.#thread.now();
      const saved = this.#snapshot.finish(this.#owner);
      const pauseMs = (this.#thread.now() - begun) / 1e6;
      this.#snapshot[Symbol.dispose]();
      this.#file.finish();
      this.#later.give({ ...saved, pauseMs });
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
    return true;
  }

  fail(why: string): void {
    this.#snapshot[Symbol.dispose]();
    this.#file.abandon();
    this.#later.fail(why);
  }
}

function newFile(machine: SavedMachine | undefined, { createFile }: ThreadHost, { path, key }: SaveOrder): NewFile {
  if (machine?.snapshot === undefined || createFile === undefined) throw new Error("this machine cannot be saved");
  return createFile(path, key);
}

function baseOf(thread: ThreadHost, file: NewFile, { path, base, key }: SaveOrder): SnapshotBase | undefined {
  if (base === undefined) return undefined;
  const name = file.nameOf(base);
  if (name === file.nameOf(path))
    throw new SnapshotError(`${path}: a snapshot cannot be its own base: give it another name`);
  if (thread.openFile === undefined) throw new SnapshotError("there are no snapshots here");
  return { name, pages: readSnapshot(thread.openFile(base, key)).pages };
}
