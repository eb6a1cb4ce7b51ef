/** Random code on the real CPU and in memvisor, the whole end state compared. What differs is shrunk and saved in test/vectors/found/. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { EndState, Executor, Mode, OracleCase } from "./oracle/case.ts";
import { areEqual, compareStates } from "./oracle/compare.ts";
import { Coverage } from "./oracle/coverage.ts";
import { executors, judged } from "./oracle/executors.ts";
import { Generator } from "./oracle/generate.ts";
import { cpuModel, NativeCpu } from "./oracle/native.ts";
import { record } from "./oracle/record.ts";
import { report } from "./oracle/report.ts";
import { shrink } from "./oracle/shrink.ts";
import { parseVectors, printVectors } from "./oracle/text.ts";

const vectorsFolder = fileURLToPath(new URL("../test/vectors/", import.meta.url));
const batchSize = 4096;

const usage = `npm run oracle -- [options]
  --cases N          how many (default 100000)
  --seed S           the same seed, the same cases (default 1)
  --only A,B         mnemonics, features or lifting rules
  --mode 64|32       one code size alone
  --executors A,B    who is judged (default all of memvisor's: ${judged.join(", ")})
  --single           no sequences
  --all              every form in the coverage, not only gaps
  --failures N       stop after N differing cases (default 10)
  --case FILE        run the vectors of a file instead, on the CPU as well
  --record N         write N cases of each form with this CPU's end states to test/vectors/

Status: 0 no difference, 1 differences, 2 the oracle cannot run here.`;

const { values: options } = parseArgs({
  options: {
    cases: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    mode: { type: "string" },
    executors: { type: "string" },
    single: { type: "boolean", default: false },
    all: { type: "boolean", default: false },
    failures: { type: "string", default: "10" },
    case: { type: "string" },
    record: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
if (options.help) {
  console.log(usage);
  process.exit(0);
}

/** The CPU says nothing of a case that runs too long, or that ends in #AC: Linux has CR0.AM set. */
function isJudged({ stop }: EndState): boolean {
  return stop.kind !== "timeout" && !(stop.kind === "exception" && stop.vector === 17);
}

function differs(c: OracleCase, expected: EndState, actual: EndState): boolean {
  return !areEqual(expected, actual) && compareStates(c, expected, actual).length > 0;
}

/** Shrinks one differing case, prints it and keeps it. */
async function present(cpu: NativeCpu, executor: Executor, c: OracleCase): Promise<void> {
  const small = await shrink(c, async (candidates) => {
    const [expected, actual] = [await cpu.run(candidates), await executor.run(candidates)];
    return candidates.map(
      (candidate, n) =>
        isJudged(expected[n]) && actual[n].noRule === undefined && differs(candidate, expected[n], actual[n]),
    );
  });
  const [expected] = await cpu.run([small]);
  const [actual] = await executor.run([small]);
  console.log(`${report(executor.name, small, expected, compareStates(small, expected, actual))}\n`);
  // What the broken executor gets wrong is no finding.
  if (!judged.includes(executor.name)) return;
  mkdirSync(`${vectorsFolder}found`, { recursive: true });
  const file = `${vectorsFolder}found/${small.name}.txt`;
  writeFileSync(
    file,
    printVectors([{ case: small, end: expected }], [`cpu: ${cpuModel()}`, `found by: ${executor.name}`]),
  );
}

/** Forms that memvisor does not have yet, with the cases that stopped at them. */
const noRule = new Map<string, number>();

/** Runs a batch everywhere. Gives the CPU's end states and the number of differing cases. */
async function judge(
  cpu: NativeCpu,
  subjects: readonly Executor[],
  cases: OracleCase[],
  limit: number,
): Promise<[EndState[], number]> {
  const expected = await cpu.run(cases);
  let failures = 0;
  for (const executor of subjects) {
    const actual = await executor.run(cases);
    for (const [n, c] of cases.entries()) {
      if (!isJudged(expected[n]) || !differs(c, expected[n], actual[n])) continue;
      const form = actual[n].noRule;
      if (form !== undefined) {
        noRule.set(form, (noRule.get(form) ?? 0) + 1);
        continue;
      }
      failures++;
      if (failures <= limit) await present(cpu, executor, c);
    }
  }
  return [expected, failures];
}

async function runRandom(cpu: NativeCpu, subjects: readonly Executor[]): Promise<number> {
  const seed = Number(options.seed);
  const total = Number(options.cases);
  const limit = Number(options.failures);
  const generator = new Generator({
    seed,
    only: options.only ? new Set(options.only.split(",")) : undefined,
    single: options.single,
    modes: options.mode ? [Number(options.mode) as Mode] : undefined,
  });
  const coverage = new Coverage();
  const started = performance.now();
  let failures = 0;
  let done = 0;
  while (done < total && failures < limit) {
    const batch = Array.from({ length: Math.min(batchSize, total - done) }, () => generator.next());
    const [ends, failed] = await judge(
      cpu,
      subjects,
      batch.map((g) => g.case),
      limit - failures,
    );
    for (const [n, generated] of batch.entries()) coverage.note(generated, ends[n]);
    failures += failed;
    done += batch.length;
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(coverage.print(generator.forms, options.all));
  const unlifted = [...noRule].sort((a, b) => b[1] - a[1]);
  if (unlifted.length > 0) console.log(`no rule: ${unlifted.map(([form, count]) => `${form} ${count}x`).join(", ")}`);
  const names = subjects.map((executor) => executor.name).join(", ") || "no executor: the CPU alone";
  console.log(
    `${done} cases in ${seconds.toFixed(1)} s (${names}; seed ${seed}; ${cpuModel()}): ${failures} differ` +
      (failures >= limit && done < total ? `; stopped after ${done}` : ""),
  );
  return failures;
}

async function main(): Promise<number> {
  if (!NativeCpu.available()) {
    console.error("oracle: needs Linux on x86-64 and a C compiler; the recorded vectors run in npm test");
    return 2;
  }
  const cpu = new NativeCpu();
  const names = options.executors?.split(",") ?? judged;
  const unknown = names.find((name) => !(name in executors));
  if (unknown !== undefined) {
    console.error(`oracle: no executor is called ${unknown}; there are ${Object.keys(executors).join(", ")}`);
    return 2;
  }
  const subjects = await Promise.all(names.map((name) => executors[name]()));
  try {
    if (options.record !== undefined) {
      const comments = [
        `cpu: ${cpuModel()}`,
        `made by: npm run oracle -- --record ${options.record} --seed ${options.seed}`,
      ];
      for (const [feature, vectors] of await record(cpu, Number(options.record), Number(options.seed))) {
        writeFileSync(`${vectorsFolder}${feature}.txt`, printVectors(vectors, comments));
        console.log(`${feature}: ${vectors.length} cases`);
      }
      return 0;
    }
    if (options.case !== undefined) {
      const cases = parseVectors(readFileSync(options.case, "utf8")).map((vector) => vector.case);
      const [, failures] = await judge(cpu, subjects, cases, Number(options.failures));
      console.log(`${cases.length} cases: ${failures} differ`);
      return failures > 0 ? 1 : 0;
    }
    return (await runRandom(cpu, subjects)) > 0 || noRule.size > 0 ? 1 : 0;
  } finally {
    cpu.close();
    for (const executor of subjects) executor.close?.();
  }
}

process.exitCode = await main();
