/** Node's sockets, clock and random numbers for the network service. */
import { randomBytes } from "node:crypto";
import { type NetworkServiceHost, networkOpener } from "#devices/network";
import { NodeSockets } from "./network-sockets.ts";

export const openNetwork = networkOpener(nodeNetwork);

function nodeNetwork(): NetworkServiceHost {
  const sockets = new NodeSockets();
  return {
    sockets,
    clock: {
      now: () => performance.now(),
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
    },
    random32: () => randomBytes(4).readUInt32LE(),
    close: () => sockets.flushed(),
  };
}
