/**
 * The entry of an I/O thread in a page: the services that devices of one machine use, all of one kind
 * (docs/add-a-device.md).
 */
import { type IoStart, words } from "#control";
import { networkService, type OpenService, runIoThread } from "#devices";

/** By the name in a device's request; loaded when one asks. */
const services: Readonly<Record<string, () => Promise<OpenService>>> = {
  [networkService]: async () => (await import("./network.ts")).openNetwork,
  disk: async () => (await import("./opfs-disk.ts")).openBlock,
};

addEventListener("message", ({ data }: MessageEvent<IoStart>) => void run(data), { once: true });

async function run({ setup, words: shared }: IoStart): Promise<void> {
  // Not a timer: the browser makes those that follow each other wait.
  const turn = new MessageChannel();
  const machineWords = new Int32Array(shared);
  await runIoThread(setup, {
    open: async (service) => {
      const load = services[service];
      if (load === undefined) throw new Error(`${service}: a page has no such service`);
      return load();
    },
    ringMachine: () => {
      Atomics.add(machineWords, words.bell, 1);
      Atomics.notify(machineWords, words.bell);
    },
    otherEvents: () =>
      new Promise((resolve) => {
        turn.port1.onmessage = () => resolve();
        turn.port2.postMessage(undefined);
      }),
  });
}
