import { expect, test } from "vitest";
import { MachineHandle } from "#control";
import { beginThread, endWaiting } from "./waiting-thread.ts";
import { workerThread } from "./worker-thread.ts";

const entry = new URL("./testing/scripted-machine.ts", import.meta.url);

class ScriptedVm extends MachineHandle {
  static async start(script: string, at = entry): Promise<ScriptedVm> {
    const vm = new ScriptedVm({ kernel: new TextEncoder().encode(script) }, workerThread(at));
    await vm.started;
    return vm;
  }
}

/** How many threads are made by the work. */
async function threadsOf(work: () => unknown): Promise<number> {
  let made = 0;
  const count = () => void made++;
  process.on("worker", count);
  await work();
  // Those who listen hear of it a moment later.
  await new Promise(setImmediate);
  process.off("worker", count);
  return made;
}

const run = async (): Promise<void> => {
  await using vm = await ScriptedVm.start("end poweroff");
  expect((await vm.exited).reason).toBe("poweroff");
};

test("a machine takes a thread that waits, and the next one has its own", async () => {
  expect(await threadsOf(() => beginThread(entry))).toBe(1);
  expect(await threadsOf(run)).toBe(0);
  expect(await threadsOf(run)).toBe(1);
});

test("a thread that waits in vain can be ended, and one that failed is nobody's", async () => {
  beginThread(entry);
  await endWaiting();
  expect(await threadsOf(run)).toBe(1);
  const broken = new URL("data:text/javascript,throw new Error('a bug')");
  const failed = new Promise((resolve) => void process.once("worker", (worker) => worker.once("error", resolve)));
  beginThread(broken);
  await failed;
  const made = threadsOf(() =>
    expect(ScriptedVm.start("", broken)).rejects.toThrow("the machine's thread failed: a bug"),
  );
  expect(await made).toBe(1);
});
