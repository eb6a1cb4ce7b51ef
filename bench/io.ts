/**
 * Requests to a virtio disk: memvisor, and QEMU's translator with its own virtio-blk, on the same kernel, initramfs and file.
 *
 *   npm run bench:io -- --rounds 5
 *
 * The guest reads and writes past its page cache, the file is in the host's: what is measured is the way of a request, not the
 * host's disk. Rounds are interleaved. Each contender's machine is a plain one: QEMU's `pc` with `if=virtio`, and `--disk FILE`.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fileType, writeCpio } from "../src/images/archive/cpio.ts";
import { machineFiles } from "../tools/machine-setup.ts";
import { type Contender, memvisor, qemu } from "./contenders.ts";
import { rowsOf } from "./guest-image.ts";
import { fail, installed } from "./programs.ts";
import { type Outcome, run } from "./session.ts";
import { median, table } from "./table.ts";

const usage = `npm run bench:io -- [options]
  --rounds N      runs of each (default 3)
  --rows NAMES    some of the rows (default all)
  --only NAMES    some of memvisor,tcg (default both)
  --format NAME   of the disk: raw or qcow2 (default raw)
  --image NAME    a prepared image (default debian-12-cloud)
  --json FILE     write the figures to FILE`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    rows: { type: "string" },
    only: { type: "string", default: "memvisor,tcg" },
    format: { type: "string", default: "raw" },
    image: { type: "string", default: "debian-12-cloud" },
    json: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

/** As init of the prepared images, for one program. Modules are loaded as it loads them. */
const init = `#!/bin/busybox sh
echo "memvisor: init"
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox stty -onlcr
cd "/lib/modules/$(/bin/busybox uname -r)" && while read -r module; do
  /bin/busybox insmod "$module" 2>/dev/null
done </usr/lib/memvisor/modules
for word in $(/bin/busybox cat /proc/cmdline); do
  case "$word" in bench.rows=*) rows=$word ;; esac
done
/bench/io /dev/vda $(echo "$rows" | /bin/busybox sed 's/^bench.rows=//; s/,/ /g')
/bin/busybox poweroff -f
`;
const diskBytes = 512 << 20;

const folder = mkdtempSync(join(tmpdir(), "memvisor-bench-io-"));
try {
  process.exitCode = await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<number> {
  const program = compiled();
  const all = rowsOf(program);
  const names = values.rows?.split(",") ?? all.map((row) => row.name);
  const unknown = names.find((name) => !all.some((row) => row.name === name));
  if (unknown !== undefined) return fail(`there is no row "${unknown}": ${all.map((row) => row.name).join(", ")}`);
  const disk = newDisk();
  const { kernel, initrd } = machineFiles({ image: values.image });
  const machine = {
    image: values.image,
    kernel,
    initrd: withProgram(initrd as string, program),
    memoryMib: 512,
    processors: 1,
    append: `rdinit=/bench/init quiet bench.rows=${names.join(",")}`,
  };
  const drive = ["-drive", `file=${disk},format=${values.format},if=virtio`];
  const contenders: Contender[] = [
    memvisor(machine, { words: `--disk ${disk},format=${values.format}` }),
    { ...qemu("pc", "qemu64", machine, drive), name: "tcg" },
  ].filter(({ name }) => values.only.split(",").includes(name));
  const outcomes = new Map<string, Outcome[]>();
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const contender of contenders) {
      const { rows, tail } = await run(contender, names, { bootSeconds: 120, rowSeconds: 120 });
      process.stderr.write(`round ${round} ${contender.name}: ${rows.size} of ${names.length} rows\n`);
      if (rows.size < names.length) process.stderr.write(`${tail}\n`);
      for (const [row, outcome] of rows) {
        const key = `${contender.name} ${row}`;
        outcomes.set(key, [...(outcomes.get(key) ?? []), outcome]);
      }
    }
  }
  return report(names, outcomes);
}

/** A table of medians; the status of the process. */
function report(names: readonly string[], outcomes: ReadonlyMap<string, readonly Outcome[]>): number {
  const done = (key: string): Extract<Outcome, { kind: "done" }>[] =>
    (outcomes.get(key) ?? []).filter((outcome) => outcome.kind === "done");
  const perUnit = (key: string, clock: "hostSeconds" | "cpuSeconds"): number =>
    median(done(key).map((outcome) => (outcome[clock] / outcome.count) * 1e6));
  const text = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : "-");
  const ratio = (name: string, clock: "hostSeconds" | "cpuSeconds"): string =>
    (perUnit(`tcg ${name}`, clock) / perUnit(`memvisor ${name}`, clock)).toFixed(2);
  const cells = names.map((name) => [
    name,
    ...["memvisor", "tcg"].flatMap((who) => [
      text(perUnit(`${who} ${name}`, "hostSeconds")),
      text(perUnit(`${who} ${name}`, "cpuSeconds")),
    ]),
    ratio(name, "hostSeconds"),
    ratio(name, "cpuSeconds"),
  ]);
  console.log(`microseconds a request, ${values.format} disk, medians of ${values.rounds} rounds`);
  const head = ["", "memvisor wall", "cpu", "tcg wall", "cpu", "speed over tcg's, wall", "cpu"];
  console.log(table([head, ...cells]));
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(Object.fromEntries(outcomes), null, 2)}\n`);
  return [...outcomes.values()].flat().every((outcome) => outcome.kind === "done") ? 0 : 1;
}

function compiled(): string {
  const gcc = installed("gcc", "gcc", "libc6-dev");
  const source = fileURLToPath(new URL("io-guest/io.c", import.meta.url));
  const path = join(folder, "io");
  const flags = ["-O2", "-static", "-march=x86-64", "-Wall", "-Wextra", "-Werror"];
  const { status } = spawnSync(gcc, [...flags, source, "-o", path, "-lpthread"], { stdio: [0, 2, 2] });
  return status === 0 ? path : fail("the guest program could not be built");
}

/** Full of bytes, so that all of it is in the host's page cache. */
function newDisk(): string {
  const path = join(folder, "disk");
  writeFileSync(path, Buffer.alloc(diskBytes, 0x5a));
  if (values.format === "raw") return path;
  const packed = `${path}.${values.format}`;
  const made = spawnSync(installed("qemu-img", "qemu-utils"), ["convert", "-O", values.format, path, packed]);
  return made.status === 0 ? packed : fail(String(made.stderr));
}

function withProgram(initrd: string, program: string): string {
  const appended = writeCpio([
    { path: "bench", mode: fileType.directory | 0o755, data: new Uint8Array(0) },
    { path: "bench/init", mode: fileType.file | 0o755, data: Buffer.from(init) },
    { path: "bench/io", mode: fileType.file | 0o755, data: readFileSync(program) },
  ]);
  const path = join(folder, "initrd");
  writeFileSync(path, Buffer.concat([readFileSync(initrd), appended]));
  return path;
}
