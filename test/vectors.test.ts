/**
 * The recorded end states of a real CPU, in every executor; and the oracle's own laws.
 *
 * test/vectors/*.txt are a few cases of each form (`npm run oracle -- --record N`), test/vectors/found/ those that once
 * differed. No compiler is needed here; where there is one, the CPU is asked again.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import type { EndState, Executor, OracleCase } from "../tools/oracle/case.ts";
import { areEqual, compareStates } from "../tools/oracle/compare.ts";
import { executors, judged } from "../tools/oracle/executors.ts";
import { Generator } from "../tools/oracle/generate.ts";
import { cpuModel, NativeCpu } from "../tools/oracle/native.ts";
import { report } from "../tools/oracle/report.ts";
import { parseVectors, printCase, printEnd, printVectors, type Vector } from "../tools/oracle/text.ts";

const folder = fileURLToPath(new URL("./vectors/", import.meta.url));
const filesIn = (path: string): string[] =>
  existsSync(path)
    ? readdirSync(path)
        .filter((name) => name.endsWith(".txt"))
        .sort()
    : [];
const files = [...filesIn(folder), ...filesIn(`${folder}found`).map((name) => `found/${name}`)];
const textOf = (file: string): string => readFileSync(folder + file, "utf8");

const shown = 3;

/** The first few cases that end in another way than recorded, in words; empty when all agree. */
function disagreements(name: string, vectors: readonly Vector[], ends: readonly EndState[]): string {
  const reports = vectors.flatMap(({ case: c, end }, n) => {
    if (areEqual(end, ends[n])) return [];
    const differences = compareStates(c, end, ends[n]);
    return differences.length === 0 ? [] : [report(name, c, end, differences)];
  });
  const more = reports.length > shown ? [`... ${reports.length} of ${vectors.length} cases differ`] : [];
  return [...reports.slice(0, shown), ...more].join("\n\n");
}

async function checkFile(executor: Executor, file: string): Promise<void> {
  const vectors = parseVectors(textOf(file));
  expect(vectors.length).toBeGreaterThan(0);
  const ends = await executor.run(vectors.map((vector) => vector.case));
  expect(disagreements(executor.name, vectors, ends)).toBe("");
}

describe("recorded vectors", () => {
  it("are there", () => {
    expect(files.length).toBeGreaterThan(0);
  });

  if (judged.length === 0) {
    it.skip("no executor is available: memvisor's executors end every recorded case as the CPU did", () => {});
  }
  for (const name of judged) {
    describe(name, async () => {
      const executor = await executors[name]();
      afterAll(() => executor.close?.());
      it.each(files)(`the ${name} ends every case of %s as the CPU did`, { timeout: 120_000 }, (file) =>
        checkFile(executor, file),
      );
    });
  }

  const sameCpu = NativeCpu.available() && files.some((file) => textOf(file).includes(cpuModel()));
  it.skipIf(!sameCpu)("the CPU that recorded them still ends every case so", { timeout: 60_000 }, async () => {
    const cpu = new NativeCpu();
    try {
      for (const file of files.filter((f) => textOf(f).includes(cpuModel()))) await checkFile(cpu, file);
    } finally {
      cpu.close();
    }
  });

  it("print as they were read", () => {
    for (const file of files) {
      const comments = [...textOf(file).matchAll(/^# (.*)$/gm)].map((match) => match[1]);
      expect(printVectors(parseVectors(textOf(file)), comments) === textOf(file), file).toBe(true);
    }
  });
});

describe("the oracle", () => {
  // Features are named so that the host does not matter.
  const features = new Set(
    "fpu mmx sse sse2 pni ssse3 sse4_1 sse4_2 popcnt cx8 cx16 fxsr clflush fsgsbase xsave".split(" "),
  );
  const make = (seed: number, n: number): OracleCase[] => {
    const generator = new Generator({ seed, features });
    return Array.from({ length: n }, () => generator.next().case);
  };

  it("makes the same cases from the same seed", () => {
    expect(make(7, 300).map(printCase)).toEqual(make(7, 300).map(printCase));
  });

  it("reads back what it prints", () => {
    for (const c of make(8, 300)) {
      const end: EndState = {
        stop: { kind: "exception", vector: 14, error: 6, cr2: 0x10003000n },
        state: c.start,
        memory: [],
      };
      const [back] = parseVectors(printVectors([{ case: c, end }]));
      expect(printCase(back.case)).toBe(printCase(c));
      expect(printEnd(back.case, back.end)).toBe(printEnd(c, end));
    }
  });

  it.skipIf(!NativeCpu.available())("finds a deliberate mistake and no other", { timeout: 60_000 }, async () => {
    const [native, broken] = [await executors.native(), await executors.broken()];
    const cases = make(9, 2000);
    const [expected, again, wrong] = [await native.run(cases), await native.run(cases), await broken.run(cases)];
    const differing = (ends: EndState[]): number =>
      cases.filter((c, n) => compareStates(c, expected[n], ends[n]).length > 0).length;
    expect(differing(again)).toBe(0);
    expect(differing(wrong)).toBeGreaterThan(0);
    native.close?.();
    broken.close?.();
  });
});
