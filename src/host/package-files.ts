/** Where this package's own files lie, seen from `src/host/`, from what is emitted of it in `dist/host/`, or from `dist/bundle/`. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const fromSource = import.meta.url.endsWith(".ts");
const packageFolder = new URL("../../", import.meta.url);

/** A module that a thread begins at: TypeScript where this is, else of the bundle, which a thread loads fastest. */
export function hostModule(name: string): URL {
  return fromSource ? new URL(`./${name}.ts`, import.meta.url) : new URL(`dist/bundle/${name}.js`, packageFolder);
}

/** The module of the IR interpreter, made with the bundle. */
export function interpreterOf(): Uint8Array<ArrayBuffer> | undefined {
  return fromSource ? undefined : readFileSync(new URL("dist/bundle/interpreter.wasm", packageFolder));
}

/** What tells builds of memvisor apart: 32 bytes. Undefined where sources run as they are, and may change at any time. */
export function buildOf(): Uint8Array | undefined {
  return fromSource ? undefined : readFileSync(new URL("dist/bundle/build", packageFolder));
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
