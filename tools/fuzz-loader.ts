/**
 * Loads damaged kernels and reports what was not refused cleanly: `node tools/fuzz-loader.ts [count] [seed]`.
 * The first failure's number and the seed repeat it. Ends with status 1 when there was one.
 */
import { fuzzLoader } from "../src/vm/boot/fuzz-cases.ts";

const count = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? 1);
const started = performance.now();
const { booted, refused, failures } = fuzzLoader(count, seed, () => performance.now(), 2000);
for (const [message, times] of [...refused].sort((a, b) => b[1] - a[1]))
  console.log(`${String(times).padStart(8)}  ${message}`);
console.log(`${String(booted).padStart(8)}  loaded`);
for (const failure of failures.slice(0, 20))
  console.log(`FAILED case ${failure.case} (${failure.image}): ${failure.what}`);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(`${count} damaged kernels, seed ${seed}, ${failures.length} failures, ${seconds} s`);
process.exitCode = failures.length > 0 ? 1 : 0;
