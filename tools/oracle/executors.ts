/** The executors by name. Each is made when it is asked for; an entry may say that it is not available. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Passes, passesWithout, passNames } from "#jit";
import type { EndState, Executor, OracleCase } from "./case.ts";
import { Memvisor } from "./memvisor.ts";
import { NativeCpu } from "./native.ts";

/** The real CPU with one deliberate mistake, to see that differences are found: after SUB the carry is wrong. */
class BrokenCpu implements Executor {
  readonly name = "broken";
  readonly #cpu = new NativeCpu();

  async run(cases: readonly OracleCase[]): Promise<EndState[]> {
    const ends = await this.#cpu.run(cases);
    for (const [n, end] of ends.entries()) {
      if (end.stop.kind === "end" && cases[n].code.includes(0x29)) end.state.rflags ^= 1;
    }
    return ends;
  }

  close(): void {
    this.#cpu.close();
  }
}

function memvisor(name: string, hotThreshold?: number, passes?: Passes): Executor {
  const path = fileURLToPath(new URL("../../dist/runtime.wasm", import.meta.url));
  if (!existsSync(path)) throw new Error("dist/runtime.wasm is missing: npm run build:runtime");
  const runtimeWasm = new Uint8Array(readFileSync(path));
  return new Memvisor({
    name,
    runtimeWasm,
    ...(hotThreshold !== undefined && { hotThreshold }),
    ...(passes && { passes }),
  });
}

export const executors: Readonly<Record<string, () => Promise<Executor>>> = {
  native: async () => new NativeCpu(),
  broken: async () => new BrokenCpu(),
  interpreter: async () => memvisor("interpreter"),
  compiled: async () => memvisor("compiled", 0),
  ...Object.fromEntries(
    passNames.map((pass) => [`without-${pass}`, async () => memvisor(`without-${pass}`, 0, passesWithout(pass))]),
  ),
};

/** The executors that are memvisor: what is judged. */
export const judged: readonly string[] = Object.keys(executors).filter(
  (name) => name !== "native" && name !== "broken",
);
