/**
 * Time from the start of the process to the first line of init: memvisor, and QEMU's translator on two machines, with the
 * same kernel, initramfs and memory. Rounds are interleaved, so that a busy host is busy for all.
 *
 *   npm run bench:boot -- --rounds 10 --json boot.json
 */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { firstLineOfInit } from "#images";
import { machineFiles } from "../tools/machine-setup.ts";
import { hostTscKhz, qemuPath } from "./qemu.ts";
import { median, table } from "./table.ts";

const usage = `npm run bench:boot -- [options]
  --image NAME      a prepared image (default debian-12-cloud)
  --rounds N        boots of each (default 5)
  --memory MIB      guest memory (default 512)
  --only NAMES      some of memvisor,pc,microvm (default all)
  --json FILE       write the figures to FILE
  --timeout S       a boot that takes longer has failed (default 120)`;

const { values } = parseArgs({
  options: {
    image: { type: "string", default: "debian-12-cloud" },
    rounds: { type: "string", default: "5" },
    memory: { type: "string", default: "512" },
    only: { type: "string", default: "memvisor,pc,microvm" },
    json: { type: "string" },
    timeout: { type: "string", default: "120" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

interface Contender {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

function contenders(): Contender[] {
  const { kernel, initrd } = machineFiles({ image: values.image });
  const memvisor = {
    name: "memvisor",
    command: process.execPath,
    args: [
      fileURLToPath(new URL("../bin/memvisor.js", import.meta.url)),
      "run",
      values.image,
      "--memory",
      `${values.memory}M`,
    ],
  };
  const wanted = values.only.split(",");
  const all: Contender[] = [memvisor];
  if (wanted.some((name) => name !== "memvisor")) {
    const qemu = (machine: string, words: string): Contender => ({
      name: machine,
      command: qemuPath(),
      args: [
        ...["-accel", "tcg", "-M", machine, "-m", values.memory, "-kernel", kernel, "-initrd", initrd ?? ""],
        ...[
          "-append",
          `console=ttyS0 panic=-1${words}`,
          "-nodefaults",
          "-no-reboot",
          "-display",
          "none",
          "-serial",
          "stdio",
        ],
      ],
    });
    // Without these two, the guest calibrates its TSC against a timer of a busy host, and may hang.
    all.push(qemu("pc", ""), qemu("microvm", ` tsc_early_khz=${hostTscKhz()} tsc=reliable`));
  }
  return all.filter((each) => wanted.includes(each.name));
}

/** Milliseconds to the first line of init; undefined when it did not come. */
function boot(contender: Contender): Promise<number | undefined> {
  return new Promise((resolve) => {
    const started = performance.now();
    const child: ChildProcess = spawn(contender.command, contender.args, { stdio: ["ignore", "pipe", "ignore"] });
    let seen = "";
    let result: number | undefined;
    const timer = setTimeout(() => child.kill("SIGKILL"), Number(values.timeout) * 1000);
    child.stdout?.on("data", (bytes: Buffer) => {
      seen = (seen + bytes.toString("latin1")).slice(-200_000);
      if (result !== undefined || !seen.includes(firstLineOfInit)) return;
      result = performance.now() - started;
      child.kill("SIGKILL");
    });
    child.on("error", () => resolve(undefined));
    child.on("close", () => {
      clearTimeout(timer);
      resolve(result);
    });
  });
}

const all = contenders();
const times = new Map<string, number[]>(all.map((each) => [each.name, []]));
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const each of all) {
    const ms = await boot(each);
    process.stderr.write(
      `round ${round} ${each.name}: ${ms === undefined ? "no init" : `${(ms / 1000).toFixed(2)} s`}\n`,
    );
    if (ms !== undefined) times.get(each.name)?.push(ms);
  }
}

const own = median(times.get("memvisor") ?? []);
const rows = all.map(({ name }) => {
  const list = times.get(name) ?? [];
  return {
    name,
    boots: list.length,
    median: median(list),
    best: Math.min(...list),
    worst: Math.max(...list),
    ratio: own / median(list),
  };
});
const seconds = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : "-");
console.log(`${values.image}, ${values.memory} MiB: from process start to "${firstLineOfInit}"`);
console.log(
  table([
    ["", "boots", "median", "best", "worst", "memvisor takes"],
    ...rows.map((row) => [
      row.name === "memvisor" ? row.name : `qemu tcg ${row.name}`,
      String(row.boots),
      ...[row.median, row.best, row.worst].map(seconds),
      row.name === "memvisor" || !Number.isFinite(row.ratio) ? "" : `${row.ratio.toFixed(2)} times that`,
    ]),
  ]),
);
if (values.json)
  writeFileSync(
    values.json,
    `${JSON.stringify({ image: values.image, memory: values.memory, times: Object.fromEntries(times), rows }, null, 2)}\n`,
  );
process.exit(rows.every((row) => row.boots === Number(values.rounds)) ? 0 : 1);
