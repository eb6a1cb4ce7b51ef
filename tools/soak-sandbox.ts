/**
 * Programs of a Debian on its root disk, run through `vm.exec`, and their answers judged: Python's own tests, a program and a database
 * whose answers the host computes too, OpenSSL beside the host's own, and the self-test of its FIPS provider (Debian 13).
 *
 *   npm run soak:sandbox
 */
import { parseArgs } from "node:util";
import { VirtualMachine } from "#host";
import { openImage } from "#host/images";
import { CheckTable, wantedChecks } from "./soak/check-table.ts";
import { fipsSelfTest, knownAnswers, signatures } from "./soak-sandbox/openssl.ts";
import { pythonProgram, pythonsOwnTests, sqlite } from "./soak-sandbox/programs.ts";

const checks: Readonly<Record<string, (vm: VirtualMachine) => Promise<string>>> = {
  "Python program": pythonProgram,
  SQLite: sqlite,
  "OpenSSL's answers": knownAnswers,
  "OpenSSL's signatures": signatures,
  "OpenSSL's FIPS self-test": fipsSelfTest,
  "Python's own tests": pythonsOwnTests,
};

const names = Object.keys(checks);
const usage = `npm run soak:sandbox -- [options]
  --images NAMES     default debian-12,debian-13
  --only CHECKS      some of: ${names.join(", ")}
  --cpus N           vCPUs (default 1)
The images need root disks with the programs:
  memvisor image prepare debian-12 --with python3,openssl,sqlite3,libpython3.11-testsuite
  memvisor image prepare debian-13 --with python3,openssl,sqlite3,libpython3.13-testsuite,openssl-provider-fips`;

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "debian-12,debian-13" },
    only: { type: "string", default: names.join(",") },
    cpus: { type: "string", default: "1" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const images = values.images.split(",");
const wanted = wantedChecks(names, values.only);
const results = new CheckTable(images, wanted);
for (const image of images) {
  try {
    const { diskPath } = await openImage(image);
    if (diskPath === undefined) throw new Error(`no root disk\n${usage}`);
    await using vm = await VirtualMachine.start({ image, cpus: Number(values.cpus), memoryBytes: 2 ** 30 });
    for (const [name, check] of Object.entries(checks)) {
      await results.attempt(image, name, async () => {
        const started = performance.now();
        return `${await check(vm)} (${((performance.now() - started) / 1000).toFixed(0)} s)`;
      });
    }
  } catch (error) {
    results.fail(image, error);
  }
}
results.print();
process.exit(results.failed === 0 ? 0 : 1);
