/** A relay: pages, which have no sockets, use this host's over a WebSocket (net/relay has the protocol). */
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { type RelayChannel, RelayServer, relayPolicy } from "#net/relay";
import { type AllowRule, NetworkError, resolveAllow } from "#net/rules";
import { NodeSockets } from "./network-sockets.ts";

export interface RelayOptions {
  readonly address: string;
  /** 0: any. */
  readonly port: number;
  readonly token: string;
  /** Pages that may use it, as `https://example.org`; without one those of this computer. */
  readonly origins?: readonly string[];
  /** What clients may reach on this host or link-local. */
  readonly allow?: readonly AllowRule[];
  /** All that clients may reach. */
  readonly only?: readonly AllowRule[];
}

export interface Relay {
  readonly port: number;
  close(): Promise<void>;
}

const mostClients = 64;
/** Who has not shown its token by then is hung up on. */
const greetingMs = 10_000;
const longestMessage = 1 << 20;

/** Rejected with a `NetworkError` when the port cannot be had or a name has no address. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const names = new NodeSockets();
  const resolve = (rules: readonly AllowRule[]) => resolveAllow(rules, (name) => names.resolve(name));
  const allow = await resolve(options.allow ?? []);
  const only = options.only && (await resolve(options.only));
  const server = createServer((_, response) => void response.writeHead(426).end("a memvisor relay: WebSocket only\n"));
  const sockets = new WebSocketServer({ noServer: true, maxPayload: longestMessage, perMessageDeflate: false });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const status = refusal(request, options.origins, sockets.clients.size);
    if (status !== undefined) return void socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
    sockets.handleUpgrade(request, socket, head, (client) => serve(client, options.token, { allow, only }));
  });
  await new Promise<void>((done, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(new NetworkError(`the relay cannot listen at ${options.address}:${options.port}: ${error.message}`)),
    );
    server.listen(options.port, options.address, done);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      await new Promise((done) => server.close(done));
    },
  };
}

/** Why a request is not let in; undefined when it is. Programs without an origin have their token. */
function refusal(
  { headers }: IncomingMessage,
  origins: readonly string[] | undefined,
  clients: number,
): string | undefined {
  const { origin } = headers;
  const good = origin === undefined || (origins === undefined ? isLocal(origin) : origins.includes(origin));
  if (!good) return "403 Forbidden";
  return clients >= mostClients ? "503 Service Unavailable" : undefined;
}

const isLocal = (origin: string): boolean =>
  URL.canParse(origin) && ["localhost", "127.0.0.1", "[::1]"].includes(new URL(origin).hostname);

type Rules = { readonly allow: Parameters<typeof relayPolicy>[0]; readonly only: Parameters<typeof relayPolicy>[1] };

function serve(client: WebSocket, token: string, { allow, only }: Rules): void {
  const sockets = new NodeSockets();
  let greeted = false;
  const channel: RelayChannel = {
    send: (message) => client.send(message, () => served.drained()),
    get bufferedBytes() {
      return client.bufferedAmount;
    },
    close: () => client.close(),
  };
  const served = new RelayServer({
    sockets,
    channel,
    authorize: (shown) => {
      greeted = same(shown, token);
      return greeted;
    },
    destination: relayPolicy(allow, only, () => sockets.ownAddresses()),
  });
  const timer = setTimeout(() => {
    if (!greeted) client.terminate();
  }, greetingMs);
  client.binaryType = "nodebuffer";
  client.on("message", (data: RawData, isBinary) => {
    if (isBinary && data instanceof Uint8Array) served.receive(data);
    else client.terminate();
  });
  client.on("error", () => client.terminate());
  client.on("close", () => {
    clearTimeout(timer);
    served.close();
  });
}

/** In the same time whatever differs. */
function same(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
