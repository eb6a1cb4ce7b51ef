/**
 * Work on whole pages that the Wasm runtime does, for who has bytes: wherever they lie.
 *
 * The runtime sees the arena only. Bytes that lie there are worked on in place, others in a copy.
 */
import { pageSize } from "#address";
import { assert } from "#base";
import type { Arena } from "./arena.ts";

export interface PageKernels {
  /** Low 32 bits of XXH64 with seed 0, unsigned. */
  check(page: Uint8Array): number;
  /** An LZ4 block, until the next call of anything here; undefined where it would be more than `limit` bytes. */
  compress(page: Uint8Array, limit: number): Uint8Array | undefined;
  /** Fills a page with what an LZ4 block says; false where it says anything else than a page. */
  decompress(block: Uint8Array, page: Uint8Array): boolean;
}

/** What of the runtime it takes. Addresses are the arena's. */
interface KernelExports {
  /** XXH64, seed 0, of bytes in the arena; `size` is a multiple of 32. */
  xxh64(at: number, size: number): bigint;
  /** See src/runtime/lz4.ts. */
  lz4_compress(source: number, target: number, limit: number, table: number): number;
  lz4_decompress(source: number, size: number, target: number): number;
}

export class ArenaKernels implements PageKernels {
  readonly #arena: Arena;
  readonly #runtime: KernelExports;
  /** A page; then a block, and more than is written past one; then a table. */
  readonly #page: number;
  readonly #block: number;
  readonly #table: number;

  constructor(arena: Arena, runtime: KernelExports) {
    this.#arena = arena;
    this.#runtime = runtime;
    this.#page = arena.allot(4 * pageSize);
    this.#block = this.#page + pageSize;
    this.#table = this.#block + 2 * pageSize;
  }

  check(page: Uint8Array): number {
    return Number(BigInt.asUintN(32, this.#runtime.xxh64(this.#place(page, this.#page), page.length)));
  }

  compress(page: Uint8Array, limit: number): Uint8Array | undefined {
    assert(page.length === pageSize && limit <= pageSize, "a page becomes no more than a page");
    const size = this.#runtime.lz4_compress(this.#place(page, this.#page), this.#block, limit, this.#table);
    return size === 0 ? undefined : this.#arena.u8.subarray(this.#block, this.#block + size);
  }

  decompress(block: Uint8Array, page: Uint8Array): boolean {
    if (block.length > pageSize) return false;
    const target = this.#isOurs(page) ? page.byteOffset : this.#page;
    if (this.#runtime.lz4_decompress(this.#place(block, this.#block), block.length, target) === 0) return false;
    if (target === this.#page) page.set(this.#arena.u8.subarray(target, target + pageSize));
    return true;
  }

  /** Where in the arena the bytes are: where they lie, or copied to `aside`. */
  #place(bytes: Uint8Array, aside: number): number {
    if (this.#isOurs(bytes)) return bytes.byteOffset;
    this.#arena.u8.set(bytes, aside);
    return aside;
  }

  #isOurs(bytes: Uint8Array): boolean {
    return bytes.buffer === this.#arena.memory.buffer;
  }
}
