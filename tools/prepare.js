/**
 * `npm ci` ends here: makes dist/runtime.wasm and the bundle, under a Node that can run our TypeScript.
 *
 * Where that cannot be (no such Node, no compiler because development packages were left out) the installation is not
 * refused: the command itself tries again, and says what it needs.
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { newEnoughNode } from "../bin/pinned-node.js";

const node = newEnoughNode();
if (node === undefined) console.log("memvisor: the Wasm runtime is not built here: that needs Node 24 or newer");
else if (!hasCompiler())
  console.log("memvisor: the Wasm runtime is not built here: development packages were left out");
else {
  for (const name of ["build-runtime.ts", "build-bundle.ts"]) {
    const script = fileURLToPath(new URL(name, import.meta.url));
    process.exitCode ||= spawnSync(node, [script], { stdio: "inherit" }).status ?? 1;
  }
}

function hasCompiler() {
  try {
    return createRequire(import.meta.url).resolve("assemblyscript/package.json") !== "";
  } catch {
    return false;
  }
}
