/**
 * Compiled regions: the queue of hot blocks, batches of them as WebAssembly modules, and the table they are entered by.
 *
 * A block that has a region is entered through its header's B_REGION; forgetting the block (its bytes changed) clears that,
 * and the table's place is used again once all blocks are forgotten.
 */
import { emitRegions, growRegion, type Region } from "#jit";
import { type Arena, arenaLayout, blockHeader } from "#memory";
import type { WasmRuntime } from "./runtime.ts";

const batchSize = 32;

export class RegionCompiler {
  readonly #arena: Arena;
  readonly #wasm: WasmRuntime;
  readonly #exact: boolean;
  #queue: number[] = [];
  #nextIndex = 1;
  readonly stats = { regions: 0, wasmBytes: 0, modules: 0, compileMs: 0, instructions: 0 };

  constructor(arena: Arena, wasm: WasmRuntime, exact: boolean) {
    this.#arena = arena;
    this.#wasm = wasm;
    this.#exact = exact;
  }

  request(block: number): void {
    this.#queue.push(block);
  }

  /** Compiles what waits. */
  compile(_vp: number): void {
    while (this.#queue.length > 0) this.#compileBatch(this.#queue.splice(0, batchSize));
  }

  forgetAll(): void {
    this.#queue = [];
    for (let n = 1; n < this.#nextIndex; n++) this.#wasm.regions.set(n, null);
    this.#nextIndex = 1;
  }

  #compileBatch(blocks: readonly number[]): void {
    const words = this.#arena.i32;
    const regions: Region[] = [];
    const covered = new Set<number>();
    for (const block of blocks) {
      // Forgotten meanwhile, or the head of a loop in a region before it.
      if (words[(block + blockHeader.B_VALID) >> 2] === 0 || covered.has(block)) continue;
      const region = growRegion(words, block, (offset) => this.#blockAt(words, block, offset));
      if (this.#nextIndex + regions.length + region.entries.length >= this.#wasm.regions.length) break;
      for (const entry of region.entries) covered.add(region.blocks[entry].block);
      regions.push(region);
    }
    if (regions.length === 0) return;
    const batch = emitRegions(words, regions, this.#exact);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(batch.bytes), this.#wasm.imports);
    regions.forEach((region, n) => {
      region.entries.forEach((entry, k) => {
        const index = this.#nextIndex++;
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

  /** The valid block at an offset of the page of `near`, lifted for the same mode and lying in one page; or 0. */
  #blockAt(words: Int32Array, near: number, offset: number): number {
    const mode = words[(near + blockHeader.B_MODE) >> 2];
    const hpa = (words[(near + blockHeader.B_HPA) >> 2] & ~0xfff) | offset;
    const mixed = Math.imul(hpa ^ Math.imul(mode, 0x9e3779b1), 0x85ebca6b);
    let block = words[(arenaLayout.BLOCK_HASH >> 2) + (mixed >>> 15)];
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
