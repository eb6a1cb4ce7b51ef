/** The executors by name. Each is made when it is asked for; an entry may say that it is not available. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { passesWithout, passNames } from "#jit";
import type { EndState, Executor, OracleCase } from "./case.ts";
import { Memvisor, type MemvisorOptions } from "./memvisor.ts";
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

function memvisor(
  name: string,
  options: Pick<MemvisorOptions, "hotThreshold" | "passes" | "loadsAllNumbers"> = {},
): Executor {
  const path = fileURLToPath(new URL("../../dist/runtime.wasm", import.meta.url));
  if (!existsSync(path)) throw new Error("dist/runtime.wasm is missing: npm run build:runtime");
  const runtimeWasm = new Uint8Array(readFileSync(path));
  return new Memvisor({ name, runtimeWasm, ...options });
}

export const executors: Readonly<Record<string, () => Promise<Executor>>> = {
  native: async () => new NativeCpu(),
  broken: async () => new BrokenCpu(),
  interpreter: async () => memvisor("interpreter"),
  compiled: async () => memvisor("compiled", { hotThreshold: 0 }),
  "loaded-numbers": async () => memvisor("loaded-numbers", { hotThreshold: 0, loadsAllNumbers: true }),
  "interpreter-loaded-numbers": async () => memvisor("interpreter-loaded-numbers", { loadsAllNumbers: true }),
  ...Object.fromEntries(
    passNames.map((pass) => [
      `without-${pass}`,
      async () => memvisor(`without-${pass}`, { hotThreshold: 0, passes: passesWithout(pass) }),
    ]),
  ),
};

/** The executors that are memvisor: what is judged. */
export const judged: readonly string[] = Object.keys(executors).filter(
  (name) => name !== "native" && name !== "broken",
);
