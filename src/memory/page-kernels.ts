/**
 * Work on whole pages that the Wasm runtime does, for who has bytes: wherever they lie.
 *
 * The runtime sees the arena only. Bytes that lie there are worked on in place, others in a copy.
 */
import { pageSize } from "#address";
import type { Arena } from "./arena.ts";

export interface PageKernels {
  /** Low 32 bits of XXH64 with seed 0, unsigned. */
  check(page: Uint8Array): number;
}

/** What of the runtime it takes. Addresses are the arena's. */
interface KernelExports {
  /** XXH64, seed 0, of bytes in the arena; `size` is a multiple of 32. */
  xxh64(at: number, size: number): bigint;
}

export class ArenaKernels implements PageKernels {
  readonly #arena: Arena;
  readonly #runtime: KernelExports;
  readonly #scratch: number;

  constructor(arena: Arena, runtime: KernelExports) {
    this.#arena = arena;
    this.#runtime = runtime;
    this.#scratch = arena.allot(pageSize);
  }

  check(page: Uint8Array): number {
    return Number(BigInt.asUintN(32, this.#runtime.xxh64(this.#place(page, this.#scratch), page.length)));
  }

  /** Where in the arena the bytes are: where they lie, or copied to `aside`. */
  #place(bytes: Uint8Array, aside: number): number {
    const arena = this.#arena.u8;
    if (bytes.buffer === arena.buffer) return bytes.byteOffset;
    arena.set(bytes, aside);
    return aside;
  }
}
