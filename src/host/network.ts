/** The network service on Node: its sockets or a relay's, its clock and random numbers. */
import { randomBytes } from "node:crypto";
import { type NetworkServiceHost, networkOpener } from "#devices/network";
import type { HostSockets } from "#net";
import { connectRelay } from "#net/relay";
import type { NetworkOptions } from "#net/rules";
import { NodeSockets } from "./network-sockets.ts";

export const openNetwork = networkOpener(nodeNetwork);

async function nodeNetwork({ relay }: NetworkOptions): Promise<NetworkServiceHost> {
  const { sockets, close } = relay === undefined ? ownSockets() : await relaySockets(relay);
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
    close,
  };
}

type Sockets = { readonly sockets: HostSockets; readonly close: () => Promise<void> };

function ownSockets(): Sockets {
  const sockets = new NodeSockets();
  return { sockets, close: () => sockets.flushed() };
}

async function relaySockets(relay: string): Promise<Sockets> {
  const sockets = await connectRelay(relay, (url) => new WebSocket(url));
  return { sockets, close: async () => sockets.close() };
}
