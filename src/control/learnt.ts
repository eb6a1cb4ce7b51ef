/** What boots have learnt (engine/translating/learnt-blocks.ts), in a file that machines of one kind have in common: read before one runs, written when one has ended. */
import type { SnapshotSource } from "#snapshot";
import type { ThreadHost } from "./thread-machine-host.ts";

/** A machine as far as this goes. */
export interface LearningMachine {
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
    try {
      const file = this.#thread.openFile?.(this.#path);
      if (file === undefined) return;
      machine.giveLearnt?.(file, this.#build);
      file[Symbol.dispose]?.();
    } catch {
      // There is none yet.
    }
  }

  keep(machine: LearningMachine): void {
    const bytes = machine.packLearnt?.(this.#build);
    if (bytes === undefined) return;
    try {
      const into = this.#thread.createFile?.(this.#path);
      into?.writeAt(0, bytes);
      into?.finish();
    } catch {
      // No room for it, or no right.
    }
  }
}
