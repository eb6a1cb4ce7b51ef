/**
 * What the benches of single devices share: a guest program that takes the place of init, memvisor and QEMU's translator in interleaved
 * rounds on the same kernel and initramfs, and a table of microseconds a unit.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fileType, writeCpio } from "../src/images/archive/cpio.ts";
import { machineFiles } from "../tools/machine-setup.ts";
import { type Machine, memvisor, qemu } from "./contenders.ts";
import { rowsOf } from "./guest-image.ts";
import { fail, installed } from "./programs.ts";
import { type Outcome, run } from "./session.ts";
import { median, table } from "./table.ts";

/** For `parseArgs`. */
export const deviceOptions = {
  rounds: { type: "string", default: "3" },
  only: { type: "string", default: "memvisor,tcg" },
  image: { type: "string", default: "debian-12-cloud" },
  json: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

export const deviceUsage = `  --rounds N      runs of each (default 3)
  --only NAMES    some of memvisor,tcg (default both)
  --image NAME    a prepared image (default debian-12-cloud)
  --json FILE     write the figures to FILE`;

export interface DeviceValues {
  readonly rounds: string;
  readonly only: string;
  readonly image: string;
  readonly json?: string;
  readonly rows?: string;
}

/** A device whose speed is compared. */
export interface DeviceBench {
  /** The guest's program, a file in bench/device-guest/, and what it is linked with. */
  readonly program: string;
  readonly libraries?: readonly string[];
  /** What the guest's init runs: /bench/program with these rows as its last words. */
  script(rows: string): string;
  /** Words that give the device to each machine. */
  device(machine: Machine): { readonly memvisor: string; readonly qemu: readonly string[] };
  /** Makes what one run of a contender needs, and gives what is to be disposed of after it. */
  before?(contender: string): Promise<Disposable | undefined>;
}

/** By contender and row, "tcg read-4k". */
type Outcomes = Map<string, Outcome[]>;

/** Does `work` with a folder of its own; the process ends with the status it gives. */
export async function inFolder(name: string, work: (folder: string) => Promise<number>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `memvisor-bench-${name}-`));
  try {
    process.exitCode = await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Measures the rows that were asked for, on machines that differ by the device alone. */
export async function compare(folder: string, values: DeviceValues, bench: DeviceBench) {
  const program = buildProgram(folder, bench.program, bench.libraries ?? []);
  const names = chosenRows(program.names, values.rows);
  const machine = programMachine(folder, values.image, program.path, bench.script(names.join(" ")));
  const device = bench.device(machine);
  const contenders = [
    memvisor(machine, { words: device.memvisor }),
    { ...qemu("pc", "qemu64", machine, device.qemu), name: "tcg" },
  ].filter(({ name }) => values.only.split(",").includes(name));
  const outcomes: Outcomes = new Map();
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const contender of contenders) {
      using _ = await bench.before?.(contender.name);
      const { rows, tail } = await run(contender, names, { bootSeconds: 120, rowSeconds: 300 });
      process.stderr.write(`round ${round} ${contender.name}: ${rows.size} of ${names.length} rows\n`);
      if (rows.size < names.length) process.stderr.write(`${tail}\n`);
      for (const [row, outcome] of rows) {
        const key = `${contender.name} ${row}`;
        outcomes.set(key, [...(outcomes.get(key) ?? []), outcome]);
      }
    }
  }
  return { names, outcomes };
}

/** The guest's program, and the rows that it has. */
function buildProgram(folder: string, source: string, libraries: readonly string[]) {
  const gcc = installed("gcc", "gcc", "libc6-dev");
  const path = join(folder, "program");
  const flags = ["-O2", "-static", "-march=x86-64", "-Wall", "-Wextra", "-Werror"];
  const from = fileURLToPath(new URL(`device-guest/${source}`, import.meta.url));
  const { status } = spawnSync(gcc, [...flags, from, "-o", path, ...libraries], { stdio: [0, 2, 2] });
  if (status !== 0) fail("the guest program could not be built");
  return { path, names: rowsOf(path).map((row) => row.name) };
}

/** Those rows, or the ones asked for. */
function chosenRows(names: readonly string[], asked: string | undefined): readonly string[] {
  const chosen = asked?.split(",") ?? names;
  const unknown = chosen.find((name) => !names.includes(name));
  return unknown === undefined ? chosen : fail(`there is no row "${unknown}": ${names.join(", ")}`);
}

/** As init of the prepared images: modules are loaded as it loads them, and busybox's programs are there. */
const initStart = `#!/bin/busybox sh
echo "memvisor: init"
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s
stty -onlcr
cd "/lib/modules/$(uname -r)" && while read -r module; do
  insmod "$module" 2>/dev/null
done </usr/lib/memvisor/modules
`;

/** A machine whose init runs `script`, in which the program is /bench/program. */
function programMachine(folder: string, image: string, program: string, script: string): Machine {
  const { kernel, initrd } = machineFiles({ image });
  const appended = writeCpio([
    { path: "bench", mode: fileType.directory | 0o755, data: new Uint8Array(0) },
    {
      path: "bench/init",
      mode: fileType.file | 0o755,
      data: Buffer.from(`${initStart}${script.trim()}\npoweroff -f\n`),
    },
    { path: "bench/program", mode: fileType.file | 0o755, data: readFileSync(program) },
  ]);
  const path = join(folder, "initrd");
  writeFileSync(path, Buffer.concat([readFileSync(initrd as string), appended]));
  return { image, kernel, initrd: path, memoryMib: 512, processors: 1, append: "rdinit=/bench/init quiet" };
}

type Clock = "hostSeconds" | "cpuSeconds";

/**
 * A table of medians; the status of the process. `wanted`: rows that are to be as fast as TCG's at least. `ratios`: by which clocks
 * the two are compared.
 */
export function report(
  title: string,
  names: readonly string[],
  outcomes: Outcomes,
  values: DeviceValues,
  wanted: readonly string[] = [],
  ratios: readonly Clock[] = ["hostSeconds", "cpuSeconds"],
): number {
  const perUnit = (key: string, clock: Clock): number => {
    const done = (outcomes.get(key) ?? []).filter((outcome) => outcome.kind === "done");
    return median(done.map((outcome) => (outcome[clock] / outcome.count) * 1e6));
  };
  const speed = (name: string, clock: Clock): number =>
    perUnit(`tcg ${name}`, clock) / perUnit(`memvisor ${name}`, clock);
  const text = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : "-");
  const cells = names.map((name) => [
    name,
    ...["memvisor", "tcg"].flatMap((who) => [
      text(perUnit(`${who} ${name}`, "hostSeconds")),
      text(perUnit(`${who} ${name}`, "cpuSeconds")),
    ]),
    ...ratios.map((clock) => speed(name, clock).toFixed(2)),
  ]);
  const heads = ratios.map((clock) => (clock === "hostSeconds" ? "speed over tcg's, wall" : "cpu"));
  console.log(`${title}, medians of ${values.rounds} rounds`);
  console.log(table([["", "memvisor wall", "cpu", "tcg wall", "cpu", ...heads], ...cells]));
  for (const name of wanted.filter((each) => Number.isFinite(speed(each, "hostSeconds"))))
    console.log(`${name}: ${speed(name, "hostSeconds").toFixed(2)} times TCG's speed, wanted at least 1.0`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(Object.fromEntries(outcomes), null, 2)}\n`);
  return [...outcomes.values()].flat().every((outcome) => outcome.kind === "done") ? 0 : 1;
}
