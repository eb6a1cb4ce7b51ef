import { expect, test } from "vitest";
import { fuzzDevice } from "./fuzz.ts";
import { fuzzedDevices } from "./fuzz-cases.ts";

const cases = Math.ceil(50_000 / Object.keys(fuzzedDevices).length);

for (const [name, make] of Object.entries(fuzzedDevices)) {
  test(`no driver makes ${name} throw, reach outside memory, or work without end`, { timeout: 120_000 }, () => {
    const report = fuzzDevice(make, cases, 20261121);
    expect(report.failures).toEqual([]);
    // It must get deep: requests done, and rules broken.
    expect(report.chainsUsed).toBeGreaterThan(cases / 2);
    expect(report.needsReset).toBeGreaterThan(cases / 10);
  });
}
