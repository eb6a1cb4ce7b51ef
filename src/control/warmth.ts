/** What machines want first, kept in a file beside the snapshot they go on from: read before one runs, written when one has ended. */
import type { SnapshotReader, WarmthOf } from "#snapshot";
import { keepFile } from "./kept-file.ts";
import type { ThreadHost } from "./thread-machine-host.ts";

/** A machine as far as this goes (#snapshot: `warmUp` and `learnWarmth`). */
export interface WarmMachine {
  warmUp?(of: WarmthOf, file: Uint8Array): void;
  learnWarmth?(of: WarmthOf, before: Uint8Array | undefined): Uint8Array | undefined;
}

export class WarmthFile {
  readonly #thread: ThreadHost;
  readonly #path: string;
  readonly #of: WarmthOf;
  #bytes: Uint8Array | undefined;

  /** Undefined where there can be none. */
  static async of(thread: ThreadHost, pages: SnapshotReader): Promise<WarmthFile | undefined> {
    if (thread.build === undefined) return undefined;
    const file = new WarmthFile(thread, pages.source.name, { pages, build: thread.build });
    await file.#read();
    return file;
  }

  private constructor(thread: ThreadHost, snapshot: string, of: WarmthOf) {
    this.#thread = thread;
    this.#path = warmthPath(snapshot);
    this.#of = of;
  }

  give(machine: WarmMachine): void {
    if (this.#bytes !== undefined) machine.warmUp?.(this.#of, this.#bytes);
  }

  keep(machine: WarmMachine): void {
    const file = machine.learnWarmth?.(this.#of, this.#bytes);
    if (file !== undefined) keepFile(this.#thread, this.#path, file);
  }

  async #read(): Promise<void> {
    try {
      this.#bytes = await this.#thread.readFile(this.#path);
    } catch {
      // There is none yet.
    }
  }
}

export const warmthPath = (snapshot: string): string => `${snapshot}.warm`;
