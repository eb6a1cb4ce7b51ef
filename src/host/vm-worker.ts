/**
 * The entry of a machine's thread: builds the machine it was given, runs it, and starts it anew after a reset.
 *
 * Compiled code of its modules is kept from run to run, which a thread has to ask for before it imports them.
 */
import { enableCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { MachineStart } from "#control";

if (parentPort) {
  enableCompileCache();
  const [{ Machine }, { writeSnapshot }, { runMachineThread }, { nodeThread }] = await Promise.all([
    import("#vm"),
    import("#snapshot"),
    import("#control/thread"),
    import("./node-thread.ts"),
  ]);
  const start = workerData as MachineStart;
  const { printProfile } = start.config.profile ? await import("#introspect") : {};
  await runMachineThread(start, nodeThread(parentPort), (config, host, resume) => {
    const machine = new Machine(config, host, resume);
    return {
      snapshot: (owner, sink) => writeSnapshot(machine, owner, sink),
      run: () => machine.run(),
      stats: () => machine.stats(),
      profile: () => printProfile?.(machine),
    };
  });
}
