/**
 * Compiling beside the guest what the emitter's thread has emitted.
 *
 * V8 validates a module where it is made, and makes the code of a function at its first call. But equal bytes have one compiled
 * form in a process, with all code made so far: a module that is made here first, and whose functions were called here once,
 * costs the machine's thread next to nothing. Elsewhere than in V8 it is work in vain, and nothing else.
 *
 * Law: nothing of a region runs here. Its budget is nothing, so that it leaves at its entry; its memory and its runtime are nobody's.
 */
import { regionType } from "./region-cache.ts";
import { runtimeCalls } from "./runtime-calls.ts";

/** Of a region that is called for no vCPU, at its first entry, with nothing left. i64s are bigints. */
const nothing = regionType.parameters.map((type) => (type === "i64" ? 0n : 0));

/** As many as may be on their way to the machine's thread, which has to find them alive. */
const keptModules = 32;

export class Rehearsal {
  readonly #kept: WebAssembly.Module[] = [];
  readonly #tables = {
    helpers: new WebAssembly.Table({ element: "anyfunc", initial: 0 }),
    regions: new WebAssembly.Table({ element: "anyfunc", initial: 0 }),
  };
  readonly #runtime = Object.fromEntries(Object.keys(runtimeCalls).map((name) => [name, () => 0]));
  #memory: WebAssembly.Memory | undefined;
  #pages = 0;

  /** Has a module of regions compiled, which imports a memory of at least so many pages of WebAssembly; where the host has none, it does not. */
  of(bytes: Uint8Array<ArrayBuffer>, memoryPages: number): void {
    const memory = this.#memoryOf(memoryPages);
    if (memory === undefined) return;
    const module = new WebAssembly.Module(bytes);
    this.#kept.push(module);
    if (this.#kept.length > keptModules) this.#kept.shift();
    const imports = { env: { memory, ...this.#tables }, runtime: this.#runtime };
    for (const region of Object.values(new WebAssembly.Instance(module, imports).exports)) {
      try {
        if (typeof region === "function") region(...nothing);
      } catch (error) {
        // Beyond the memory's end: it has been compiled all the same.
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      }
    }
  }

  /** What is not touched of it costs nothing. */
  #memoryOf(pages: number): WebAssembly.Memory | undefined {
    try {
      this.#memory ??= new WebAssembly.Memory({ initial: 0, maximum: 65536, shared: true });
      if (pages > this.#pages) this.#memory.grow(pages - this.#pages);
      this.#pages = Math.max(pages, this.#pages);
      return this.#memory;
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }
}
