/**
 * Makes what is compiled of AssemblyScript, when a source is newer: dist/runtime.wasm of src/runtime, and dist/agent of src/agent.
 *
 * The launcher asks this on every start in a checkout, so nothing heavy is loaded before there is work.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const layout = join(root, "src/runtime/layout.ts");

interface Product {
  readonly target: string;
  readonly sources: readonly string[];
  /** Makes the file of that name, below the root. */
  readonly build: (target: string) => Promise<void>;
}

const products: readonly Product[] = [
  {
    target: "dist/runtime.wasm",
    // The two folders in the middle hold the layouts that are generated into it.
    sources: ["src/runtime", "src/vcpu", "src/memory", "tools/build-runtime.ts", "tools/assemblyscript.ts"],
    build: buildRuntime,
  },
  {
    target: "dist/agent",
    sources: ["src/agent", "tools/agent", "tools/build-agent.ts", "tools/assemblyscript.ts"],
    build: async (target) => (await import("./build-agent.ts")).buildAgent(root, target),
  },
];

const options = [
  ...["--importMemory", "--sharedMemory", "--initialMemory", "256", "--maximumMemory", "65536"],
  ...["--enable", "threads", "--enable", "simd", "--enable", "bulk-memory"],
  // The first 4 KiB hold no data: address 0 stays an address that nothing has.
  ...["--memoryBase", "4096", "--runtime", "stub", "-O3", "--noAssert"],
];

/** Builds if need be; gives back what it built. */
export async function ensureRuntime(): Promise<readonly string[]> {
  const stale = products.filter(({ target, sources }) => {
    const built = modified(join(root, target));
    return built === 0 || sources.some((path) => newest(join(root, path)) > built);
  });
  for (const each of stale) await make(each);
  return stale.map((each) => each.target);
}

async function make({ target, build }: Product): Promise<void> {
  mkdirSync(join(root, "dist"), { recursive: true });
  const aside = target.replace("dist/", `dist/.${process.pid}.`);
  try {
    await build(aside);
    // Whole or not at all, also when two processes build.
    renameSync(join(root, aside), join(root, target));
  } finally {
    rmSync(join(root, aside), { force: true });
  }
}

async function buildRuntime(target: string): Promise<void> {
  const [{ generateRuntimeLayout }, { compileAssemblyScript }] = await Promise.all([
    import("#vcpu"),
    import("./assemblyscript.ts"),
  ]);
  const text = generateRuntimeLayout();
  if (readOrEmpty(layout) !== text) writeFileSync(layout, text);
  await compileAssemblyScript("src/runtime/index.ts", target, root, options);
}

function newest(path: string): number {
  const stat = statSync(path);
  // The generated file is no source, and a test changes nothing.
  if (!stat.isDirectory()) return path === layout || path.endsWith(".test.ts") ? 0 : stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function modified(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && stat.size > 0 ? stat.mtimeMs : 0;
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
  const size = (target: string) => `${target}: ${Math.ceil(statSync(join(root, target)).size / 1024)} KiB`;
  console.log(
    built.length > 0
      ? `${built.map(size).join(", ")}, ${Math.round(performance.now() - started)} ms`
      : "dist/runtime.wasm and dist/agent are current",
  );
}
