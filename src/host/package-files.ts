/** Where this package's own files lie: in a checkout `src/host/` is run as it is, installed it is `dist/host/`. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const fromSource = import.meta.url.endsWith(".ts");
const packageFolder = new URL("../../", import.meta.url);

/** The module beside this one, as whatever this one is: TypeScript or what was emitted from it. */
export function hostModule(name: string): URL {
  return new URL(`./${name}.${fromSource ? "ts" : "js"}`, import.meta.url);
}

export function runtimeFile(): string {
  return fileURLToPath(new URL("dist/runtime.wasm", packageFolder));
}

/** The program that runs commands in guests. */
export function agentFile(): string {
  return fileURLToPath(new URL("dist/agent", packageFolder));
}

export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("package.json", packageFolder), "utf8")) as { version: string };
  return manifest.version;
}
