/**
 * Requests to a virtio disk: memvisor, and QEMU's translator with its own virtio-blk, on the same kernel, initramfs and file.
 *
 *   npm run bench:disks -- --rounds 5
 *
 * The guest reads and writes past its page cache, the file is in the host's: what is measured is the way of a request, not the
 * host's disk. Rounds are interleaved. Each contender's machine is a plain one: QEMU's `pc` with `if=virtio`, and `--disk FILE`.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compare, deviceOptions, deviceUsage, inFolder, report } from "./device-bench.ts";
import { fail, installed } from "./programs.ts";

const usage = `npm run bench:disks -- [options]
  --rows NAMES    some of the rows (default all)
  --format NAME   of the disk: raw or qcow2 (default raw)
${deviceUsage}`;

const { values } = parseArgs({
  options: { ...deviceOptions, rows: { type: "string" }, format: { type: "string", default: "raw" } },
});
const diskBytes = 512 << 20;

if (values.help) console.log(usage);
else await inFolder("io", main);

async function main(folder: string): Promise<number> {
  const { names, outcomes } = await compare(folder, values, {
    program: "disk.c",
    libraries: ["-lpthread"],
    script: (rows) => `/bench/program /dev/vda ${rows}`,
    device: () => {
      const disk = newDisk(folder);
      return {
        memvisor: `--disk ${disk},format=${values.format}`,
        qemu: ["-drive", `file=${disk},format=${values.format},if=virtio`],
      };
    },
  });
  return report(`microseconds a request, ${values.format} disk`, names, outcomes, values, names);
}

/** Full of bytes, so that all of it is in the host's page cache. */
function newDisk(folder: string): string {
  const path = join(folder, "disk");
  writeFileSync(path, Buffer.alloc(diskBytes, 0x5a));
  if (values.format === "raw") return path;
  const packed = `${path}.${values.format}`;
  const made = spawnSync(installed("qemu-img", "qemu-utils"), ["convert", "-O", values.format, path, packed]);
  return made.status === 0 ? packed : fail(String(made.stderr));
}
