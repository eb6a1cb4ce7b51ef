/** The entry of a machine's thread in a page: builds the machine it is given and runs it to its end. */
import { runMachineThread } from "#control/thread";
import { printProfile } from "#introspect";
import { Machine } from "#vm";
import { browserThread } from "./browser-thread.ts";
import type { FromMachineWorker, MachineWorkerStart } from "./thread-messages.ts";

addEventListener("message", ({ data }: MessageEvent<MachineWorkerStart>) => void run(data), { once: true });

async function run(given: MachineWorkerStart): Promise<void> {
  try {
    await runMachineThread(given.start, await browserThread(given), (config, host) => {
      const machine = new Machine(config, host);
      return {
        memory: machine.memory,
        net: machine.net,
        turn: () => machine.turn(),
        stats: () => machine.stats(),
        profile: () => (config.profile ? printProfile(machine) : undefined),
        [Symbol.dispose]: () => machine[Symbol.dispose](),
      };
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    postMessage({ type: "refused", code: "boot", message } satisfies FromMachineWorker);
  }
}
