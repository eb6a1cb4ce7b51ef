/**
 * Memory in pages of 2 MiB, where the host is Linux and has them for who asks (its setting `madvise`, which is the usual one).
 *
 * A guest's memory, its page tables and what was lifted from its code lie all over the arena. In pages of 4 KiB they need more
 * entries than the host's TLB has, and a walk of its tables costs most where the host is a virtual machine itself.
 */

/** madvise(2) */
const MADV_HUGEPAGE = 14;
const largePageBytes = 2n << 20n;

/** Asks for large pages for the first `bytes` of a memory, whether it has grown to them or is yet to. Nothing depends on the answer. */
export function keepInLargePages(memory: WebAssembly.Memory, bytes: number): void {
  if (process.platform !== "linux") return;
  try {
    // Older versions of Node do not have it.
    const ffi = quietly(() => process.getBuiltinModule("node:ffi"));
    const madvise = ffi?.dlopen(null, { madvise: { arguments: ["u64", "u64", "i32"], return: "i32" } }).functions
      .madvise;
    if (ffi === undefined || madvise === undefined) return;
    const start = ffi.getRawPointer(memory.buffer);
    const from = (start + largePageBytes - 1n) & -largePageBytes;
    madvise(from, start + BigInt(bytes) - from, MADV_HUGEPAGE);
  } catch {
    // A process without permission for foreign functions, or a libc without madvise.
  }
}

/** Without the warning that a module of Node's is experimental, which is no news to who runs a machine. */
function quietly<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}
