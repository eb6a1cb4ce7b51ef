/** `memvisor mem`: what a machine's memory is used for. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { exitStatus, type memCommand, type ValuesOf, VmMemory } from "#control";
import { judgeHost, Ledger, RemoteMachine, readHostFigures } from "#host";
import { heatLines, heatSvg } from "#introspect";
import { MemoryFileError, MemoryFiles, memoryTree } from "#introspect/memory-files";
import { Failure } from "./failure.ts";
import { withMachineFailures } from "./machine-failures.ts";
import { hostText, memoryText } from "./memory-text.ts";
import { sendTo } from "./output.ts";

const columns = 64;
const rows = 24;
const pictureCells = 128 * 96;
const watchMs = 1000;
/** Who asks first hears of ages after so long. */
const firstLookMs = 2500;

type Values = ValuesOf<typeof memCommand>;

export async function mem(name: string | undefined, file: string | undefined, values: Values): Promise<number> {
  const { json, watch, heat, limit, resize } = values;
  if (name === undefined) return host(values);
  if (file !== undefined) return printFile(name, file, values);
  if (heat !== undefined && !heat.endsWith(".svg"))
    throw new Failure(`--heat: ${heat} is to be a picture: give it a name that ends in .svg`, exitStatus.usage);
  const machine = new RemoteMachine(name);
  return withMachineFailures(async () => {
    if (limit !== undefined) {
      await machine.memory({ about: "limit", ...(limit > 0 && { bytes: limit }) });
      return exitStatus.success;
    }
    if (resize !== undefined) return resizeMemory(machine, resize);
    let stats = await machine.memory({ about: "stats" });
    if (stats.ages.watchedMs === 0) {
      await sleep(firstLookMs);
      stats = await machine.memory({ about: "stats" });
    }
    if (heat !== undefined) {
      const map = await machine.memory({ about: "heat", cells: pictureCells });
      writeFileSync(heat, heatSvg(map, stats.slots, 128, `memory of ${name}`));
    } else if (watch) await watchMemory(machine, name);
    else console.log(json ? JSON.stringify(stats, undefined, 2) : memoryText(stats));
    return exitStatus.success;
  });
}

/** A file as it is, or the names in a folder. */
async function printFile(name: string, path: string, { from = 0n, bytes }: Values): Promise<number> {
  const machine = new RemoteMachine(name);
  const files = new MemoryFiles(memoryTree((question) => machine.memory(question)));
  return withMachineFailures(async () => {
    try {
      const node = await files.find(path);
      if (node?.kind === "folder") for (const entry of await files.list(path)) console.log(entry.name);
      else
        for await (const part of files.stream(path, { offset: Number(from), ...(bytes !== undefined && { bytes }) }))
          await sendTo(process.stdout, part);
    } catch (error) {
      if (!(error instanceof MemoryFileError)) throw error;
      throw new Failure(`${error.message}: memvisor mem ${name} / lists what there is`, exitStatus.usage);
    }
    return exitStatus.success;
  });
}

/** The host's memory, as machines share it. */
async function host({ json, watch, heat, limit, resize }: Values): Promise<number> {
  if (watch || heat !== undefined || resize !== undefined)
    throw new Failure("mem: --watch, --heat and --resize are of one machine: name it", exitStatus.usage);
  return withMachineFailures(async () => {
    const ledger = new Ledger();
    if (limit !== undefined) {
      ledger.limitBytes = limit > 0 ? limit : undefined;
      return exitStatus.success;
    }
    const figures = readHostFigures();
    const machines = ledger.others();
    const { limitBytes } = ledger;
    const { level } = judgeHost(figures, machines, limitBytes);
    const all = { ...figures, ...(limitBytes !== undefined && { limitBytes }), pressure: level, machines };
    console.log(json ? JSON.stringify(all, undefined, 2) : hostText(all));
    return exitStatus.success;
  });
}

async function resizeMemory(machine: RemoteMachine, wanted: number): Promise<number> {
  const { bytes } = await new VmMemory((question) => machine.memory(question)).resize(wanted);
  if (bytes === wanted) return exitStatus.success;
  console.error(`asked for ${mib(wanted)}; the guest has ${mib(bytes)} so far, and goes on trying`);
  return exitStatus.failure;
}

/** Shows the heat map anew each second, until the machine ends or the command is interrupted. */
async function watchMemory(machine: RemoteMachine, name: string): Promise<void> {
  const terminal = process.stdout.isTTY;
  if (terminal) process.stdout.write("\u001b[2J");
  for (;;) {
    const stats = await machine.memory({ about: "stats" });
    const map = await machine.memory({ about: "heat", cells: columns * rows });
    const stored = (await machine.memory({ about: "dirty" })).reduce((sum, { bytes }) => sum + bytes, 0);
    const held = (stats.pages.own + stats.pages.shared) * 4096;
    const head = `${name}: ${mib(held)} in frames, ${mib(stats.workingSet * 4096)} used lately, ${mib(stored)} stored to since the last look`;
    const lines = [head, "", ...heatLines(map, stats.slots, columns, terminal)];
    // To the top left corner; what is left of longer lines goes.
    process.stdout.write(
      terminal ? `\u001b[H${lines.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J` : `${lines.join("\n")}\n`,
    );
    await sleep(watchMs);
  }
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
