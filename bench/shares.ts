/**
 * Files of a shared directory: memvisor, and QEMU's translator with Debian's virtiofsd, on the same kernel, initramfs and host folder.
 *
 *   npm run bench:shares -- --rounds 5
 *
 * Both are virtio-fs with names and attributes good for a second, without a write-back cache. Rounds are interleaved. The processor
 * time beside QEMU's is without its virtiofsd's; memvisor's is of all its threads.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fileType, writeCpio } from "../src/images/archive/cpio.ts";
import { machineFiles } from "../tools/machine-setup.ts";
import { type Contender, memvisor, qemu } from "./contenders.ts";
import { rowsOf } from "./guest-image.ts";
import { fail, installed } from "./programs.ts";
import { type Outcome, run } from "./session.ts";
import { median, table } from "./table.ts";

const usage = `npm run bench:shares -- [options]
  --rounds N      runs of each (default 3)
  --only NAMES    some of memvisor,tcg (default both)
  --image NAME    a prepared image (default debian-12-cloud)
  --json FILE     write the figures to FILE`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "memvisor,tcg" },
    image: { type: "string", default: "debian-12-cloud" },
    json: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

/** Where Debian 12 has it, with qemu-system-common. */
const daemon = "/usr/lib/qemu/virtiofsd";
const memoryMib = 512;

const init = `#!/bin/busybox sh
echo "memvisor: init"
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox stty -onlcr
/bin/busybox --install -s
cd "/lib/modules/$(uname -r)" && while read -r module; do
  insmod "$module" 2>/dev/null
done </usr/lib/memvisor/modules
modprobe virtiofs
mkdir -p /mnt
mount -t virtiofs share0 /mnt || exit
/bench/files /mnt
poweroff -f
`;

const folder = mkdtempSync(join(tmpdir(), "memvisor-bench-shares-"));
try {
  process.exitCode = await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<number> {
  const program = compiled();
  const names = rowsOf(program).map((row) => row.name);
  const shared = join(folder, "shared");
  const { kernel, initrd } = machineFiles({ image: values.image });
  const machine = {
    image: values.image,
    kernel,
    initrd: withProgram(initrd as string, program),
    memoryMib,
    processors: 1,
    append: "rdinit=/bench/init quiet",
  };
  const socket = join(folder, "socket");
  const device = [
    ...["-chardev", `socket,id=fs,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=fs,tag=share0"],
    ...["-object", `memory-backend-memfd,id=mem,size=${memoryMib}M,share=on`, "-numa", "node,memdev=mem"],
  ];
  const contenders: Contender[] = [
    memvisor(machine, { words: `--share ${shared}:/mnt` }),
    { ...qemu("pc", "qemu64", machine, device), name: "tcg" },
  ].filter(({ name }) => values.only.split(",").includes(name));
  const outcomes = new Map<string, Outcome[]>();
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const contender of contenders) {
      rmSync(shared, { recursive: true, force: true });
      mkdirSync(shared);
      const server = contender.name === "tcg" ? await startDaemon(shared, socket) : undefined;
      const { rows, tail } = await run(contender, names, { bootSeconds: 120, rowSeconds: 120 });
      server?.kill();
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

/** QEMU's server of the folder, for one machine. */
async function startDaemon(shared: string, socket: string): Promise<ChildProcess> {
  if (!existsSync(daemon)) fail(`${daemon} is not there: apt-get install qemu-system-common, or --only memvisor`);
  rmSync(socket, { force: true });
  const server = spawn(daemon, [`--socket-path=${socket}`, "-o", `source=${shared},cache=auto`], { stdio: "ignore" });
  for (let n = 0; n < 100 && !existsSync(socket); n++) await setTimeout(50);
  return server;
}

/** A table of medians; the status of the process. */
function report(names: readonly string[], outcomes: ReadonlyMap<string, readonly Outcome[]>): number {
  const done = (key: string): Extract<Outcome, { kind: "done" }>[] =>
    (outcomes.get(key) ?? []).filter((outcome) => outcome.kind === "done");
  const perUnit = (key: string, clock: "hostSeconds" | "cpuSeconds"): number =>
    median(done(key).map((outcome) => (outcome[clock] / outcome.count) * 1e6));
  const text = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : "-");
  const cells = names.map((name) => [
    name,
    ...["memvisor", "tcg"].flatMap((who) => [
      text(perUnit(`${who} ${name}`, "hostSeconds")),
      text(perUnit(`${who} ${name}`, "cpuSeconds")),
    ]),
    (perUnit(`tcg ${name}`, "hostSeconds") / perUnit(`memvisor ${name}`, "hostSeconds")).toFixed(2),
  ]);
  console.log(`microseconds each, medians of ${values.rounds} rounds`);
  console.log(table([["", "memvisor wall", "cpu", "tcg wall", "cpu", "speed over tcg's, wall"], ...cells]));
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(Object.fromEntries(outcomes), null, 2)}\n`);
  return [...outcomes.values()].flat().every((outcome) => outcome.kind === "done") ? 0 : 1;
}

function compiled(): string {
  const gcc = installed("gcc", "gcc", "libc6-dev");
  const source = fileURLToPath(new URL("io-guest/files.c", import.meta.url));
  const path = join(folder, "files");
  const flags = ["-O2", "-static", "-march=x86-64", "-Wall", "-Wextra", "-Werror"];
  const { status } = spawnSync(gcc, [...flags, source, "-o", path], { stdio: [0, 2, 2] });
  return status === 0 ? path : fail("the guest program could not be built");
}

function withProgram(initrd: string, program: string): string {
  const appended = writeCpio([
    { path: "bench", mode: fileType.directory | 0o755, data: new Uint8Array(0) },
    { path: "bench/init", mode: fileType.file | 0o755, data: Buffer.from(init) },
    { path: "bench/files", mode: fileType.file | 0o755, data: readFileSync(program) },
  ]);
  const path = join(folder, "initrd");
  writeFileSync(path, Buffer.concat([readFileSync(initrd), appended]));
  return path;
}
