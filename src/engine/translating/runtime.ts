/** The Wasm side of the translating engine, put together: runtime, interpreter, and the tables through which they call. */
import { type HelperName, helperRows } from "#ir";
import { generateInterpreter, runtimeCalls } from "#jit";
import { type Arena, ArenaError, type FrameSource, type FreeLists } from "#memory";
import { Code, ModuleBuilder } from "#wasm";
import type { EngineHost } from "../engine.ts";

/** Exports of the runtime that the TypeScript side calls. Addresses come back as signed 32-bit numbers. */
export interface RuntimeExports extends FrameSource, FreeLists {
  fetch(vp: number, va: bigint): number;
  code_frame(vp: number, va: bigint): number;
  linear_rip(vp: number): bigint;
  /** HPA of the code byte at RIP, or, with `page` 1, of the first one of the next page; 0 as `fetch` says. */
  fetch_code(vp: number, page: number): number;
  translate(vp: number, va: bigint): bigint;
  /** See src/runtime/lift.ts. */
  lift_on(base: number): number;
  lift_entry(base: number): number;
  lift_end(base: number, start: number): number;
  register_block(vp: number, block: number): void;
  /** For a block that runs without being registered. */
  depend_on_bytes(block: number): void;
  /** Takes over the blocks in [first, end) (src/runtime/memory/adopt.ts). */
  adopt_blocks(vp: number, first: number, end: number, frames: number, counter: number): number;
  /**
   * The blocks in [first, end) are taken instead of lifting them (src/runtime/memory/learnt.ts); how many they are, or 0 where they are
   * none. `table`: BLOCK_HASH_ENTRIES words of zeros. The others: entries of a block until it is hot, by its heat.
   */
  learn_blocks(first: number, end: number, table: number, cold: number, warm: number, hot: number): number;
  /** How many blocks were. */
  learnt_taken(): number;
  /** The block for the code at an HPA, taken from them now; 0 where there is none. */
  take_learnt(vp: number, hpa: number, mode: number): number;
  /** Where what changes is noted (numberMap); without a call, nothing is. */
  keep_numbers(at: number): void;
  /** Arena offset of a bit for each byte of the page with the code at an HPA, whether it is of a number that changes; 0 where none is. */
  changing_numbers(hpa: number): number;
  /** The block for RIP, or 0 where it has to be lifted first, or fetching it faults. */
  lookup(vp: number): number;
  /** `forget_code` and `forget_regions` are to be called for each vCPU before that one runs. */
  forget_blocks(): void;
  forget_code(vp: number): void;
  forget_regions(vp: number): void;
  /** These do nothing before `use_thread` (src/runtime/memory/exclusive.ts). */
  claim_code(space: number, frame: number, second: number): void;
  end_lifting(): void;
  park(vp: number): void;
  resume(vp: number): void;
  /** Nonzero: the blocks of all frames are to be forgotten. */
  take_forgets(vp: number): number;
  /** An error has ended a call of the runtime's in its middle: what it kept of that one is forgotten. */
  abandon(): void;
  use_thread(vp: number): void;
  use_translations(records: number): void;
  tlb_flush_all(vp: number): void;
  flags(vp: number): number;
  digest_bytes(seed: bigint, at: number, size: number): bigint;
  digest_memory(space: number): bigint;
  digest_page(gfn: number, at: number): bigint;
  /** XXH64, seed 0, of bytes in the arena; `size` is a multiple of 32. */
  xxh64(at: number, size: number): bigint;
  /** See src/runtime/lz4.ts. */
  lz4_compress(source: number, target: number, limit: number, table: number): number;
  lz4_decompress(source: number, size: number, target: number): number;
  update_mode(vp: number): void;
  deliver_fault(vp: number): number;
  deliver_interrupt(vp: number, vector: number): number;
  deliver_nmi(vp: number): number;
  deliver_debug(vp: number, dr6: number): number;
  /** Delivers #DB before the instruction at RIP where a breakpoint is on it; whether there was one. */
  deliver_breakpoint(vp: number): number;
}

export interface WasmRuntime {
  readonly exports: RuntimeExports;
  /** Compiled regions by index; 0 is none. */
  readonly regions: WebAssembly.Table;
  /** What a compiled region's module imports. */
  readonly imports: WebAssembly.Imports;
  run(vp: number, block: number): void;
}

/** How the runtime's imports reach the machine whose vCPU runs now. */
export interface HostCalls {
  /** The machine whose vCPU runs. */
  host(): EngineHost;
  /** As of EngineHost, of the machine with that address space. */
  fillFrame(space: number, gfn: number): void;
  comesAtOnce(space: number, gfn: number): boolean;
  deferFault(space: number, gfn: number): number;
  frameInvalidated(frame: number): void;
  /** Writes a 64-bit result where the runtime looks for it. */
  answer(value: bigint): void;
  answerCpuid(values: readonly number[]): void;
}

/** What an observer hears of the Wasm side. */
export interface WasmWatch {
  /** FAULT_ fields are about to be delivered. */
  fault(): void;
  /** Returned from a helper. */
  helper(name: HelperName, result: number): void;
  readonly helpers: readonly HelperName[];
}

const regionTableSize = 1 << 16;

export interface WasmBytes {
  /** The compiled Wasm runtime (dist/runtime.wasm). */
  readonly runtimeWasm: Uint8Array<ArrayBuffer>;
  /** What `generateInterpreter` gives, where somebody has kept it: it is always the same. */
  readonly interpreterWasm?: Uint8Array<ArrayBuffer> | undefined;
}

/** Throws WebAssembly.CompileError or LinkError when the runtime's bytes are not of this build. */
export function instantiateRuntime(
  arena: Arena,
  { runtimeWasm, interpreterWasm }: WasmBytes,
  calls: HostCalls,
  catchFaults: boolean,
  watch?: WasmWatch,
): WasmRuntime {
  const size = (n: number) => n as 1 | 2 | 4;
  const gpaOf = (high: number, low: number) => (high >>> 0) * 2 ** 32 + (low >>> 0);
  const runtime = new WebAssembly.Instance(new WebAssembly.Module(runtimeWasm), {
    env: {
      memory: arena.memory,
      abort: () => {
        throw new Error("the Wasm runtime aborted");
      },
    },
    host: {
      mmioRead: (high: number, low: number, bytes: number) => calls.host().readMmio(gpaOf(high, low), size(bytes)),
      mmioWrite: (high: number, low: number, bytes: number, value: number) =>
        calls.host().writeMmio(gpaOf(high, low), size(bytes), value >>> 0),
      fillFrame: (space: number, gfn: number) => calls.fillFrame(space >>> 0, gfn >>> 0),
      comesAtOnce: (space: number, gfn: number) => (calls.comesAtOnce(space >>> 0, gfn >>> 0) ? 1 : 0),
      deferFault: (space: number, gfn: number) => calls.deferFault(space >>> 0, gfn >>> 0),
      noMemory: () => {
        throw new ArenaError("there is no memory left in the arena of this machine and its forks");
      },
      frameInvalidated: (frame: number) => calls.frameInvalidated(frame >>> 0),
      portRead: (port: number, bytes: number) => calls.host().readPort(port, size(bytes)),
      portWrite: (port: number, bytes: number, value: number) => calls.host().writePort(port, size(bytes), value >>> 0),
      msrRead: (index: number) => {
        const value = calls.host().readMsr(index >>> 0);
        if (value === undefined) return 0;
        calls.answer(value);
        return 1;
      },
      msrWrite: (index: number, low: number, high: number) =>
        calls.host().writeMsr(index >>> 0, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) ? 1 : 0,
      cpuid: (leaf: number, subleaf: number) => calls.answerCpuid(calls.host().cpuid(leaf >>> 0, subleaf >>> 0)),
      readTsc: () => BigInt.asIntN(64, calls.host().readTsc()),
      random64: () => BigInt.asIntN(64, calls.host().random64()),
      tscChanged: () => calls.host().tscChanged(),
      writeCr8: (value: number) => calls.host().writeCr8(value),
    },
  });
  const exports = runtime.exports as unknown as RuntimeExports;

  const helpers = new WebAssembly.Table({ element: "anyfunc", initial: helperRows.length });
  helperRows.forEach((row, n) => {
    const helper = runtime.exports[row.name];
    if (typeof helper === "function") helpers.set(n, watch ? watched(helper, row.name as HelperName, watch) : helper);
    else throw new Error(`the Wasm runtime has no helper ${row.name}: rebuild it`);
  });
  const regions = new WebAssembly.Table({ element: "anyfunc", initial: regionTableSize });
  const imports: WebAssembly.Imports = {
    env: { memory: arena.memory, helpers, regions },
    runtime: {
      ...Object.fromEntries(Object.keys(runtimeCalls).map((name) => [name, runtime.exports[name]])),
      // Nonzero leaves with the fault still in the record.
      ...(catchFaults && { deliver_fault: () => 1 }),
      ...(watch && !catchFaults && { deliver_fault: watchedDelivery(exports, watch) }),
    },
  };
  const interpreter = new WebAssembly.Instance(
    new WebAssembly.Module(interpreterWasm ?? generateInterpreter()),
    imports,
  );
  return { exports, regions, imports, run: interpreter.exports.run as (vp: number, block: number) => void };
}

function watchedDelivery(exports: RuntimeExports, watch: WasmWatch): (vp: number) => number {
  return (vp) => {
    watch.fault();
    return exports.deliver_fault(vp);
  };
}

/** The helper with its watch. Tables take only functions that a module exports, so that the call goes through one. */
function watched(helper: CallableFunction, name: HelperName, watch: WasmWatch): unknown {
  if (!watch.helpers.includes(name)) return helper;
  const type = { parameters: ["i32", "i32", "i32", "i32"], results: ["i32"] } as const;
  const module = new ModuleBuilder();
  const inner = module.importFunction("watch", "call", type);
  module.function(type, new Code(4).get(0).get(1).get(2).get(3).call(inner), "call");
  const call = (vp: number, a: number, b: number, imm: number): number => {
    const result = helper(vp, a, b, imm) as number;
    watch.helper(name, result);
    return result;
  };
  return new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { watch: { call } }).exports.call;
}
