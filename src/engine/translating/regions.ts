/**
 * Compiled regions: growing them from hot blocks, batches of them as WebAssembly modules, and the table they are entered by.
 *
 * A block at which a region can be entered says so in its header: B_REGION is the region's place in the table, B_ENTRY which
 * of its entries this is. When the bytes of one of its frames change, all of a region is forgotten and its place used again.
 */
import { assert } from "#base";
import {
  type EmitOptions,
  emitRegions,
  growRegion,
  type Region,
  type RegionBlock,
  type RegionCode,
  type RegionSize,
} from "#jit";
import { type Arena, blockHeader, regionRecord, regionRecords, type Translations } from "#memory";
import { Mode, type Vcpu } from "#vcpu";
import type { WasmRuntime } from "./runtime.ts";

const batchSize = 32;
/** Runs for which a region may wait for others to be compiled with. */
const mostWaits = 4;
/** Entries of a block whose region was forgotten until it gets another one. */
const entriesUntilAgain = 500;
/** B_VALID of a block that some region holds. */
const compiledBlock = 3;
/** Of all regions, the part that makes room when there is none for more. */
const evictedShare = 1 / 4;
/** Code whose linear addresses are not RIP. */
const segmentedModes = Mode.code32 | Mode.code16;

/** Entries of a small region until it is made anew as a large one. */
const entriesUntilLarge = 100_000;
const neverHot = 0x7fffffff;

/** A region that can run. */
interface Compiled {
  readonly place: number;
  readonly record: number;
  readonly instructions: number;
  /** Blocks it can be entered at. */
  readonly entries: readonly number[];
  readonly frames: readonly number[];
}

export class RegionCompiler {
  readonly #arena: Arena;
  readonly #wasm: WasmRuntime;
  readonly #options: EmitOptions;
  /** The hash table of blocks. */
  readonly #hash: number;
  readonly #regionsChanged: () => void;
  #queue: Region[] = [];
  /** Runs since the last batch, with something in the queue. */
  #waited = 0;
  #nextPlace = 1;
  readonly #freePlaces: number[] = [];
  readonly #freeRecords: number[] = [];
  readonly #ofFrame = new Map<number, Set<Compiled>>();
  /** By place in the table; the eldest first. */
  readonly #byPlace = new Map<number, Compiled>();
  readonly stats = { regions: 0, wasmBytes: 0 };

  /** `regionsChanged`: those that vCPUs remember may be gone, or no longer the best ones. */
  constructor(
    arena: Arena,
    wasm: WasmRuntime,
    translations: Translations,
    options: EmitOptions,
    regionsChanged: () => void,
  ) {
    this.#regionsChanged = regionsChanged;
    this.#hash = translations.hash;
    this.#arena = arena;
    this.#wasm = wasm;
    this.#options = options;
    const records = translations.regions ?? arena.allot(regionRecords * regionRecord.R_BYTES);
    for (let n = regionRecords - 1; n >= 0; n--) this.#freeRecords.push(records + n * regionRecord.R_BYTES);
  }

  /** Grows a region of the block at RIP, which became hot, and lets it wait for the next batch; a larger one than it has. */
  request(vcpu: Vcpu, block: number, hotThreshold: number): void {
    const words = this.#arena.i32;
    const compiled = words[(block + blockHeader.B_REGION) >> 2] !== 0;
    if (!compiled) words[(block + blockHeader.B_COUNTER) >> 2] = neverHot;
    const region = this.grow(vcpu, block, vcpu.u64("RIP"), hotThreshold, compiled ? "large" : "small");
    if (region.blocks.length > 0) this.#queue.push(region);
  }

  /** The region that the block at `rip` would have now; without blocks where it can have none. */
  grow(vcpu: Vcpu, block: number, rip: bigint, hotThreshold: number, size: RegionSize): Region {
    const words = this.#arena.i32;
    const { code_frame } = this.#wasm.exports;
    const segmented = (words[(block + blockHeader.B_MODE) >> 2] & segmentedModes) !== 0;
    const seedFrame = (words[(block + blockHeader.B_HPA) >> 2] & ~0xfff) >>> 0;
    return growRegion(words, block, {
      frameOf: (page) => {
        if (page === 0) return seedFrame;
        return segmented ? 0 : code_frame(vcpu.vp, BigInt.asIntN(64, rip + BigInt(page) * 4096n)) >>> 0;
      },
      blockAt: (hpa, mode) => this.#blockAt(words, hpa, mode),
      hotThreshold,
      size,
      passes: this.#options.passes,
    });
  }

  /** Compiles what waits, once that is enough for a module or has waited for some runs. */
  compile(): void {
    if (this.#queue.length === 0) return;
    if (this.#queue.length < batchSize && ++this.#waited < mostWaits) return;
    this.compileNow();
  }

  compileNow(): void {
    this.#waited = 0;
    while (this.#queue.length > 0) this.#compileBatch(this.#queue.splice(0, batchSize));
  }

  forgetAll(): void {
    this.#queue = [];
    this.#forget([...this.#byPlace.values()]);
  }

  /** Blocks of this frame that regions were made from were forgotten; the others become hot anew. */
  forgetFrame(frame: number): void {
    this.#forget([...(this.#ofFrame.get(frame) ?? [])]);
  }

  /** Forgets the eldest regions. What of them is still hot is compiled again, as it has become. */
  #evict(): void {
    this.#forget([...this.#byPlace.values()].slice(0, Math.ceil(this.#byPlace.size * evictedShare)));
  }

  #forget(regions: readonly Compiled[]): void {
    if (regions.length === 0) return;
    for (const compiled of regions) this.#forgetOne(compiled);
    this.#regionsChanged();
  }

  #forgetOne(compiled: Compiled): void {
    const words = this.#arena.i32;
    this.#wasm.regions.set(compiled.place, null);
    this.#byPlace.delete(compiled.place);
    this.#freePlaces.push(compiled.place);
    if (compiled.record !== 0) this.#freeRecords.push(compiled.record);
    for (const frame of compiled.frames) {
      const regions = this.#ofFrame.get(frame);
      regions?.delete(compiled);
      if (regions?.size === 0) this.#ofFrame.delete(frame);
    }
    for (const block of compiled.entries) {
      if (words[(block + blockHeader.B_REGION) >> 2] !== compiled.place) continue;
      words[(block + blockHeader.B_REGION) >> 2] = 0;
      words[(block + blockHeader.B_COUNTER) >> 2] = entriesUntilAgain;
    }
  }

  #compileBatch(waiting: readonly Region[]): void {
    const words = this.#arena.i32;
    const places = this.#wasm.regions.length - this.#nextPlace + this.#freePlaces.length;
    if (Math.min(places, this.#freeRecords.length) < batchSize) this.#evict();
    const covered = new Set<number>();
    const codes: RegionCode[] = [];
    for (const region of waiting) {
      const seed = region.blocks[region.seed].block;
      const valid = ({ block }: RegionBlock): boolean => words[(block + blockHeader.B_VALID) >> 2] !== 0;
      if (!region.blocks.every(valid) || covered.has(seed)) {
        // Some of it changed meanwhile: it gets hot again. (A counter of 0 keeps a forgotten block from being run.)
        if (valid(region.blocks[region.seed]))
          words[(seed + (region.size === "large" ? blockHeader.B_HEAT : blockHeader.B_COUNTER)) >> 2] = 1;
        continue;
      }
      covered.add(seed);
      codes.push({ region, record: region.pages.length > 1 ? this.#describe(region) : 0 });
    }
    if (codes.length === 0) return;
    const batch = emitRegions(words, codes, this.#options);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(batch.bytes), this.#wasm.imports);
    codes.forEach((code, n) => {
      const { name, entries } = batch.functions[n];
      this.#enter(
        code,
        instance.exports[name],
        entries.map(({ block }) => block),
      );
    });
    this.stats.wasmBytes += batch.bytes.length;
    this.#regionsChanged();
  }

  /** Puts a compiled region into the table, and makes the blocks that it can be entered at know it. */
  #enter({ region, record }: RegionCode, code: unknown, entries: readonly number[]): void {
    const words = this.#arena.i32;
    const place = this.#freePlaces.pop() ?? this.#nextPlace++;
    const { instructions } = region;
    const compiled: Compiled = { place, record, instructions, entries, frames: region.pages.map(({ frame }) => frame) };
    this.#wasm.regions.set(place, code);
    this.#byPlace.set(place, compiled);
    for (const frame of compiled.frames) {
      const regions = this.#ofFrame.get(frame);
      if (regions === undefined) this.#ofFrame.set(frame, new Set([compiled]));
      else regions.add(compiled);
    }
    for (const { block } of region.blocks) words[(block + blockHeader.B_VALID) >> 2] = compiledBlock;
    entries.forEach((block, n) => {
      const field = (name: number): number => (block + name) >> 2;
      // The head of a loop may have a region already: the larger one serves it.
      const other = this.#byPlace.get(words[field(blockHeader.B_REGION)]);
      if (n > 0 && other !== undefined && other.instructions > instructions) return;
      words[field(blockHeader.B_REGION)] = place;
      words[field(blockHeader.B_ENTRY)] = n;
      words[field(blockHeader.B_COUNTER)] = 0;
      words[field(blockHeader.B_HEAT)] = region.size === "large" ? neverHot : entriesUntilLarge;
    });
    this.stats.regions++;
  }

  /** Writes the record of what a region was made from. */
  #describe(region: Region): number {
    const record = this.#freeRecords.pop();
    assert(record !== undefined, "eviction made room for a batch");
    const words = this.#arena.i32;
    words[(record + regionRecord.R_VP) >> 2] = 0;
    words[(record + regionRecord.R_COUNT) >> 2] = region.pages.length;
    region.pages.forEach(({ page, frame }, n) => {
      const at = (record + regionRecord.R_PAGES + 8 * n) >> 2;
      words[at] = page;
      words[at + 1] = frame;
    });
    return record;
  }

  /** The valid block at an HPA, lifted for this mode; or 0. */
  #blockAt(words: Int32Array, hpa: number, mode: number): number {
    const mixed = Math.imul(hpa ^ Math.imul(mode, 0x9e3779b1), 0x85ebca6b);
    let block = words[(this.#hash >> 2) + (mixed >>> 15)];
    while (block !== 0) {
      const header = block >> 2;
      if (words[header + (blockHeader.B_HPA >> 2)] === (hpa | 0) && words[header + (blockHeader.B_MODE >> 2)] === mode)
        return block;
      block = words[header + (blockHeader.B_HASH_NEXT >> 2)];
    }
    return 0;
  }
}
