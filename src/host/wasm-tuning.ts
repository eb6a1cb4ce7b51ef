/**
 * How V8 is to compile the WebAssembly that guests run as.
 *
 * Its baseline compiler has functions count where their indirect calls go, so that the optimising one can put a callee in place of the call, and
 * go back where that was wrong (flags wasm-inlining-call-indirect and wasm-deopt). Regions call through tables to go on in the next region, one of
 * very many: counting costs every entry of a region that is not optimised yet, and copies of other regions in a region take time to compile.
 */
import { setFlagsFromString } from "node:v8";

/** The first V8 that is known to have the flags; it complains of those that it does not know. */
const firstV8 = 14;

/** For the whole process. Modules that were made before it stay as they are. */
export function tuneWasm(): void {
  if (Number.parseInt(process.versions.v8, 10) < firstV8) return;
  setFlagsFromString("--no-wasm-inlining-call-indirect");
  setFlagsFromString("--no-wasm-deopt");
}
