/** Machines of `memvisor run` that have names: found by other commands, in the foreground or behind it. */
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { exitStatus, statusOf } from "#control";
import { listMachines, logOf, MachineServer, openFolder, RemoteMachine, reserve, type VirtualMachine } from "#host";
import { Failure } from "./failure.ts";
import { type ForegroundValues, inForeground, started, stopOnSignals } from "./foreground.ts";
import { withMachineFailures } from "./machine-failures.ts";

/** Set for the process that runs a machine in the background: it has no console to speak of. */
const backgroundMark = "MEMVISOR_BACKGROUND";
export const inBackground = process.env[backgroundMark] !== undefined;

export interface NamedValues extends ForegroundValues {
  readonly name?: string;
  readonly detach?: boolean;
}

/** A machine that `begin` starts, under its name if it has one, in the foreground or behind it. Gives the status to end with. */
export async function attend(
  values: NamedValues,
  image: string,
  begin: () => Promise<VirtualMachine>,
): Promise<number> {
  const { name } = values;
  if (values.detach && !inBackground) {
    if (values.exec !== undefined)
      throw new Failure("-d runs a machine, not one command: leave --exec out", exitStatus.usage);
    return runBehind(name);
  }
  using reserved = name === undefined ? undefined : await withMachineFailures(() => reserve(name));
  const start = async (): Promise<VirtualMachine> => {
    const vm = await begin();
    if (reserved) MachineServer.open(vm, { name: reserved.name, image, ...vm.shape }, reserved);
    return vm;
  };
  // Awaited here: until then the name is taken.
  return await (inBackground ? untilItsEnd(start) : inForeground(start, values));
}

/** Runs this very command again without a terminal, and waits until its machine takes commands. */
async function runBehind(name: string | undefined): Promise<number> {
  const given = name ?? (await withMachineFailures(freeName));
  const [, launcher = "", ...words] = process.argv.filter((word) => word !== "-d" && word !== "--detach");
  return startBehind(launcher, [...words, ...(name ? [] : ["--name", given])], given);
}

/** A machine of that name in the background, which goes on from a snapshot. */
export function restoreBehind(path: string, name: string): Promise<number> {
  return startBehind(process.argv[1] ?? "", ["restore", path, "--name", name], name);
}

async function startBehind(launcher: string, words: readonly string[], given: string): Promise<number> {
  if (await isReady(given)) {
    const advice = `memvisor stop ${given}, or choose another name`;
    throw new Failure(`a machine called ${given} runs already: ${advice}`, exitStatus.usage);
  }
  const log = openSync(logOf(openFolder(), given), "w", 0o600);
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, [...process.execArgv, launcher, ...words], {
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...process.env, [backgroundMark]: "1" },
  });
  const exit = once(child, "exit").then(([status]) => status as number | null);
  const failed = exit.then((status) => {
    const said = readFileSync(logOf(openFolder(), given), "utf8").trim().split("\n").pop() ?? "";
    throw new Failure(
      said.replace(/^memvisor: /, "") || `the machine ended with status ${status}`,
      status || exitStatus.failure,
    );
  });
  await Promise.race([untilReady(given), failed]);
  child.unref();
  console.log(given);
  return exitStatus.success;
}

/** In the background: nobody reads what it prints, and `logs` shows what its console did. */
async function untilItsEnd(start: () => Promise<VirtualMachine>): Promise<number> {
  const vm = await started(start);
  const signals = stopOnSignals(vm);
  const end = await vm.exited;
  signals[Symbol.dispose]();
  return signals.status ?? statusOf(end);
}

async function untilReady(name: string): Promise<void> {
  while (!(await isReady(name))) await sleep(100);
}

/** False also where there is no such machine. */
async function isReady(name: string): Promise<boolean> {
  return withMachineFailures(() => new RemoteMachine(name).info()).then(
    (info) => info.ready,
    () => false,
  );
}

async function freeName(): Promise<string> {
  const taken = new Set((await listMachines()).map((each) => each.name));
  for (let number = 1; ; number++) if (!taken.has(`vm${number}`)) return `vm${number}`;
}
