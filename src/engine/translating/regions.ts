/**
 * Compiled regions: the queue of hot blocks, batches of them as WebAssembly modules, and the table they are entered by.
 *
 * A block that has a region is entered through its header's B_REGION. A region lies in one frame; when the frame's blocks are
 * forgotten (its bytes changed), so are its regions, and their places in the table are used again.
 */
import { emitRegions, growRegion, type Region } from "#jit";
import { type Arena, blockHeader } from "#memory";
import type { WasmRuntime } from "./runtime.ts";

const batchSize = 32;
/** A region has at most so many entries: as many as blocks. */
const maxEntries = 64;
/** Entries of a block whose region was forgotten until it gets another one. */
const entriesUntilAgain = 500;

export class RegionCompiler {
  readonly #arena: Arena;
  readonly #wasm: WasmRuntime;
  readonly #exact: boolean;
  /** The hash table of blocks. */
  readonly #hash: number;
  #queue: number[] = [];
  #nextIndex = 1;
  readonly #free: number[] = [];
  /** Places in the table, and the blocks that enter by them, by the frame that the regions were made from. */
  readonly #ofFrame = new Map<number, { readonly place: number; readonly block: number }[]>();
  readonly stats = { regions: 0, wasmBytes: 0, modules: 0, compileMs: 0, instructions: 0 };

  constructor(arena: Arena, wasm: WasmRuntime, exact: boolean, hash: number) {
    this.#hash = hash;
    this.#arena = arena;
    this.#wasm = wasm;
    this.#exact = exact;
  }

  request(block: number): void {
    this.#queue.push(block);
  }

  /** Compiles what waits. */
  compile(): void {
    while (this.#queue.length > 0) this.#compileBatch(this.#queue.splice(0, batchSize));
  }

  forgetAll(): void {
    this.#queue = [];
    for (let n = 1; n < this.#nextIndex; n++) this.#wasm.regions.set(n, null);
    this.#nextIndex = 1;
    this.#free.length = 0;
    this.#ofFrame.clear();
  }

  /** Blocks of this frame that regions were made from were forgotten; the others become hot anew. */
  forgetFrame(frame: number): void {
    const entries = this.#ofFrame.get(frame);
    if (entries === undefined) return;
    this.#ofFrame.delete(frame);
    const words = this.#arena.i32;
    for (const { place, block } of entries) {
      this.#wasm.regions.set(place, null);
      this.#free.push(place);
      const header = block >> 2;
      if (words[header + (blockHeader.B_REGION >> 2)] !== place) continue;
      words[header + (blockHeader.B_REGION >> 2)] = 0;
      words[header + (blockHeader.B_COUNTER >> 2)] = entriesUntilAgain;
    }
  }

  #compileBatch(blocks: readonly number[]): void {
    const words = this.#arena.i32;
    const regions: Region[] = [];
    const covered = new Set<number>();
    for (const block of blocks) {
      // Forgotten meanwhile, or the head of a loop in a region before it.
      if (words[(block + blockHeader.B_VALID) >> 2] === 0 || covered.has(block)) continue;
      const region = growRegion(words, block, (offset) => this.#blockAt(words, block, offset));
      if (
        this.#nextIndex + maxEntries * (regions.length + 1) >= this.#wasm.regions.length &&
        this.#free.length < maxEntries * (regions.length + 1)
      )
        break;
      for (const entry of region.entries) covered.add(region.blocks[entry].block);
      regions.push(region);
    }
    if (regions.length === 0) return;
    const batch = emitRegions(words, regions, this.#exact);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(batch.bytes), this.#wasm.imports);
    regions.forEach((region, n) => {
      for (const { block } of region.blocks) words[(block + blockHeader.B_VALID) >> 2] = 3;
      region.entries.forEach((entry, k) => {
        const index = this.#place(region.blocks[entry].block);
        this.#wasm.regions.set(index, instance.exports[batch.exports[n][k]]);
        const header = region.blocks[entry].block >> 2;
        words[header + (blockHeader.B_REGION >> 2)] = index;
        words[header + (blockHeader.B_COUNTER >> 2)] = 0;
      });
      this.stats.instructions += region.instructions;
    });
    this.stats.regions += regions.length;
    this.stats.modules++;
    this.stats.wasmBytes += batch.bytes.length;
  }

  /** A place in the table for a region of this block's frame. */
  #place(block: number): number {
    const place = this.#free.pop() ?? this.#nextIndex++;
    const frame = (this.#arena.i32[(block + blockHeader.B_HPA) >> 2] & ~0xfff) >>> 0;
    const places = this.#ofFrame.get(frame);
    if (places === undefined) this.#ofFrame.set(frame, [{ place, block }]);
    else places.push({ place, block });
    return place;
  }

  /** The valid block at an offset of the page of `near`, lifted for the same mode and lying in one page; or 0. */
  #blockAt(words: Int32Array, near: number, offset: number): number {
    const mode = words[(near + blockHeader.B_MODE) >> 2];
    const hpa = (words[(near + blockHeader.B_HPA) >> 2] & ~0xfff) | offset;
    const mixed = Math.imul(hpa ^ Math.imul(mode, 0x9e3779b1), 0x85ebca6b);
    let block = words[(this.#hash >> 2) + (mixed >>> 15)];
    while (block !== 0) {
      const header = block >> 2;
      if (words[header + (blockHeader.B_HPA >> 2)] === hpa && words[header + (blockHeader.B_MODE >> 2)] === mode) {
        return words[header + (blockHeader.B_HPA2 >> 2)] === 0 ? block : 0;
      }
      block = words[header + (blockHeader.B_HASH_NEXT >> 2)];
    }
    return 0;
  }
}
