/** The entry of a thread that runs one vCPU of a machine whose devices are on another thread. */
import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { workerData } from "node:worker_threads";
import { type VcpuStart, words } from "#control";
import { crypto } from "./late.ts";
import { hostNow } from "./node-thread.ts";
import { interpreterOf, runtimeFile } from "./package-files.ts";

enableCompileCache();
const { runVcpuThread } = await import("#vm");
const start = workerData as VcpuStart;
const shared = new Int32Array(start.words);

runVcpuThread(start.setup, {
  runtimeWasm: readFileSync(runtimeFile()),
  interpreterWasm: interpreterOf(),
  now: hostNow,
  wallClock: () => Date.now(),
  random: (target) => void crypto().randomFillSync(target),
  ring: () => {
    Atomics.add(shared, words.bell, 1);
    Atomics.notify(shared, words.bell);
  },
});
