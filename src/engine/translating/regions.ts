/**
 * Compiled regions: growing them from hot blocks, batches of them as WebAssembly modules, and the table they are entered by.
 * Where there is a thread for it (jit/emit/emitter-thread.ts) modules are emitted there, and what runs goes on meanwhile.
 *
 * A block at which a region can be entered says so in its header: B_REGION is the region's place in the table, B_ENTRY which
 * of its entries this is. When the bytes of one of its frames change, all of a region is forgotten and its place used again.
 */
import { assert } from "#base";
import {
  type CompiledBatch,
  type EmitOptions,
  emitRegions,
  growRegion,
  isLasting,
  KeptRegions,
  type Region,
  type RegionCode,
  type RegionObject,
  type RegionSize,
  type RemoteEmitter,
  recordOf,
  regionName,
} from "#jit";
import { type Arena, blockHeader, regionRecord, regionRecords, type Translations, translationNumbers } from "#memory";
import { Event, Mode, type Vcpu } from "#vcpu";
import type { WasmRuntime } from "./runtime.ts";

const batchSize = 32;
/** Runs for which a region may wait for others to be compiled with, */
const mostWaits = 4;
/** but not after one of so many instructions in which no other became hot: a loop is all that runs. */
const quietRun = 50_000;
/** Batches that another thread may have to emit at a time. */
const mostRequests = 8;
/** Entries of a block whose region was forgotten until it gets another one. */
const entriesUntilAgain = 500;
/** Of what makes a block hot, the part that one has to be entered for once more when a region has it inside. */
const insideShare = 1 / 4;
/** What an entry of user code takes from B_COUNTER, where one of a kernel's takes 1 (jit/emit/interpreter.ts). With less left it is hot before it runs. */
const userEntry = 2;
/** B_VALID of a block that some region holds. */
const compiledBlock = 3;
/** Of all regions, the part that makes room when there is none for more. */
const evictedShare = 1 / 4;
/** Where so many of a run's accesses were not on one page with those that their region takes them to be with, */
const fewMisplaced = 1000;
/** and are so large a part of its instructions, the region that it ended in is made anew. */
const misplacedShare = 1 / 48;
/** Code whose linear addresses are not RIP. */
const segmentedModes = Mode.code32 | Mode.code16;

/** Entries of a small region until it is made anew as a large one. */
const entriesUntilLarge = 100_000;
/** B_COUNTER of what is not to be compiled, now or ever. */
export const neverHot = 0x7fffffff;

/** A region that can run. */
interface Compiled {
  readonly place: number;
  readonly record: number;
  readonly instructions: number;
  readonly apart: boolean;
  /** Blocks it can be entered at. */
  readonly entries: readonly number[];
  readonly frames: readonly number[];
}

export class RegionCompiler {
  readonly #arena: Arena;
  readonly #wasm: WasmRuntime;
  readonly #options: EmitOptions;
  readonly #emitter: RemoteEmitter | undefined;
  /** What the other thread is asked for, by number. */
  readonly #requested = new Map<number, readonly RegionCode[]>();
  #nextRequest = 0;
  /** EVENTS of the vCPU that runs what is compiled, a word of the arena. */
  #asking = 0;
  /** The hash table of blocks. */
  readonly #hash: number;
  readonly #regionsChanged: () => void;
  readonly #notCompiled: (why: string) => void;
  #queue: Region[] = [];
  /** Blocks of regions that wait or are on their way. */
  readonly #awaited = new Set<number>();
  /** Runs since the last batch, with something in the queue. */
  #waited = 0;
  /** Length of the queue before the last run. */
  #waiting = 0;
  #nextPlace = 1;
  readonly #freePlaces: number[] = [];
  /** Arena offset of the records of regions that span pages. */
  readonly #records: number;
  readonly #freeRecords: number[] = [];
  readonly #ofFrame = new Map<number, Set<Compiled>>();
  /** By place in the table; the eldest first. */
  readonly #byPlace = new Map<number, Compiled>();
  /** Where the vCPU is that runs all regions; 0 where there are several. */
  onlyVcpu = 0;
  readonly #kept: KeptRegions;
  #keeps = false;
  readonly stats = { regions: 0, kept: 0, wasmBytes: 0 };

  /**
   * `regionsChanged`: those that vCPUs remember may be gone, or no longer the best ones. `notCompiled`: is told why some code stays interpreted.
   * `emitter`: a thread that emits modules, with the same options.
   */
  constructor(
    arena: Arena,
    wasm: WasmRuntime,
    translations: Translations,
    options: EmitOptions,
    regionsChanged: () => void,
    notCompiled: (why: string) => void,
    emitter?: RemoteEmitter,
  ) {
    this.#kept = new KeptRegions(() => arena.i32);
    this.#regionsChanged = regionsChanged;
    this.#notCompiled = notCompiled;
    this.#emitter = emitter;
    this.#hash = translations.hash;
    this.#arena = arena;
    this.#wasm = wasm;
    this.#options = options;
    this.#records = translations.regions ?? arena.allot(regionRecords * regionRecord.R_BYTES);
    for (let n = regionRecords - 1; n >= 0; n--) this.#freeRecords.push(this.#records + n * regionRecord.R_BYTES);
  }

  /** Grows a region of the block at RIP, which became hot, and lets it wait for the next batch; a larger one than it has. */
  request(vcpu: Vcpu, block: number, hotThreshold: number, apart = false): void {
    const words = this.#arena.i32;
    const compiled = words[(block + blockHeader.B_REGION) >> 2] !== 0;
    const again = Math.floor(hotThreshold * insideShare);
    if (!compiled && again >= userEntry && this.#awaited.has(block)) {
      words[(block + blockHeader.B_COUNTER) >> 2] = again;
      return;
    }
    if (!compiled) words[(block + blockHeader.B_COUNTER) >> 2] = neverHot;
    const size = compiled ? "large" : "small";
    const kept = apart ? undefined : this.#keptRegion(vcpu, block, size);
    const region = kept ?? { ...this.grow(vcpu, block, vcpu.u64("RIP"), hotThreshold, size), apart };
    if (region.blocks.length === 0) return;
    this.#queue.push(region);
    this.#asking = vcpu.wordOf("EVENTS");
    this.#expect(region, again);
    // The first one: the run ends, which may have been meant to be a long one. Where runs are exact their length is not to be changed.
    if (this.#queue.length === 1 && !this.#options.exact) vcpu.raiseEvent(Event.host);
  }

  /**
   * After a run of so many instructions. Where a hot structure or stack frame lies across a page's end, accesses that regions take to be on one page are not, and
   * each asks the runtime: then the region that the run ended in is made anew, with each access by itself.
   */
  reconsider(vcpu: Vcpu, ran: number, hotThreshold: number): void {
    const misplaced = vcpu.u32("MISPLACED");
    if (misplaced === 0) return;
    vcpu.setU32("MISPLACED", 0);
    if (misplaced < Math.max(fewMisplaced, ran * misplacedShare)) return;
    const block = this.#blockAtRip(vcpu);
    const region = block === 0 ? undefined : this.#byPlace.get(this.#arena.i32[(block + blockHeader.B_REGION) >> 2]);
    if (region !== undefined && !region.apart && !this.#awaited.has(block))
      this.request(vcpu, block, hotThreshold, true);
  }

  /** The block that is next; 0 where it is not known. */
  #blockAtRip(vcpu: Vcpu): number {
    const mode = vcpu.u32("MODE");
    if ((mode & segmentedModes) !== 0) return 0;
    const rip = vcpu.u64("RIP");
    const frame = this.#wasm.exports.code_frame(vcpu.vp, BigInt.asIntN(64, rip)) >>> 0;
    return frame === 0 ? 0 : this.#blockAt(this.#arena.i32, (frame | Number(rip & 0xfffn)) >>> 0, mode);
  }

  /**
   * What a region will have inside has run as often as its seed, and is entered until the region comes: without this, each block
   * of a loop would get a region of its own, with the others in it.
   */
  #expect({ blocks }: Region, entries: number): void {
    const words = this.#arena.i32;
    for (const { block } of blocks) {
      const left = words[(block + blockHeader.B_COUNTER) >> 2];
      this.#awaited.add(block);
      // What regions name stays what it is.
      words[(block + blockHeader.B_PLACE) >> 2] |= translationNumbers.KEPT_PLACE;
      // A counter of 0 says other things.
      if (left > 0 && left < entries) words[(block + blockHeader.B_COUNTER) >> 2] = entries;
    }
  }

  /** The region that the block at `rip` would have now; without blocks where it can have none. */
  grow(vcpu: Vcpu, block: number, rip: bigint, hotThreshold: number, size: RegionSize): Region {
    const words = this.#arena.i32;
    return growRegion(words, block, {
      frameOf: this.#framesAround(vcpu, block, rip),
      blockAt: (hpa, mode) => this.#blockAt(words, hpa, mode),
      hotThreshold,
      size,
      passes: this.#options.passes,
    });
  }

  /** The one that the block at RIP had in an earlier run, where all of it is there or can be taken from what was learnt. */
  #keptRegion(vcpu: Vcpu, block: number, size: RegionSize): Region | undefined {
    const words = this.#arena.i32;
    const { take_learnt } = this.#wasm.exports;
    return this.#kept.regionOf(block, {
      frameOf: this.#framesAround(vcpu, block, vcpu.u64("RIP")),
      blockAt: (hpa, mode) => this.#blockAt(words, hpa, mode) || take_learnt(vcpu.vp, hpa, mode) >>> 0,
      vp: this.#vpOfRegions,
      exact: this.#options.exact,
      size,
    });
  }

  /** Gives the HPA of the frame that the guest runs code from so many pages from a block's, 0 where that is not known. */
  #framesAround(vcpu: Vcpu, block: number, rip: bigint): (page: number) => number {
    const words = this.#arena.i32;
    const { code_frame } = this.#wasm.exports;
    const segmented = (words[(block + blockHeader.B_MODE) >> 2] & segmentedModes) !== 0;
    const seedFrame = (words[(block + blockHeader.B_HPA) >> 2] & ~0xfff) >>> 0;
    return (page) => {
      if (page === 0) return seedFrame;
      return segmented ? 0 : code_frame(vcpu.vp, BigInt.asIntN(64, rip + BigInt(page) * 4096n)) >>> 0;
    };
  }

  /** The vCPU whose place is a constant of what is compiled; 0 where there are several. */
  get #vpOfRegions(): number {
    return this.#options.passes["one-vcpu"] ? this.onlyVcpu : 0;
  }

  /** What is hot waits for more of it: short runs tell sooner whether more comes. */
  get isGathering(): boolean {
    return this.#queue.length > 0 && this.#requested.size < mostRequests;
  }

  /** Compiles what waits, once that is enough for a module or has waited for some runs; the last one had `ran` instructions. */
  compile(ran: number): void {
    if (this.#requested.size > 0) this.#takeReplies();
    const grown = this.#queue.length > this.#waiting;
    this.#waiting = this.#queue.length;
    if (this.#queue.length === 0) return;
    // What is kept takes no time worth sharing.
    const isReady = this.#queue.some(({ kept }) => kept !== undefined);
    const enough = isReady || this.#queue.length >= batchSize || (!grown && ran >= quietRun);
    if (!enough && ++this.#waited < mostWaits) return;
    this.#waited = 0;
    this.#waiting = 0;
    while (this.#queue.length > 0 && this.#requested.size < mostRequests) {
      const codes = this.#nextBatch();
      if (codes.length > 0 && !this.#requestBatch(codes)) this.#compileHere(codes);
    }
  }

  /** Compiles what waits, at once. */
  compileNow(): void {
    while (this.#queue.length > 0) {
      const codes = this.#nextBatch();
      if (codes.length > 0) this.#compileHere(codes);
    }
  }

  /** What is emitted from here on is kept for runs to come. */
  keep(): void {
    this.#keeps = true;
    this.#emitter?.keep();
  }

  /** Takes over what `pack` gave of an earlier run, at these bytes of the arena. */
  take(first: number, end: number): void {
    this.#kept.take(first >> 2, end >> 2);
  }

  /** Records of regions for runs to come, in at most so many words. */
  pack(mostWords: number): Int32Array {
    return this.#kept.pack(this.#emitter?.fresh ?? new Int32Array(0), mostWords);
  }

  forgetAll(): void {
    this.#queue = [];
    this.#awaited.clear();
    for (const codes of this.#requested.values()) for (const { record } of codes) this.#freeRecord(record);
    this.#requested.clear();
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
    this.#freeRecord(compiled.record);
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

  /** Of what waits, as much as a module holds: what still is as it was when it was grown. */
  #nextBatch(): RegionCode[] {
    const places = this.#wasm.regions.length - this.#nextPlace + this.#freePlaces.length;
    const promised = batchSize * (this.#requested.size + 1);
    if (places < promised || this.#freeRecords.length < batchSize) this.#evict();
    const covered = new Set<number>();
    const codes: RegionCode[] = [];
    for (const region of this.#queue.splice(0, batchSize)) {
      const seed = region.blocks[region.seed].block;
      if (!this.#isUnchanged(region) || covered.has(seed)) {
        this.#giveUp(region);
        continue;
      }
      covered.add(seed);
      const record = region.pages.length > 1 ? this.#describe(region) : 0;
      codes.push({ region, record, vp: this.#vpOfRegions });
    }
    return codes;
  }

  #isUnchanged({ blocks }: Region): boolean {
    const words = this.#arena.i32;
    return blocks.every(({ block }) => words[(block + blockHeader.B_VALID) >> 2] !== 0);
  }

  /** A region does not come, as where some of it changed before it could be entered: its seed gets hot again after so many entries. */
  #giveUp({ blocks, seed, size }: Region, entries = 1): void {
    const words = this.#arena.i32;
    for (const { block } of blocks) this.#awaited.delete(block);
    const { block } = blocks[seed];
    // A counter of 0 keeps a forgotten block from being run.
    if (words[(block + blockHeader.B_VALID) >> 2] === 0) return;
    words[(block + (size === "large" ? blockHeader.B_HEAT : blockHeader.B_COUNTER)) >> 2] = entries;
  }

  #compileHere(codes: readonly RegionCode[]): void {
    const words = this.#arena.i32;
    const keep = (code: RegionCode, object: RegionObject): void => {
      if (this.#keeps && isLasting(code.region)) this.#kept.add(recordOf(words, code, object, this.#options.exact));
    };
    this.#install(codes, emitRegions(words, codes, this.#options, words, keep));
  }

  #requestBatch(codes: readonly RegionCode[]): boolean {
    if (this.#emitter?.request(this.#nextRequest, this.#arena.i32, codes, this.#asking) !== true) return false;
    this.#requested.set(this.#nextRequest++, codes);
    return true;
  }

  #takeReplies(): void {
    for (let reply = this.#emitter?.reply(); reply !== undefined; reply = this.#emitter?.reply()) {
      const codes = this.#requested.get(reply.number);
      // All was forgotten meanwhile.
      if (codes === undefined) continue;
      this.#requested.delete(reply.number);
      if (typeof reply.batch === "string") this.#leaveInterpreted(codes, reply.batch);
      else this.#install(codes, reply.batch);
    }
  }

  /** For a mistake of whoever emits: the guest is slow, and no worse. */
  #leaveInterpreted(codes: readonly RegionCode[], why: string): void {
    for (const { region, record } of codes) {
      this.#freeRecord(record);
      this.#giveUp(region, neverHot);
    }
    this.#notCompiled(why);
  }

  #install(codes: readonly RegionCode[], { bytes, entries }: CompiledBatch): void {
    const words = this.#arena.i32;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#wasm.imports);
    // Where no block had a region, vCPUs remember none of what gets a better one.
    const better = entries.some((blocks) => blocks.some((block) => words[(block + blockHeader.B_REGION) >> 2] !== 0));
    codes.forEach((code, n) => {
      if (this.#isUnchanged(code.region)) return this.#enter(code, instance.exports[regionName(n)], entries[n]);
      this.#freeRecord(code.record);
      this.#giveUp(code.region);
    });
    this.stats.wasmBytes += bytes.length;
    if (better) this.#regionsChanged();
  }

  /** Puts a compiled region into the table, and makes the blocks that it can be entered at know it. */
  #enter({ region, record }: RegionCode, code: unknown, entries: readonly number[]): void {
    const words = this.#arena.i32;
    const place = this.#freePlaces.pop() ?? this.#nextPlace++;
    const { instructions, apart = false } = region;
    const frames = region.pages.map(({ frame }) => frame);
    const compiled: Compiled = { place, record, instructions, apart, entries, frames };
    this.#wasm.regions.set(place, code);
    this.#byPlace.set(place, compiled);
    for (const frame of compiled.frames) {
      const regions = this.#ofFrame.get(frame);
      if (regions === undefined) this.#ofFrame.set(frame, new Set([compiled]));
      else regions.add(compiled);
    }
    for (const { block } of region.blocks) {
      words[(block + blockHeader.B_VALID) >> 2] = compiledBlock;
      this.#awaited.delete(block);
    }
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
    if (region.kept !== undefined) this.stats.kept++;
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

  #freeRecord(record: number): void {
    if (record !== 0) this.#freeRecords.push(record);
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
