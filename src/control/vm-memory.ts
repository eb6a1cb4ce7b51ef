/** The memory of a running machine, as its owner sees it. */
import { MemoryFiles, memoryTree } from "#introspect/memory-files";
import type { HeatMap, MemoryAnswer, MemoryQuestion, MemorySize, MemoryStats, PageRange } from "#vm";
import { VmError } from "./vm-api.ts";

const defaultCells = 1024;
const defaultResizeMs = 10_000;
const resizeLookMs = 50;

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

  /** Of a machine with `memoryMaxBytes`: how much memory the guest has. */
  size(): Promise<MemorySize> {
    return this.ask({ about: "size" });
  }

  /**
   * Asks the guest to have so many bytes of memory, and waits until it has: it takes what it is given, and gives what it can do without. How
   * far it came within `timeoutMs`, 10 s without a word; it goes on trying.
   */
  async resize(
    bytes: number,
    { timeoutMs = defaultResizeMs }: { readonly timeoutMs?: number } = {},
  ): Promise<MemorySize> {
    const until = Date.now() + timeoutMs;
    let size = await this.ask({ about: "size", wantedBytes: bytes });
    while (size.bytes !== bytes && size.wantedBytes === bytes && Date.now() < until) {
      await new Promise<void>((resolve) => setTimeout(resolve, resizeLookMs));
      size = await this.size();
    }
    return size;
  }

  /** The same, for who is asked. */
  async ask<Q extends MemoryQuestion>(question: Q): Promise<MemoryAnswer<Q>> {
    return (await this.#ask(question)) as MemoryAnswer<Q>;
  }
}
