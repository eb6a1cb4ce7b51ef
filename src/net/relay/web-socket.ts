/** The way to a relay over a WebSocket, which Node and pages have alike. */
import { NetworkError } from "../host-sockets.ts";
import { type OpenRelay, RelaySockets } from "./client.ts";
import type { RelayChannel } from "./protocol.ts";

/** As much of the web's WebSocket as is used here. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): void;
}

/** `relay`: as `parseRelayUrl` has it; `newSocket` is `new WebSocket(url)`. Rejected with a `NetworkError`. */
export async function connectRelay(relay: string, newSocket: (url: string) => WebSocketLike): Promise<RelaySockets> {
  const { url, token } = parseRelayUrl(relay);
  const sockets = new RelaySockets(relayOver(url, newSocket), token);
  await sockets.start();
  return sockets;
}

function relayOver(url: string, newSocket: (url: string) => WebSocketLike): OpenRelay {
  return (onMessage, onClose) =>
    new Promise((resolve, reject) => {
      const socket = newSocket(url);
      socket.binaryType = "arraybuffer";
      let open = false;
      const channel: RelayChannel = {
        send: (message) => socket.send(message),
        get bufferedBytes() {
          return socket.bufferedAmount;
        },
        close: () => socket.close(),
      };
      socket.addEventListener("open", () => {
        open = true;
        resolve(channel);
      });
      socket.addEventListener("message", ({ data }) => {
        if (data instanceof ArrayBuffer) onMessage(new Uint8Array(data));
      });
      // An error is always followed by a close.
      socket.addEventListener("error", () => {});
      socket.addEventListener("close", ({ code, reason }) => {
        if (open) onClose(reason || `code ${code}`);
        else
          reject(new NetworkError(`no relay answers at ${url}: start one with "memvisor relay", or check the address`));
      });
    });
}

/** `ws://host:port/#token` in its two parts. Throws `NetworkError`. */
export function parseRelayUrl(text: string): { readonly url: string; readonly token: string } {
  const [url, token] = text.split("#", 2) as [string, string | undefined];
  if (!/^wss?:\/\/[^/]/.test(url) || !token) {
    throw new NetworkError(
      `"${text}" is no relay: write it as ws://127.0.0.1:8765/#TOKEN, as "memvisor relay" prints it`,
    );
  }
  return { url, token };
}
