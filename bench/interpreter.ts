/**
 * How fast guest code runs without a kernel around it: the interpreter alone, and with regions compiled.
 *
 *   npm run bench:interpreter -- --seconds 2
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { guest, hex } from "../test/guest-code.ts";
import { kernels } from "./kernels.ts";
import { table } from "./table.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    json: { type: "string" },
  },
});
const slice = 2_000_000n;

/** Million guest instructions a second, the best of all rounds: other programs only ever make it slower. */
function mips(code: Uint8Array, hotThreshold: number): number {
  const { vcpu, engine } = guest(code, { hotThreshold, exact: false });
  const run = (ms: number): number => {
    const started = performance.now();
    const from = vcpu.u64("ICOUNT");
    do {
      const exit = engine.run(vcpu, vcpu.u64("ICOUNT") + slice);
      if (exit.reason !== "budget") throw new Error(`the kernel ended: ${exit.reason}`);
    } while (performance.now() - started < ms);
    return Number(vcpu.u64("ICOUNT") - from) / (performance.now() - started) / 1000;
  };
  // Until V8 has compiled the interpreter in earnest.
  run(300);
  return Math.max(
    ...Array.from({ length: Number(values.rounds) }, () =>
      run((Number(values.seconds) * 1000) / Number(values.rounds)),
    ),
  );
}

const mean = (list: readonly number[]): number =>
  Math.exp(list.reduce((sum, value) => sum + Math.log(value), 0) / list.length);
const results = kernels.map(({ name, what, code }) => {
  const bytes = hex(code);
  return { name, what, interpreter: mips(bytes, Number.POSITIVE_INFINITY), compiled: mips(bytes, 100) };
});
const means = {
  interpreter: mean(results.map((each) => each.interpreter)),
  compiled: mean(results.map((each) => each.compiled)),
};
const cell = (value: number): string => value.toFixed(0);
console.log("million guest instructions a second");
console.log(
  table([
    ["kernel", "interpreter", "compiled"],
    ...results.map((each) => [each.name, cell(each.interpreter), cell(each.compiled)]),
    ["geometric mean", cell(means.interpreter), cell(means.compiled)],
  ]),
);
if (values.json) writeFileSync(values.json, `${JSON.stringify({ results, means }, null, 2)}\n`);
