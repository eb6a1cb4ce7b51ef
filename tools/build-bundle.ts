/**
 * Makes dist/bundle of src, when a source is newer: the command, the library and the threads as few files of JavaScript. Loading
 * them takes a quarter of the time that some five hundred modules of TypeScript do, in each thread anew.
 *
 * The launcher asks on every start in a checkout; `node src/cli/main.ts` runs the sources as they are.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Plugin } from "vite";
import { frozenTables } from "./frozen-tables.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const target = join(root, "dist/bundle");
const source = join(root, "src");
const runtime = join(root, "dist/runtime.wasm");
const script = fileURLToPath(import.meta.url);

/** Files in the bundle, and the module each begins at. Those of one list have pieces in common. */
const entries: readonly Readonly<Record<string, string>>[] = [
  {
    main: "cli/main.ts",
    index: "index.ts",
    "waiting-thread": "host/waiting-thread.ts",
    "vcpu-worker": "host/vcpu-worker.ts",
    "io-worker": "host/io-worker.ts",
    "emitter-worker": "host/emitter-worker.ts",
    "ticker-worker": "host/ticker-worker.ts",
  },
  { "vm-worker": "host/vm-worker.ts" },
];
/**
 * What a machine's thread begins with is one piece, and what it loads then another: each piece more costs half a millisecond. (A piece
 * has what its modules import, but for what is in one before.)
 */
const pieces = [
  { name: "thread", test: /src\/host\/(waiting-thread|times|late)\.ts$/ },
  { name: "machine", test: /src\/(vm|snapshot)\/index\.ts$|src\/control\/thread\.ts$|src\/host\/node-thread\.ts$/ },
];
/** These are not in it: a page, and what becomes WebAssembly or a program. */
const others = ["web", "agent", "runtime"];
/** A process that runs may still want a piece of the bundle it began with. */
const keptMs = 24 * 3600 * 1000;

/** Builds if need be. False where there is no bundle and nothing to make one with, as without development packages. */
export async function ensureBundle(): Promise<boolean> {
  const built = statSync(join(target, "main.js"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (newest(source) < built && [script, runtime].every((path) => statSync(path).mtimeMs < built)) return true;
  try {
    await buildBundle();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return false;
    throw error;
  }
}

/** The library as users have it: what is measured or soaked runs as fast as theirs. */
export async function bundledLibrary(): Promise<typeof import("../src/index.ts")> {
  await ensureBundle();
  return import(pathToFileURL(join(target, "index.js")).href);
}

export async function buildBundle(): Promise<void> {
  const begun = new Date();
  const [{ build }, { generateInterpreter }] = await Promise.all([import("vite"), import("#jit")]);
  const aside = `${target}.${process.pid}`;
  try {
    for (const [n, inputs] of entries.entries()) {
      await build({
        configFile: false,
        root,
        logLevel: "error",
        publicDir: false,
        plugins: [frozenTables(), ownBuiltins()],
        build: {
          ssr: true,
          outDir: aside,
          emptyOutDir: n === 0,
          target: "esnext",
          minify: false,
          rolldownOptions: {
            // Nothing is imported for what it does: of a folder whose door is used, only what is wanted of it is in the bundle.
            treeshake: { moduleSideEffects: false },
            input: Object.fromEntries(Object.entries(inputs).map(([name, path]) => [name, join(source, path)])),
            output: {
              entryFileNames: "[name].js",
              chunkFileNames: "[name]-[hash].js",
              ...("vm-worker" in inputs && { codeSplitting: { groups: pieces } }),
            },
          },
        },
        ssr: { noExternal: true, target: "node" },
      });
    }
    mkdirSync(target, { recursive: true });
    writeFileSync(join(aside, "interpreter.wasm"), generateInterpreter());
    writeFileSync(join(aside, "build"), digestOf(aside));
    // Pieces before what asks for them, and the one whose time is looked at last.
    const names = readdirSync(aside).sort((a, b) => rank(a) - rank(b));
    for (const name of names) {
      utimesSync(join(aside, name), begun, begun);
      renameSync(join(aside, name), join(target, name));
    }
    for (const name of readdirSync(target)) {
      const path = join(target, name);
      const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {};
      if (mtimeMs !== undefined && mtimeMs < begun.getTime() - keptMs) rmSync(path, { force: true });
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/**
 * Modules of Node without what an `import` of them brings: that asks for all they export, and some of it is loaded when it is first asked for.
 * The streams of node:fs alone take 2 ms in each thread.
 */
function ownBuiltins(): Plugin {
  const imports = /^import \{ (.*) \} from "(node:[\w/]+)";$/gm;
  return {
    name: "memvisor-own-builtins",
    renderChunk: (code) =>
      code.replace(imports, (_, names: string, from: string) => {
        return `const { ${names.replaceAll(" as ", ": ")} } = process.getBuiltinModule("${from}");`;
      }),
  };
}

/** Of all that is in a folder, and of the runtime. */
function digestOf(folder: string): Buffer {
  const hash = createHash("sha256").update(readFileSync(join(root, "dist/runtime.wasm")));
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest();
}

const rank = (name: string): number =>
  name === "main.js" ? 2 : entries.some((each) => name.replace(/\.js$/, "") in each) ? 1 : 0;

/** When the newest source was changed; a test is none. */
function newest(folder: string): number {
  let found = statSync(folder).mtimeMs;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name.endsWith(".test.ts") || (folder === source && others.includes(entry.name))) continue;
    const path = join(folder, entry.name);
    found = Math.max(found, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return found;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await ensureBundle();
