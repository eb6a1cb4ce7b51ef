/**
 * The entry of an I/O thread: the services that devices of one machine use, all of one kind (docs/add-a-device.md).
 *
 * A service may block its thread, and only its own kind waits.
 */
import { setImmediate } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { type IoStart, ringBells } from "#control";
import { networkService, type OpenService, runIoThread } from "#devices";
import { farService } from "#memory/backing";

/** By the name in a device's request; loaded when one asks. */
const services: Readonly<Record<string, () => Promise<OpenService>>> = {
  [networkService]: async () => (await import("./network.ts")).openNetwork,
  disk: async () => (await import("./block-service.ts")).openBlock,
  [farService]: async () => (await import("./remote-memory.ts")).openRemoteMemory,
  files: async () => (await import("./share/index.ts")).openFiles,
  share: async () => (await import("./share/index.ts")).openShare,
};

const start = workerData as IoStart;
// The thread lives as long as it listens: what it sleeps on does not count.
const listener = (): void => {};
parentPort?.on("message", listener);

await runIoThread(start.setup, {
  open: async (service) => {
    const load = services[service];
    if (load === undefined) throw new Error(`${service}: this host has no such service`);
    return load();
  },
  ringMachine: () => ringBells(start),
  otherEvents: () => setImmediate(),
});
parentPort?.off("message", listener);
