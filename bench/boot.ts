/**
 * Time from the start of the process to the first line of init: memvisor, with an image whose boot was learnt when it was prepared and with nothing
 * learnt (docs/cold-path.md), and QEMU's translator on two machines, with the same kernel, initramfs and memory. Rounds are interleaved, so that a
 * busy host is busy for all.
 *
 *   npm run bench:boot -- --rounds 10 --json boot.json
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { firstLineOfInit } from "#images";
import { machineFiles } from "../tools/machine-setup.ts";
import { bootWords, type Contender, memvisor, qemu, qemuMachines } from "./contenders.ts";
import { run, teach } from "./session.ts";
import { median, table } from "./table.ts";

const usage = `npm run bench:boot -- [options]
  --image NAME      a prepared image (default debian-12-cloud)
  --rounds N        boots of each (default 5)
  --memory MIB      guest memory (default 512)
  --only NAMES      some of memvisor,pc,microvm (default all)
  --json FILE       write the figures to FILE
  --cpu NAME        the model that QEMU shows its guest (default qemu64)
  --timeout S       a boot that takes longer has failed (default 120)`;

const { values } = parseArgs({
  options: {
    image: { type: "string", default: "debian-12-cloud" },
    rounds: { type: "string", default: "5" },
    memory: { type: "string", default: "512" },
    only: { type: "string", default: "memvisor,pc,microvm" },
    cpu: { type: "string", default: "qemu64" },
    json: { type: "string" },
    timeout: { type: "string", default: "120" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const wanted = values.only.split(",");
const { kernel, initrd } = machineFiles({ image: values.image });
const machine = {
  image: values.image,
  kernel,
  initrd: initrd as string,
  memoryMib: Number(values.memory),
  processors: 1,
  append: "",
};
const limits = { bootSeconds: Number(values.timeout), rowSeconds: 0 };
const all: Contender[] = [
  ...(wanted.includes("memvisor")
    ? Object.entries(bootWords).map(([name, words]) => ({ ...memvisor(machine, { words }), name }))
    : []),
  ...qemuMachines.filter((name) => wanted.includes(name)).map((name) => qemu(name, values.cpu, machine)),
];
const times = new Map<string, number[]>(all.map((each) => [each.name, []]));
/** Processor time, which other programs of the host change less. */
const cpuTimes = new Map<string, number[]>(all.map((each) => [each.name, []]));
if (wanted.includes("memvisor")) await teach(memvisor(machine), limits);
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const each of all) {
    const { bootSeconds, bootCpuSeconds } = await run(each, [], limits);
    process.stderr.write(`round ${round} ${each.name}: ${bootSeconds?.toFixed(2) ?? "no init in"} s\n`);
    if (bootSeconds !== undefined) times.get(each.name)?.push(bootSeconds);
    if (bootCpuSeconds !== undefined) cpuTimes.get(each.name)?.push(bootCpuSeconds);
  }
}

const own = Object.keys(bootWords).map((name) => ({ name, median: median(times.get(name) ?? []) }));
const isOwn = (name: string): boolean => name in bootWords;
const rows = all.map(({ name }) => {
  const list = times.get(name) ?? [];
  return {
    name,
    boots: list.length,
    median: median(list),
    best: Math.min(...list),
    worst: Math.max(...list),
    ratios: own.map((each) => each.median / median(list)),
    cpu: median(cpuTimes.get(name) ?? []),
  };
});
const text = (seconds: number): string => (Number.isFinite(seconds) ? `${seconds.toFixed(2)} s` : "-");
console.log(`${values.image}, ${values.memory} MiB: from process start to "${firstLineOfInit}"`);
console.log(
  table([
    ["", "boots", "median", "best", "worst", "processor time", ...own.map(({ name }) => `${name} takes`)],
    ...rows.map((row) => [
      isOwn(row.name) ? row.name : `qemu tcg ${row.name}`,
      String(row.boots),
      ...[row.median, row.best, row.worst, row.cpu].map(text),
      ...row.ratios.map((ratio) =>
        isOwn(row.name) || !Number.isFinite(ratio) ? "" : `${ratio.toFixed(2)} times that`,
      ),
    ]),
  ]),
);
if (values.json)
  writeFileSync(
    values.json,
    `${JSON.stringify({ image: values.image, memory: values.memory, times: Object.fromEntries(times), cpuTimes: Object.fromEntries(cpuTimes), rows }, null, 2)}\n`,
  );
process.exit(rows.every((row) => row.boots === Number(values.rounds)) ? 0 : 1);
