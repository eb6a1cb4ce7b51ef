/**
 * How V8 is to compile the WebAssembly that guests run as, for the whole process.
 *
 * - Its baseline compiler has functions count where their indirect calls go, so that the optimising one can put a callee in place of the call, and
 *   go back where that was wrong (wasm-inlining-call-indirect and wasm-deopt). Regions call through tables to go on in the next region, one of
 *   very many: counting costs every entry of a region that is not optimised yet, and copies of other regions in a region take time to compile.
 * - What it takes for long enough to optimise a function (wasm-tiering-budget, about the bytes of code that ran) suits programs that come to it cold. A
 *   region has run some thousand times before it is compiled, and is as good as sure to run on: a third of the default.
 *
 * Law: it comes before anything is loaded from the cache of compiled JavaScript, by the main thread. V8 takes nothing from a cache that was made under other flags, so
 * flags that change later would have each start compile everything anew.
 */
const { setFlagsFromString } = require("node:v8");

const flags = ["--no-wasm-inlining-call-indirect", "--no-wasm-deopt", "--wasm-tiering-budget=4000000"];
/** The first V8 that is known to have the flags; it complains of those that it does not know. */
const firstV8 = 14;

exports.tuneWasm = function tuneWasm() {
  if (Number.parseInt(process.versions.v8, 10) >= firstV8) for (const flag of flags) setFlagsFromString(flag);
};
