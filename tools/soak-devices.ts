/**
 * Much data through the devices of whole Debian machines, every byte of it checked: a file that is there after a restart, fio on a
 * disk and on a share, downloads, iperf3, and connections by the thousand.
 *
 *   npm run soak:devices
 *
 * The images need root disks with the programs in question: memvisor image prepare IMAGE --with fio,iperf3
 */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { VirtualMachine } from "#host";
import { openImage } from "#host/images";
import { freePort } from "../src/host/testing/guest-server.ts";
import { CheckTable, wantedChecks } from "./soak/check-table.ts";
import { run } from "./soak/run-in-guest.ts";
import {
  type Amounts,
  checks,
  checksumOnDisk,
  downloadServer,
  type Surroundings,
  writeFile,
} from "./soak-devices/checks.ts";

const restart = "file after a restart";
const names = [restart, ...Object.keys(checks)];
const usage = `npm run soak:devices -- [options]
  --images NAMES     default debian-12-cloud,debian-12,debian-13-cloud,debian-13
  --only CHECKS      some of: ${names.join(", ")}
  --megabytes N      of the file that is to be there after a restart (default 200), of a download half of it
  --connections N    open at once (default 1000)
  --seconds N        of iperf3 each way (default 5)
  --scratch MIB      that fio writes (default 64)
  --cpus N           vCPUs (default 1)`;

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "debian-12-cloud,debian-12,debian-13-cloud,debian-13" },
    only: { type: "string", default: names.join(",") },
    megabytes: { type: "string", default: "200" },
    connections: { type: "string", default: "1000" },
    seconds: { type: "string", default: "5" },
    scratch: { type: "string", default: "64" },
    cpus: { type: "string", default: "1" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const wanted = wantedChecks(names, values.only);
const amounts: Amounts = {
  megabytes: Number(values.megabytes),
  connections: Number(values.connections),
  seconds: Number(values.seconds),
};
const scratchBytes = Number(values.scratch) << 20;
const images = values.images.split(",");

const results = new CheckTable(images, wanted);
using download = await downloadServer((amounts.megabytes * 1e6) / 2);
for (const image of images) await soak(image);
results.print();
process.exit(results.failed === 0 ? 0 : 1);

/** All checks in one machine of the image, and the file in a second one. */
async function soak(image: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "memvisor-soak-"));
  try {
    const { diskPath } = await openImage(image);
    if (diskPath === undefined) throw new Error(`no root disk: memvisor image prepare ${image} --with fio,iperf3`);
    const given: Surroundings = { scratchBytes, iperfPort: await freePort(), echoPort: await freePort(), download };
    const keep = join(folder, "root.qcow2");
    let written = "";
    await inMachine(image, folder, keep, given, async (vm) => {
      await results.attempt(image, restart, async () => {
        written = await writeFile(vm, amounts.megabytes);
        return "written";
      });
      for (const [name, check] of Object.entries(checks))
        await results.attempt(image, name, () => check(vm, given, amounts));
      await run(vm, "sync");
    });
    if (results.result(image, restart) === "written") {
      await inMachine(image, folder, keep, given, (vm) =>
        results.attempt(image, restart, async () => {
          const found = await checksumOnDisk(vm);
          if (found !== written) throw new Error(`the checksum was ${written}, and is ${found}`);
          return `${amounts.megabytes} MB`;
        }),
      );
    }
  } catch (error) {
    results.fail(image, error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function inMachine(
  image: string,
  folder: string,
  keep: string,
  { iperfPort, echoPort, download: { port } }: Surroundings,
  use: (vm: VirtualMachine) => Promise<void>,
): Promise<void> {
  const scratch = join(folder, "scratch.img");
  writeFileSync(scratch, "");
  truncateSync(scratch, scratchBytes);
  await using vm = await VirtualMachine.start({
    image,
    keep,
    cpus: Number(values.cpus),
    disks: [{ file: scratch }],
    shares: [{ hostPath: folder, guestPath: "/mnt" }],
    network: { publish: [`${iperfPort}:5201`, `${echoPort}:7`], allow: [`localhost:${port}`] },
  });
  await use(vm);
  vm.powerOff();
  await vm.exited;
}
