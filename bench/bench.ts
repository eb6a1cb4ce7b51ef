/**
 * The benchmark: one C program natively, under QEMU's translator and under memvisor, with the same kernel and initramfs.
 *
 *   npm run bench
 *   npm run bench -- --only memvisor --rows sieve,sort --rounds 1
 *
 * Rounds are interleaved, so that a busy host is busy for all. docs/benchmark.md says what each row is and how to read it.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { machineFiles } from "../tools/machine-setup.ts";
import { bootWords, type Contender, type Machine, memvisor, native, qemu, qemuMachines } from "./contenders.ts";
import { type GuestFiles, prepareGuest, type Row, rowsOf } from "./guest-image.ts";
import { type Boot, clocks, doubts, type Measured } from "./measure.ts";
import { plot } from "./plot.ts";
import { fail } from "./programs.ts";
import { qemuPath } from "./qemu.ts";
import { type Circumstances, clockText, jsonReport, textReport } from "./report.ts";
import { type Outcome, run, runAll, teach } from "./session.ts";

/** Lists still being filled. */
type Growing<T> = { [Key in keyof T]: T[Key] extends readonly (infer Each)[] ? Each[] : T[Key] };

const usage = `npm run bench -- [options]
  --only NAMES         some of native,tcg,memvisor (default all)
  --rows NAMES         some of the rows, or of their groups (default all)
  --rounds N           default 3
  --clock wall|cpu     compare times by the guest's clock, or the processor time that the host spent in all threads:
                       steadier on a busy host, but compiling beside the guest counts in full (default wall)
  --no-boot            leave out the boots and their peak RSS
  --image NAME         a prepared image (default debian-12-cloud)
  --memory MIB         guest memory (default 512)
  --qemu-machine NAME  for the rows (default pc)
  --qemu-cpu NAME      the model that QEMU shows its guest (default qemu64: its best case)
  --variant WORDS      memvisor again with more options, such as "--interpreter"; may be repeated
  --other DIR          memvisor again, as built in another checkout
  --row-timeout S      a row that takes longer has failed (default 60)
  --boot-timeout S     default 60
  --json FILE          write every figure to FILE
  --plot FILE          draw the figures into an SVG
  --list               print the rows and end`;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "native,tcg,memvisor" },
    rows: { type: "string" },
    rounds: { type: "string", default: "3" },
    clock: { type: "string", default: "wall" },
    "no-boot": { type: "boolean" },
    image: { type: "string", default: "debian-12-cloud" },
    memory: { type: "string", default: "512" },
    "qemu-machine": { type: "string", default: "pc" },
    "qemu-cpu": { type: "string", default: "qemu64" },
    variant: { type: "string", multiple: true, default: [] },
    other: { type: "string" },
    "row-timeout": { type: "string", default: "60" },
    "boot-timeout": { type: "string", default: "60" },
    json: { type: "string" },
    plot: { type: "string" },
    list: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const files = prepareGuest(values.image);
const all = rowsOf(files.program);
if (values.list) {
  for (const { name, group, count, unit } of all)
    console.log(`${name.padEnd(14)} ${group.padEnd(13)} ${count} ${unit}`);
  process.exit(0);
}
const clock = clocks.find((each) => each === values.clock) ?? fail(`--clock ${values.clock}: it is wall or cpu`);
const rounds = Number(values.rounds);
const only = values.only.split(",");
const rows = wantedRows(all, values.rows?.split(","));
const limits = { bootSeconds: Number(values["boot-timeout"]), rowSeconds: Number(values["row-timeout"]) };
const machines: Record<string, (machine: Machine) => Contender> = {
  ...(only.includes("memvisor") && { memvisor }),
  ...Object.fromEntries(values.variant.map((words) => [words, (machine: Machine) => memvisor(machine, { words })])),
  ...(values.other !== undefined && { other: (machine: Machine) => memvisor(machine, { checkout: values.other }) }),
  ...(only.includes("tcg") && { tcg: (machine: Machine) => qemu(values["qemu-machine"], values["qemu-cpu"], machine) }),
};
const timings = new Map<string, Map<string, { outcomes: Outcome[] }>>();
const boots = new Map<string, Growing<Boot>>();

for (let round = 1; round <= rounds; round++) {
  for (const [name, contender] of Object.entries(machines)) {
    // Native rows take a tenth of the time and vary as much: they are run before each of the others.
    if (only.includes("native")) await rowsUnder("native", round, (names) => nativeRun(files, names));
    await rowsUnder(name, round, (names, processors) =>
      contender({ ...machine(files, processors), append: `rdinit=/bench/init quiet bench.rows=${names.join(",")}` }),
    );
  }
  if (Object.keys(machines).length === 0) await rowsUnder("native", round, (names) => nativeRun(files, names));
  if (!values["no-boot"] && values.rows === undefined) await bootAll(round);
}

const measured: Measured = { clock, rows, timings, boots: [...boots.values()] };
const about: Circumstances = {
  date: new Date().toISOString().slice(0, 16),
  host: `${cpus()[0]?.model} x${cpus().length}`,
  node: process.version,
  qemu: only.includes("tcg")
    ? `${execFileSync(qemuPath(), ["--version"], { encoding: "utf8" }).split("\n")[0]}, ${values["qemu-machine"]}, ${values["qemu-cpu"]}`
    : "no QEMU",
  image: values.image,
  memoryMib: Number(values.memory),
  rounds,
  partial: values.rows !== undefined,
};
console.log(textReport(measured, about));
if (values.json !== undefined) writeFileSync(values.json, jsonReport(measured, about));
if (values.plot !== undefined) {
  writeFileSync(
    values.plot,
    plot(measured, `${about.host}; ${about.qemu}; medians of ${rounds} rounds, ${clockText[clock]}`),
  );
}
process.exit(rows.every(({ name }) => doubts(measured, name).length === 0) ? 0 : 1);

function wantedRows(from: readonly Row[], names: readonly string[] | undefined): Row[] {
  const unknown = names?.find((name) => !from.some((row) => row.name === name || row.group === name));
  if (unknown !== undefined) fail(`there is no row "${unknown}": see --list`);
  return from.filter((row) => !names || names.includes(row.name) || names.includes(row.group));
}

function machine({ kernel, initrd }: Pick<GuestFiles, "kernel" | "initrd">, processors: number): Machine {
  return { image: values.image, kernel, initrd, memoryMib: Number(values.memory), processors, append: "" };
}

function nativeRun({ program, busybox, data }: GuestFiles, names: readonly string[]): Contender {
  return native(program, busybox, data, names);
}

/** All rows once; those that want two processors in a machine of their own. */
async function rowsUnder(
  name: string,
  round: number,
  make: (names: readonly string[], processors: number) => Contender,
): Promise<void> {
  const into = timings.get(name) ?? new Map<string, { outcomes: Outcome[] }>();
  timings.set(name, into);
  for (const processors of [1, 2]) {
    const names = rows.filter((row) => (row.group === "threads") === (processors === 2)).map((row) => row.name);
    if (names.length === 0) continue;
    const session = await runAll((missing) => make(missing, processors), names, limits);
    for (const [row, outcome] of session.rows) {
      const timing = into.get(row) ?? { outcomes: [] };
      timing.outcomes.push(outcome);
      into.set(row, timing);
    }
    const failed = [...session.rows.values()].filter((outcome) => outcome.kind === "failed").length;
    process.stderr.write(`round ${round} ${name}: ${names.length - failed} of ${names.length} rows\n`);
  }
}

/** Boots of the image as it is. */
async function bootAll(round: number): Promise<void> {
  const { kernel, initrd } = machineFiles({ image: values.image });
  const plain = machine({ kernel, initrd: initrd as string }, 1);
  const contenders = Object.entries(machines).flatMap(([name, make]): [string, Contender][] => {
    if (name === "tcg") return qemuMachines.map((each) => [each, qemu(each, values["qemu-cpu"], plain)]);
    if (name !== "memvisor") return [[name, make(plain)]];
    return Object.entries(bootWords).map(([each, words]) => [each, memvisor(plain, { words })]);
  });
  if (round === 1 && only.includes("memvisor")) await teach(memvisor(plain), limits);
  for (const [name, contender] of contenders) {
    const session = await run(contender, [], limits);
    const boot = boots.get(name) ?? { contender: name, seconds: [], cpuSeconds: [], peakRssBytes: [] };
    boots.set(name, boot);
    if (session.bootSeconds !== undefined) boot.seconds.push(session.bootSeconds);
    if (session.bootCpuSeconds !== undefined) boot.cpuSeconds.push(session.bootCpuSeconds);
    if (session.bootPeakRssBytes !== undefined) boot.peakRssBytes.push(session.bootPeakRssBytes);
    process.stderr.write(`round ${round} boot of ${name}: ${session.bootSeconds?.toFixed(2) ?? "no init in"} s\n`);
  }
}
