/** A machine's threads as workers of this page. */
import type { MachineThread, StartThread } from "#control";
import type {
  FromMachineWorker,
  MachineWorkerStart,
  Surroundings,
  ThreadRequest,
  VcpuWorkerStart,
} from "../threads/thread-messages.ts";
import { hasX86MemoryOrder } from "./support.ts";

export const startMachineThread: StartThread = (start): MachineThread => {
  const surroundings: Surroundings = { originMs: performance.timeOrigin, x86Order: hasX86MemoryOrder() };
  const workers: Worker[] = [];
  const ended = Promise.withResolvers<Error>();
  const add = (worker: Worker, message: unknown): Worker => {
    workers.push(worker);
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      ended.resolve(new Error(event.message || "the browser could not load a worker of this page"));
    });
    worker.addEventListener("messageerror", () => ended.resolve(new Error("a worker's message could not be read")));
    worker.postMessage(message);
    return worker;
  };
  const obey = (request: ThreadRequest): void => {
    switch (request.type) {
      case "start ticker":
        add(
          new Worker(new URL("../threads/ticker-worker.ts", import.meta.url), { type: "module", name: "ticker" }),
          request.start,
        );
        break;
      case "start vcpu":
        add(
          new Worker(new URL("../threads/vcpu-worker.ts", import.meta.url), {
            type: "module",
            name: `vCPU ${request.start.setup.cpu}`,
          }),
          { ...surroundings, start: request.start } satisfies VcpuWorkerStart,
        );
        break;
    }
  };
  const machine = add(
    new Worker(new URL("../threads/machine-worker.ts", import.meta.url), { type: "module", name: "machine" }),
    { ...surroundings, start } satisfies MachineWorkerStart,
  );
  return {
    onMessage: (receive) =>
      machine.addEventListener("message", ({ data }: MessageEvent<FromMachineWorker>) => {
        if (data.type === "start ticker" || data.type === "start vcpu") obey(data);
        else receive(data);
      }),
    onEnd: (receive) => void ended.promise.then(receive),
    terminate: async () => {
      for (const worker of workers.splice(0)) worker.terminate();
    },
  };
};
