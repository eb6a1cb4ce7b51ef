/** The memory of a running machine, as its owner sees it. */
import { pageSize } from "#address";
import { MemoryFiles, memoryTree } from "#introspect/memory-files";
import { type Pressure, pressures } from "#memory/pressure";
import type {
  HeatMap,
  HostPressure,
  MemoryAnswer,
  MemoryPressure,
  MemoryQuestion,
  MemorySize,
  MemoryStats,
  PageRange,
} from "#vm";
import { hostChose, words } from "./thread-protocol.ts";
import { maxMemoryBytes, VmError } from "./vm-api.ts";

const defaultCells = 1024;
const defaultResizeMs = 10_000;
const resizeLookMs = 50;
const mib = 2 ** 20;
/** Below it a guest does nothing but wait for pages. */
export const leastLimitBytes = 16 * mib;

/** How a machine's memory is off. */
export interface VmPressure extends MemoryPressure {
  /** Why part of its memory is out of reach: the machine waits when it needs that. */
  readonly waiting?: string;
}

export class VmMemory {
  readonly #ask: (question: MemoryQuestion) => Promise<unknown>;
  readonly #words: Int32Array;
  readonly #ring: () => void;
  readonly #receivers = new Set<(pressure: VmPressure) => void>();
  #pressure: VmPressure = { level: "none" };

  /** The same and more as files (docs/memory-files.md): `mem`, `map`, `slots`, `dirty`, `stats`. */
  readonly files = new MemoryFiles(memoryTree((question) => this.ask(question)));

  /** `words`: those that are shared with the machine's thread; `ring` makes it look. */
  constructor(
    ask: (question: MemoryQuestion) => Promise<unknown>,
    shared: Int32Array = new Int32Array(Object.keys(words).length),
    ring = (): void => {},
  ) {
    this.#ask = ask;
    this.#words = shared;
    this.#ring = ring;
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

  /** From now on the guest has no more in frames than this; undefined: as much as it likes. What is over goes to the memory backing. */
  async limit(bytes: number | undefined): Promise<void> {
    if (bytes !== undefined && !(bytes >= leastLimitBytes && bytes <= maxMemoryBytes))
      throw new VmError("option", `limit: a limit is from ${leastLimitBytes / mib} to ${maxMemoryBytes / mib} MiB`);
    await this.ask({ about: "limit", ...(bytes !== undefined && { bytes }) });
  }

  /** Whether pages that are not used go from now on, as with the option `reclaim`. */
  async reclaim(on: boolean): Promise<void> {
    await this.ask({ about: "reclaim", on });
  }

  /** How short of memory the machine is, and whether it stands still for that (docs/overcommit.md). */
  get pressure(): VmPressure {
    return this.#pressure;
  }

  /** Called with each change of `pressure`. Returns what ends the subscription. */
  onPressure(receive: (pressure: VmPressure) => void): () => void {
    // Each call is a subscription of its own.
    const subscription = (pressure: VmPressure): void => receive(pressure);
    this.#receivers.add(subscription);
    return () => void this.#receivers.delete(subscription);
  }

  /** What the machine holds of the host's memory: in frames, and for pages that are in none. As of a tenth of a second ago. */
  get held(): { readonly frameBytes: number; readonly storedBytes: number } {
    const pages = (word: number): number => Atomics.load(this.#words, word) * pageSize;
    return { frameBytes: pages(words.frames), storedBytes: pages(words.stored) };
  }

  /** Tells the machine how short of memory the host is, and what it is to do about that. */
  set host({ level, limitFrames = 0, chosen }: HostPressure) {
    Atomics.store(this.#words, words.hostLimit, limitFrames);
    Atomics.store(
      this.#words,
      words.hostPressure,
      pressures.indexOf(level satisfies Pressure) | (chosen ? hostChose : 0),
    );
    this.#ring();
  }

  /** The same as `stats` and the others, for who is asked. */
  async ask<Q extends MemoryQuestion>(question: Q): Promise<MemoryAnswer<Q>> {
    return (await this.#ask(question)) as MemoryAnswer<Q>;
  }

  /** The machine's thread says so. */
  pressed(pressure: MemoryPressure): void {
    const { waiting } = this.#pressure;
    this.#tell({ ...pressure, ...(waiting !== undefined && { waiting }) });
  }

  waits(reason: string | undefined): void {
    const { waiting: _, ...pressure } = this.#pressure;
    this.#tell({ ...pressure, ...(reason !== undefined && { waiting: reason }) });
  }

  #tell(pressure: VmPressure): void {
    this.#pressure = pressure;
    for (const receive of this.#receivers) receive(pressure);
  }
}
