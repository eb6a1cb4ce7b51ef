/** The entry of a thread that runs one vCPU of a machine whose devices are on another thread. */
import { words } from "#control";
import { runVcpuThread } from "#vm";
import { clockSince, fillRandom, loadRuntime } from "./browser-thread.ts";
import type { VcpuWorkerStart } from "./thread-messages.ts";

addEventListener("message", ({ data }: MessageEvent<VcpuWorkerStart>) => void run(data), { once: true });

async function run({ start, originMs }: VcpuWorkerStart): Promise<void> {
  const shared = new Int32Array(start.words);
  runVcpuThread(start.setup, {
    runtimeWasm: await loadRuntime(),
    now: clockSince(originMs),
    wallClock: () => Date.now(),
    random: fillRandom,
    ring: () => {
      Atomics.add(shared, words.bell, 1);
      Atomics.notify(shared, words.bell);
    },
  });
}
