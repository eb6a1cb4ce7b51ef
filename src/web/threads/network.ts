/** The network service in a page, which has no sockets: a relay's are used (docs/network.md). */
import { type NetworkServiceHost, networkOpener } from "#devices/network";
import { NetworkError } from "#net";
import { connectRelay } from "#net/relay";

export const openNetwork = networkOpener(async ({ relay }): Promise<NetworkServiceHost> => {
  if (relay === undefined) throw new NetworkError("a page has a network by a relay only: name one");
  const sockets = await connectRelay(relay, (url) => new WebSocket(url));
  return {
    sockets,
    clock: {
      now: () => performance.now(),
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
    },
    random32: () => crypto.getRandomValues(new Uint32Array(1))[0],
    close: async () => sockets.close(),
  };
});
