/**
 * Makes dist/runtime.wasm of src/runtime with AssemblyScript's compiler, when a source is newer than it.
 *
 * The launcher asks this on every start in a checkout, so nothing heavy is loaded before there is work.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const target = join(root, "dist/runtime.wasm");
const layout = join(root, "src/runtime/layout.ts");
/** What the module is made of; the two latter folders hold the layouts that are generated into it. */
const sources = ["src/runtime", "src/vcpu", "src/memory", "tools/build-runtime.ts"];

const options = [
  ...["--importMemory", "--sharedMemory", "--initialMemory", "256", "--maximumMemory", "65536"],
  ...["--enable", "threads", "--enable", "simd", "--enable", "bulk-memory"],
  // The first 4 KiB hold no data: address 0 stays an address that nothing has.
  ...["--memoryBase", "4096", "--runtime", "stub", "-O3", "--noAssert"],
];

interface Output {
  write(chunk: string | Uint8Array): boolean;
}
type Compile = (args: string[], api: { stdout: Output; stderr: Output }) => Promise<{ error: Error | null }>;

/** Builds if need be; whether it did. */
export async function ensureRuntime(): Promise<boolean> {
  const built = modified(target);
  if (statSizeOf(target) > 0 && sources.every((path) => newest(join(root, path)) <= built)) return false;
  await build();
  return true;
}

async function build(): Promise<void> {
  const { generateRuntimeLayout } = await import("#vcpu");
  const text = generateRuntimeLayout();
  if (readOrEmpty(layout) !== text) writeFileSync(layout, text);

  mkdirSync(join(root, "dist"), { recursive: true });
  const aside = `dist/runtime.${process.pid}.wasm`;
  try {
    // Named at run time: the compiler's own types would declare AssemblyScript's globals for all of our files.
    const compiler = "assemblyscript/asc";
    const { main } = (await import(compiler)) as { main: Compile };
    const messages: string[] = [];
    const say = { write: (chunk: string | Uint8Array) => messages.push(String(chunk)) > 0 };
    const { error } = await main(["src/runtime/index.ts", "--baseDir", root, "-o", aside, ...options], {
      stdout: say,
      stderr: say,
    });
    if (error) throw new Error(`src/runtime does not compile:\n${messages.join("")}`, { cause: error });
    // Whole or not at all, also when two processes build.
    renameSync(join(root, aside), target);
  } finally {
    rmSync(join(root, aside), { force: true });
  }
}

function newest(path: string): number {
  const stat = statSync(path);
  // The generated file is no source, and a test changes nothing.
  if (!stat.isDirectory()) return path === layout || path.endsWith(".test.ts") ? 0 : stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function statSizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const started = performance.now();
  const built = await ensureRuntime();
  const kib = Math.ceil(statSizeOf(target) / 1024);
  console.log(
    built
      ? `dist/runtime.wasm: ${kib} KiB, ${Math.round(performance.now() - started)} ms`
      : "dist/runtime.wasm is current",
  );
}
