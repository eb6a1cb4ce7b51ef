/** `memvisor ps`, `stop`, `logs`, `snapshot` and `fork`. */
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { exitStatus, type logsCommand, type snapshotCommand, type stopCommand, type ValuesOf } from "#control";
import { listMachines, type MachineInfo, openFolder, RemoteMachine, VirtualMachine } from "#host";
import { Failure } from "./failure.ts";
import { withMachineFailures } from "./machine-failures.ts";
import { restoreBehind } from "./named.ts";
import { sendTo } from "./output.ts";

const defaultPatienceMs = 10_000;

export async function list(): Promise<number> {
  const machines = await withMachineFailures(listMachines);
  const rows = [
    ["NAME", "IMAGE", "MEMORY", "IN FRAMES", "CPUS", "UP", "PROCESS", "STATE"],
    ...machines.map((machine) => [
      machine.name,
      machine.image,
      `${machine.memoryBytes / 2 ** 20}M`,
      `${Math.ceil(machine.frameBytes / 2 ** 20)}M`,
      String(machine.cpus),
      ageText(Date.now() - machine.startedAt),
      String(machine.pid),
      stateText(machine),
    ]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows)
    console.log(
      row
        .map((text, column) => text.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    );
  return exitStatus.success;
}

export async function stop(name: string, { timeout }: ValuesOf<typeof stopCommand>): Promise<number> {
  await withMachineFailures(() => new RemoteMachine(name).stop(timeout ?? defaultPatienceMs));
  return exitStatus.success;
}

export async function logs(name: string, { follow }: ValuesOf<typeof logsCommand>): Promise<number> {
  await withMachineFailures(() =>
    new RemoteMachine(name).log(follow ?? false, (bytes) => sendTo(process.stdout, bytes)),
  );
  return exitStatus.success;
}

export async function snapshot(
  name: string,
  path: string,
  { base, live, key, flatten }: Partial<ValuesOf<typeof snapshotCommand>> = {},
): Promise<number> {
  if (flatten) {
    if (base !== undefined || live) throw new Failure("--flatten takes neither --base nor --live", exitStatus.usage);
    await withMachineFailures(() => VirtualMachine.flatten(name, path, key === undefined ? {} : { key }));
    return exitStatus.success;
  }
  const options = {
    ...(base !== undefined && { base: resolve(base) }),
    ...(live && { live }),
    ...(key !== undefined && { key: resolve(key) }),
  };
  await withMachineFailures(() => new RemoteMachine(name).snapshot(resolve(path), options));
  return exitStatus.success;
}

/** By a snapshot that only the new machine ever sees. */
export async function fork(name: string, newName: string): Promise<number> {
  const path = join(openFolder(), `fork-${process.pid}.snapshot`);
  try {
    await snapshot(name, path);
    await restoreBehind(path, newName);
  } finally {
    // An open file outlives its name, but for Windows: there it stays until somebody tidies up.
    await rm(path, { force: true }).catch(() => {});
  }
  return exitStatus.success;
}

function stateText({ ready, pressure: { level, paused, waiting } }: MachineInfo): string {
  if (paused !== undefined) return `paused: ${paused}`;
  if (waiting !== undefined) return `waiting: ${waiting}`;
  return `${ready ? "ready" : "booting"}${level === "none" ? "" : `, memory pressure ${level}`}`;
}

function ageText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}
