/**
 * `npm run bench:exec`: how long a command in a guest takes: from nothing to the end of the first `true`, then a thousand more, one
 * after another, directly and by the shell, and as many at once.
 */
import { parseArgs } from "node:util";
import { openImage, VirtualMachine } from "../src/index.ts";

const { values } = parseArgs({
  options: { image: { type: "string", default: "debian-12-cloud" }, times: { type: "string", default: "1000" } },
});
const times = Number(values.times);
if (!Number.isSafeInteger(times) || times < 1) throw new Error("--times takes a whole number above 0");
await openImage(values.image);

const begun = performance.now();
await using vm = await VirtualMachine.start({ image: values.image });
await check(() => vm.exec("true", []));
row("cold start of true", performance.now() - begun);

const direct = await timesOf(() => vm.exec("true", []));
row(`${times} more`, sum(direct));
row("  each, median", at(direct, 0.5));
row("  each, 99 of 100 within", at(direct, 0.99));
const byShell = await timesOf(() => vm.exec("true"));
row(`${times} by the shell`, sum(byShell));
row("  each, median", at(byShell, 0.5));
const together = performance.now();
await Promise.all(Array.from({ length: times }, () => check(() => vm.exec("true", []))));
row(`${times} asked for at once`, performance.now() - together);
vm.powerOff();
await vm.exited;

async function timesOf(run: () => Promise<{ status: number }>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await check(run);
    all.push(performance.now() - start);
  }
  return all.sort((a, b) => a - b);
}

async function check(run: () => Promise<{ status: number }>): Promise<void> {
  const { status } = await run();
  if (status !== 0) throw new Error(`true ended with ${status}`);
}

function at(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

function sum(all: readonly number[]): number {
  return all.reduce((total, each) => total + each, 0);
}

function row(name: string, ms: number): void {
  console.log(`${name.padEnd(32)}${ms.toFixed(ms < 100 ? 2 : 0).padStart(10)} ms`);
}
