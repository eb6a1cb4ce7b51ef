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

/** The bundler finds a worker by these very words. */
const newWorker = {
  machine: () => new Worker(new URL("../threads/machine-worker.ts", import.meta.url), { type: "module" }),
  vcpu: () => new Worker(new URL("../threads/vcpu-worker.ts", import.meta.url), { type: "module" }),
  io: () => new Worker(new URL("../threads/io-worker.ts", import.meta.url), { type: "module" }),
  emitter: () => new Worker(new URL("../threads/emitter-worker.ts", import.meta.url), { type: "module" }),
  ticker: () => new Worker(new URL("../threads/ticker-worker.ts", import.meta.url), { type: "module" }),
} as const;

export const startMachineThread: StartThread = (start): MachineThread => {
  const surroundings: Surroundings = { originMs: performance.timeOrigin, x86Order: hasX86MemoryOrder() };
  const workers: Worker[] = [];
  const failed = Promise.withResolvers<Error>();

  const run = (kind: keyof typeof newWorker, message: unknown): Worker => {
    const worker = newWorker[kind]();
    workers.push(worker);
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      failed.resolve(new Error(event.message || "the browser could not load a worker of this page"));
    });
    worker.addEventListener("messageerror", () => failed.resolve(new Error("a worker's message could not be read")));
    worker.postMessage(message);
    return worker;
  };
  /** What a machine's thread says that is not for its owner. */
  const obey = (request: ThreadRequest): void => {
    switch (request.type) {
      case "start ticker":
        run("ticker", request.start);
        break;
      case "start io":
        run("io", request.start);
        break;
      case "start emitter":
        run("emitter", request.start);
        break;
      case "start vcpu":
        run("vcpu", { ...surroundings, start: request.start } satisfies VcpuWorkerStart);
        break;
    }
  };

  const machine = run("machine", { ...surroundings, start } satisfies MachineWorkerStart);
  return {
    onMessage: (receive) =>
      machine.addEventListener("message", ({ data }: MessageEvent<FromMachineWorker>) => {
        if (isRequest(data)) obey(data);
        else receive(data);
      }),
    onEnd: (receive) => void failed.promise.then(receive),
    terminate: async () => {
      for (const worker of workers.splice(0)) worker.terminate();
    },
  };
};

const isRequest = (message: FromMachineWorker): message is ThreadRequest => message.type.startsWith("start ");
