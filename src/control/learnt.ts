/**
 * What boots have learnt (engine/translating/learnt-blocks.ts), in a file that machines of one kind have in common: read before one runs,
 * written when one has ended.
 */
import type { SnapshotSource } from "#snapshot";
import { keepFile } from "./kept-file.ts";
import type { ThreadHost } from "./thread-machine-host.ts";

/** A machine as far as this goes. */
export interface LearningMachine {
  /** What it learns will be packed. */
  learn?(): void;
  giveLearnt?(source: SnapshotSource, build: Uint8Array): void;
  packLearnt?(build: Uint8Array): Uint8Array | undefined;
}

/** Whatever goes wrong with the file, there is none, or that of before. */
export class LearntFile {
  readonly #thread: ThreadHost;
  readonly #path: string;
  readonly #build: Uint8Array;

  /** Undefined where there can be none. */
  static of(thread: ThreadHost, path: string | undefined): LearntFile | undefined {
    if (path === undefined || thread.build === undefined || thread.openFile === undefined) return undefined;
    return new LearntFile(thread, path, thread.build);
  }

  private constructor(thread: ThreadHost, path: string, build: Uint8Array) {
    this.#thread = thread;
    this.#path = path;
    this.#build = build;
  }

  give(machine: LearningMachine): void {
    machine.learn?.();
    let file: (SnapshotSource & Partial<Disposable>) | undefined;
    try {
      file = this.#thread.openFile?.(this.#path);
      if (file !== undefined) machine.giveLearnt?.(file, this.#build);
    } catch {
      // There is none yet.
    } finally {
      file?.[Symbol.dispose]?.();
    }
  }

  keep(machine: LearningMachine): void {
    const bytes = machine.packLearnt?.(this.#build);
    if (bytes !== undefined) keepFile(this.#thread, this.#path, bytes);
  }
}
