/**
 * Adversarial drivers against every virtio device: `npm run fuzz:devices -- [count] [seed] [device]`.
 * The first failure's number and the seed repeat it. Ends with status 1 when there was one.
 */
import { fuzzDevice } from "../src/devices/virtio/fuzz.ts";
import { fuzzedDevices } from "../src/devices/virtio/fuzz-cases.ts";

const [count = "1000000", seed = "1", only] = process.argv.slice(2);
if (![count, seed].every((each) => /^\d+$/.test(each))) {
  console.error("npm run fuzz:devices -- [count] [seed] [device]: count and seed are numbers");
  process.exit(2);
}
const chosen = Object.entries(fuzzedDevices).filter(([name]) => only === undefined || name === only);
if (chosen.length === 0) {
  console.error(`no device is called ${only}: there are ${Object.keys(fuzzedDevices).join(", ")}`);
  process.exit(2);
}
let failed = 0;
for (const [name, make] of chosen) {
  const started = performance.now();
  const cases = Math.ceil(Number(count) / chosen.length);
  const { chainsUsed, needsReset, failures } = fuzzDevice(make, cases, Number(seed));
  for (const failure of failures) console.log(`FAILED ${name}, case ${failure.case}: ${failure.what}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${name.padEnd(8)} ${cases} drivers, seed ${seed}: ${chainsUsed} chains done, ${needsReset} devices broken by their driver, ` +
      `${failures.length} failures, ${seconds} s`,
  );
  failed += failures.length;
}
process.exitCode = failed > 0 ? 1 : 0;
