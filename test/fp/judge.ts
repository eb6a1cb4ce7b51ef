/**
 * Two executors of one floating-point case: the real CPU (test/native/fp-judge.c, compiled here when there is a compiler) and
 * the runtime's functions, compiled alone. Both take and leave the same bytes, whose layout the C file describes.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nativeProgramIfAny } from "../native/programs.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export const X87_BYTES = 144;
export const SSE_BYTES = 64;
export const IMAGE_BYTES = 640;

export type Run = (kind: 0 | 1 | 2, code: readonly number[], cases: Uint8Array) => Uint8Array;

/** A program of test/native as a filter from stdin to stdout; undefined where it cannot be made. */
function filter(
  name: string,
  ...libraries: readonly string[]
): ((input: Uint8Array, most: number) => Uint8Array) | undefined {
  const program = process.arch === "x64" ? nativeProgramIfAny(name, "-O1", ...libraries) : undefined;
  if (program === undefined) return undefined;
  return (input, most) => {
    const done = spawnSync(program, [], { input, maxBuffer: most });
    if (done.status !== 0) throw new Error(`${name} ended with ${done.status ?? done.signal}`);
    return new Uint8Array(done.stdout);
  };
}

/** Runs cases on the CPU; undefined where there is no x86-64 CPU or no C compiler. */
export function nativeJudge(): Run | undefined {
  const judge = filter("fp-judge");
  if (!judge) return undefined;
  return (kind, code, cases) => {
    const size = [X87_BYTES, SSE_BYTES, IMAGE_BYTES][kind] as number;
    const header = new Uint8Array(32);
    new Uint32Array(header.buffer, 0, 3).set([kind, code.length, cases.length / size]);
    header.set(code, 12);
    return judge(Buffer.concat([header, cases]), cases.length + 65536);
  };
}

export const REFERENCE_BYTES = 56;

/** Errors in ulp of the records that test/native/fp-reference.c describes; undefined without libquadmath. */
export function reference(): ((records: Uint8Array) => Float64Array) | undefined {
  const errors = filter("fp-reference", "-lquadmath");
  if (!errors) return undefined;
  return (records) => new Float64Array(errors(records, records.length).slice().buffer);
}

/** The runtime's exported functions; i64 values are bigint. */
export type Functions = Readonly<Record<string, (...values: (number | bigint)[]) => number | bigint | undefined>>;

/** The floating-point folder of the runtime as a module of its own, with its memory. */
export function loadRuntime(): { functions: Functions; memory: WebAssembly.Memory } {
  const folder = mkdtempSync(join(tmpdir(), "fp-wasm-"));
  const file = join(folder, "fp.wasm");
  const flags =
    "--importMemory --sharedMemory --maximumMemory 65536 --initialMemory 64 --enable threads,simd,bulk-memory";
  const built = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/assemblyscript/bin/asc.js"),
      "src/runtime/fp/index.ts",
      ...flags.split(" "),
      "--runtime",
      "stub",
      "-O3",
      "--memoryBase",
      "4096",
      "-o",
      file,
    ],
    { cwd: root, encoding: "utf8" },
  );
  if (built.status !== 0) throw new Error(`asc: ${built.stderr}`);
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
  const abort = () => {
    throw new Error("abort");
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), { env: { memory, abort } });
  rmSync(folder, { recursive: true, force: true });
  return { functions: instance.exports as unknown as Functions, memory };
}
