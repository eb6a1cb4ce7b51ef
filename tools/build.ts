/**
 * `npm run build`: what the package ships, in dist/: JavaScript, its types, the bundle, runtime.wasm, and the agent.
 *
 * Node refuses TypeScript below node_modules, and `#folder` means src/ in package.json; so in what is emitted every import
 * is a relative path to a .js file, and needs nothing of package.json.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { buildBundle } from "./build-bundle.ts";
import { ensureRuntime } from "./build-runtime.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const dist = join(root, "dist");

const { imports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { imports: Record<string, string> };

await ensureRuntime();
for (const name of readdirSync(dist)) {
  if (name !== "agent" && !name.endsWith(".wasm")) rmSync(join(dist, name), { recursive: true });
}
const { status } = spawnSync(join(root, "node_modules/.bin/tsc"), ["--project", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (status !== 0) process.exit(1);

const emitted = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => /\.(js|d\.ts)$/.test(name));
for (const name of emitted) {
  const path = join(dist, name);
  const text = readFileSync(path, "utf8");
  const resolved = text.replace(/(\bfrom |\bimport |\bimport\()"([#.][^"]*)"/g, (_, before, specifier) => {
    return `${before}"${emittedPath(name, specifier)}"`;
  });
  if (resolved !== text) writeFileSync(path, resolved);
}
await buildBundle();
console.log(`dist: ${emitted.length} files and runtime.wasm`);

/** What `specifier` in the emitted file `name` is called there. */
function emittedPath(name: string, specifier: string): string {
  if (specifier.startsWith(".")) return specifier.replace(/\.ts$/, ".js");
  const source = imports[specifier];
  if (source === undefined) throw new Error(`dist/${name} imports ${specifier}, which package.json does not name`);
  const path = posix.relative(dirname(name), source.replace(/^\.\/src\//, "").replace(/\.ts$/, ".js"));
  return path.startsWith(".") ? path : `./${path}`;
}
