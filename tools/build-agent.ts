/**
 * Makes dist/agent, the program that runs commands in guests, of src/agent: AssemblyScript's compiler makes WebAssembly of it,
 * tools/agent/ a static Linux program of that. So it is built wherever npm is, with no compiler of the host.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { firstDataAddress, makeProgram } from "./agent/elf.ts";
import { compileAssemblyScript } from "./assemblyscript.ts";

const options = [
  ...["--memoryBase", String(firstDataAddress), "--initialMemory", "256"],
  ...["--runtime", "stub", "-O3", "--noAssert"],
];

export async function buildAgent(root: string, target: string): Promise<void> {
  const wasm = `${target}.wasm`;
  try {
    await compileAssemblyScript("src/agent/index.ts", wasm, root, options);
    writeFileSync(join(root, target), makeProgram(readFileSync(join(root, wasm))), { mode: 0o755 });
  } finally {
    rmSync(join(root, wasm), { force: true });
  }
}
