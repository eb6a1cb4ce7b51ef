/**
 * Gives memory of an arena back to Linux: madvise(2) with MADV_DONTNEED, by node:ffi, which Node has from 26.1 on. The memory of a
 * WebAssembly.Memory is private and anonymous, so that what was discarded reads as zeros.
 */
import type { Discard } from "#memory";

const MADV_DONTNEED = 4;

/** Undefined where there is no such call to make. */
export function discardOnLinux(): Discard | undefined {
  if (process.platform !== "linux") return undefined;
  const ffi = loadFfi();
  if (ffi === undefined) return undefined;
  const { functions } = ffi.dlopen(null, {
    madvise: { return: "int32", arguments: ["pointer", "uint64", "int32"] },
  });
  const bases = new WeakMap<WebAssembly.Memory, bigint>();
  return (memory, at, bytes) => {
    // A memory grows where it is.
    const base = bases.get(memory) ?? ffi.getRawPointer(new Uint8Array(memory.buffer));
    bases.set(memory, base);
    return functions.madvise(base + BigInt(at), BigInt(bytes), MADV_DONTNEED) === 0;
  };
}

/** Without the warning that it is experimental, which is of no use to who runs a machine. */
function loadFfi(): typeof import("node:ffi") | undefined {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:ffi");
  } catch {
    return undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}
