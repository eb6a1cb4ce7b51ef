/** The memory of a running machine, as its owner sees it. */

import { MemoryFiles, memoryTree } from "#introspect/memory-files";
import type { HeatMap, MemoryAnswer, MemoryQuestion, MemoryStats, PageRange } from "#vm";
import { VmError } from "./vm-api.ts";

const defaultCells = 1024;

export class VmMemory {
  readonly #ask: (question: MemoryQuestion) => Promise<unknown>;

  /** The same and more as files (docs/memory-files.md): `mem`, `map`, `slots`, `dirty`, `stats`. */
  readonly files = new MemoryFiles(memoryTree((question) => this.ask(question)));

  constructor(ask: (question: MemoryQuestion) => Promise<unknown>) {
    this.#ask = ask;
  }

  /**
   * Slots, what they are kept in, pages by state, ages. From the first call on, and until nobody has asked for a minute, the pages'
   * accesses are watched: that is what ages and working set tell of.
   */
  stats(): Promise<MemoryStats> {
    return this.ask({ about: "stats" });
  }

  /** How recently memory was used, in some `cells` of many pages each. Watches as `stats` does. */
  async heat(cells = defaultCells): Promise<HeatMap> {
    if (!(cells >= 1)) throw new VmError("option", `heat: ${cells} is no number of cells`);
    return this.ask({ about: "heat", cells });
  }

  /**
   * The pages that were stored to since the last call, by the guest or its devices; the first call gives none. Who reads them then
   * has seen every store.
   */
  dirty(): Promise<readonly PageRange[]> {
    return this.ask({ about: "dirty" });
  }

  /** The same, for who is asked. */
  async ask<Q extends MemoryQuestion>(question: Q): Promise<MemoryAnswer<Q>> {
    return (await this.#ask(question)) as MemoryAnswer<Q>;
  }
}
