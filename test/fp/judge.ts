/**
 * Two executors of one floating-point case: the real CPU (test/native/fp-judge.c, compiled here when there is a compiler) and
 * the runtime's functions, compiled alone. Both take and leave the same bytes, whose layout the C file describes.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export const X87_BYTES = 144;
export const SSE_BYTES = 64;

type Run = (kind: 0 | 1, code: readonly number[], cases: Uint8Array) => Uint8Array;

/** Runs cases on the CPU; undefined where there is no x86-64 CPU or no C compiler. */
export function nativeJudge(): Run | undefined {
  if (process.arch !== "x64") return undefined;
  const folder = mkdtempSync(join(tmpdir(), "fp-judge-"));
  const binary = join(folder, "judge");
  const compiled = spawnSync("cc", ["-O1", "-o", binary, join(root, "test/native/fp-judge.c")]);
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  if (compiled.status !== 0) return undefined;
  return (kind, code, cases) => {
    const size = kind === 0 ? X87_BYTES : SSE_BYTES;
    const header = new Uint8Array(32);
    new Uint32Array(header.buffer, 0, 3).set([kind, code.length, cases.length / size]);
    header.set(code, 12);
    const input = Buffer.concat([header, cases]);
    const done = spawnSync(binary, [], { input, maxBuffer: input.length + 65536 });
    if (done.status !== 0) throw new Error(`the native judge ended with ${done.status ?? done.signal}`);
    return new Uint8Array(done.stdout);
  };
}

/** The runtime's exported functions; i64 values are bigint. */
export type Functions = Readonly<Record<string, (...values: (number | bigint)[]) => number | bigint | undefined>>;

/** The floating-point folder of the runtime as a module of its own, with its memory. */
export function loadRuntime(): { functions: Functions; memory: WebAssembly.Memory } {
  const folder = mkdtempSync(join(tmpdir(), "fp-wasm-"));
  const file = join(folder, "fp.wasm");
  const flags = "--importMemory --sharedMemory --maximumMemory 65536 --initialMemory 64 --enable threads,simd,bulk-memory";
  const built = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/assemblyscript/bin/asc.js"), "src/runtime/fp/index.ts", ...flags.split(" "),
      "--runtime", "stub", "-O3", "--memoryBase", "4096", "-o", file,
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
