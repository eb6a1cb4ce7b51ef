/**
 * The entry of a machine's thread: builds the machine it was given, runs it and its forks, and starts each anew after a reset.
 *
 * Compiled code of its modules is kept from run to run, which a thread has to ask for before it imports them.
 */
import { enableCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { ThreadMachine } from "#control/thread";
import { stepAhead } from "./priority.ts";
import { mark } from "./times.ts";
import { awaitStart } from "./waiting-thread.ts";

if (parentPort) {
  enableCompileCache();
  mark("begins");
  stepAhead();
  const [
    { Machine },
    { LiveSnapshot, learnWarmth, warmUp, writeSnapshot },
    { runMachineThread },
    { nodeThread, randomAfter },
  ] = await Promise.all([import("#vm"), import("#snapshot"), import("#control/thread"), import("./node-thread.ts")]);
  mark("has its modules");
  const thread = nodeThread(parentPort);
  mark("has its WebAssembly");
  const { start, random } = awaitStart(parentPort, workerData);
  mark("is told its machine");
  const { printProfile } = start.config.profile ? await import("#introspect") : {};
  const onThread = (machine: InstanceType<typeof Machine>): ThreadMachine => ({
    snapshot: (owner, sink, base) => writeSnapshot(machine, owner, sink, base),
    saveLive: (sink, base) => new LiveSnapshot(machine, sink, base),
    warmUp: (of, file) => {
      mark("the machine is made");
      warmUp(machine, of, file);
      mark("it is warm");
    },
    learnWarmth: (of, before) => {
      mark("the machine has ended");
      return learnWarmth(machine, of, before);
    },
    learn: () => machine.parts.engine.learn(),
    giveLearnt: (source, build) => void machine.parts.engine.giveLearnt(source, build),
    packLearnt: (build) => machine.parts.engine.packLearnt(build),
    fork: (host) => onThread(machine.fork(host)),
    memory: machine.memory,
    net: machine.net,
    turn: () => machine.turn(),
    stats: () => machine.stats(),
    profile: () => printProfile?.(machine),
    [Symbol.dispose]: () => machine[Symbol.dispose](),
  });
  const near = start.config.shares?.length ? await import("./near-services.ts") : {};
  await runMachineThread(start, { ...thread, random: randomAfter(random), ...near }, (config, host, resume) =>
    onThread(new Machine(config, host, resume)),
  );
}
