/**
 * The entry of an I/O thread in a page: the services that devices of one machine use, all of one kind
 * (docs/add-a-device.md).
 */
import { type IoStart, ringBells } from "#control";
import { networkService, type OpenService, runIoThread } from "#devices";

/** By the name in a device's request; loaded when one asks. */
const services: Readonly<Record<string, () => Promise<OpenService>>> = {
  [networkService]: async () => (await import("./network.ts")).openNetwork,
  disk: async () => (await import("./opfs-disk.ts")).openBlock,
};

addEventListener("message", ({ data }: MessageEvent<IoStart>) => void run(data), { once: true });

async function run(start: IoStart): Promise<void> {
  // Not a timer: the browser makes those that follow each other wait.
  const turn = new MessageChannel();
  await runIoThread(start.setup, {
    open: async (service) => {
      const load = services[service];
      if (load === undefined) throw new Error(`${service}: a page has no such service`);
      return load();
    },
    ringMachine: () => ringBells(start),
    otherEvents: () =>
      new Promise((resolve) => {
        turn.port1.onmessage = () => resolve();
        turn.port2.postMessage(undefined);
      }),
  });
}
