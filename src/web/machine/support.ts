/** What a browser must have to run machines, asked before anything is started; and what its processor is like. */
import { A, Code, type FunctionType, ModuleBuilder, V, W } from "#wasm";

const number: FunctionType = { parameters: [], results: ["i32"] };

/** Why no machine can run here, a sentence each that says what to do; empty where all is well. */
export function whatIsMissing(): string[] {
  if (typeof WebAssembly === "undefined") {
    return ["WebAssembly is off in this browser. Some lockdown modes and policies do that: allow it for this site."];
  }
  const missing: string[] = [];
  if (!globalThis.isSecureContext) {
    missing.push("This page came over plain http. Open it by https, or from localhost.");
  } else if (!globalThis.crossOriginIsolated) {
    missing.push(
      "This page is not cross-origin isolated, so the browser gives it no shared memory. Its server has to send " +
        "“Cross-Origin-Opener-Policy: same-origin” and “Cross-Origin-Embedder-Policy: require-corp”.",
    );
  }
  const old = [
    ...(runsVectors() ? [] : ["WebAssembly SIMD"]),
    ...(typeof SharedArrayBuffer === "undefined" || runsAtomics() ? [] : ["WebAssembly threads"]),
    ...("waitAsync" in Atomics ? [] : ["Atomics.waitAsync"]),
    ...("withResolvers" in Promise ? [] : ["Promise.withResolvers"]),
    ...("transfer" in ArrayBuffer.prototype ? [] : ["ArrayBuffer.transfer"]),
  ];
  if (old.length > 0) {
    missing.push(
      `This browser has no ${old.join(", no ")}. Chrome or Edge 123, Safari 17.5 and Firefox 145 do, and later ones.`,
    );
  }
  return missing;
}

/**
 * Whether plain loads and stores here have x86's memory order, which several vCPUs on threads need (docs/smp.md).
 *
 * No browser tells its processor's name for sure. But 0/0 is a NaN with the sign bit set on x86 (SDM 1, "QNaN Floating-Point
 * Indefinite") and without it on Arm, RISC-V and the rest, and WebAssembly lets the processor's own answer through. A
 * browser for x86 that is itself translated has both from its translator.
 */
export function hasX86MemoryOrder(): boolean {
  const code = new Code(1);
  code.get(0).get(0).op(W.f64_div, W.i64_reinterpret_f64);
  const module = moduleOf({ parameters: ["f64"], results: ["i64"] }, code);
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(module)).exports;
  return (run as (value: number) => bigint)(0) < 0n;
}

function runsVectors(): boolean {
  const code = new Code(0);
  code.i32(1).vector(V.i8x16_splat).vector(V.i8x16_popcnt).vector(V.i8x16_all_true);
  return WebAssembly.validate(moduleOf(number, code));
}

function runsAtomics(): boolean {
  const code = new Code(0);
  code.i32(0).i32(1).atomic(A.i32_rmw_add, 2, 0);
  return WebAssembly.validate(moduleOf(number, code, true));
}

/** A module with one function; with a shared memory, which by itself an old browser does not know. */
function moduleOf(type: FunctionType, code: Code, memory = false): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  if (memory) module.importMemory("page", "memory");
  module.function(type, code, "run");
  return module.finish();
}
