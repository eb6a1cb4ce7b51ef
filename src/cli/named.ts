/** Machines of `memvisor run` that have names: found by other commands, in the foreground or behind it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { defaultMemoryBytes, exitStatus, statusOf, type VmOptions } from "#control";
import {
  listMachines,
  logOf,
  MachineServer,
  openFolder,
  RemoteMachine,
  type Reserved,
  type VirtualMachine,
} from "#host";
import { Failure } from "./failure.ts";
import { started, stopOnSignals } from "./foreground.ts";
import { withMachineFailures } from "./machine-failures.ts";

/** Set for the process that runs a machine in the background: it has no console to speak of. */
const backgroundMark = "MEMVISOR_BACKGROUND";
export const inBackground = process.env[backgroundMark] !== undefined;

export function openServer(vm: VirtualMachine, reserved: Reserved, image: string, options: VmOptions): MachineServer {
  const { memoryBytes = defaultMemoryBytes, cpus = 1 } = options;
  return MachineServer.open(vm, { name: reserved.name, image, memoryBytes, cpus }, reserved);
}

/** Runs this very command again without a terminal, and waits until its machine takes commands. */
export async function runBehind(name: string | undefined): Promise<number> {
  const given = name ?? (await withMachineFailures(freeName));
  const log = openSync(logOf(openFolder(), given), "w", 0o600);
  const words = process.argv.slice(1).filter((word) => word !== "-d" && word !== "--detach");
  const child = spawn(process.execPath, [...process.execArgv, ...words, ...(name ? [] : ["--name", given])], {
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
export async function untilItsEnd(start: () => Promise<VirtualMachine>): Promise<number> {
  const vm = await started(start);
  const signals = stopOnSignals(vm);
  const end = await vm.exited;
  signals[Symbol.dispose]();
  return signals.status ?? statusOf(end);
}

async function untilReady(name: string): Promise<void> {
  for (;;) {
    const ready = await new RemoteMachine(name).info().then(
      (info) => info.ready,
      () => false,
    );
    if (ready) return;
    await sleep(100);
  }
}

async function freeName(): Promise<string> {
  const taken = new Set((await listMachines()).map((each) => each.name));
  for (let number = 1; ; number++) if (!taken.has(`vm${number}`)) return `vm${number}`;
}
