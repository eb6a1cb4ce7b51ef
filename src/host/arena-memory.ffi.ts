/**
 * What Linux is told of the memory behind an arena, by madvise(2) through node:ffi, which Node has from 26.1 on.
 *
 * A WebAssembly.Memory is private and anonymous memory: what was discarded of it reads as zeros.
 */
import type { Discard } from "#memory";
import { nodeFfi } from "./node-ffi.ts";

const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;

type Madvise = (memory: WebAssembly.Memory, at: number, bytes: number, advice: number) => boolean;

const madvise = process.platform === "linux" ? bindMadvise() : undefined;

/**
 * Asks for pages of 2 MiB for the first `bytes` of a memory, whether it has grown to them or is yet to, where Linux has them for who
 * asks (its setting `madvise`, which is the usual one). Nothing depends on the answer.
 *
 * A guest's memory, its page tables and what was lifted from its code lie all over the arena. In pages of 4 KiB they need more
 * entries than the host's TLB has, and a walk of its tables costs most where the host is a virtual machine itself.
 */
export function keepInLargePages(memory: WebAssembly.Memory, bytes: number): void {
  madvise?.(memory, 0, bytes, MADV_HUGEPAGE);
}

/** Gives a piece of a memory back, to be zeros; undefined where that cannot be done. */
export const discard: Discard | undefined =
  madvise && ((memory, at, bytes) => madvise(memory, at, bytes, MADV_DONTNEED));

function bindMadvise(): Madvise | undefined {
  try {
    const ffi = nodeFfi();
    const call = ffi?.dlopen(null, { madvise: { arguments: ["u64", "u64", "i32"], return: "i32" } }).functions.madvise;
    if (ffi === undefined || call === undefined) return undefined;
    return (memory, at, bytes, advice) =>
      call(ffi.getRawPointer(memory.buffer) + BigInt(at), BigInt(bytes), advice) === 0;
  } catch {
    // A process without permission for foreign functions, or a libc without madvise.
    return undefined;
  }
}
