import { createServer as createWebServer } from "node:http";
import { type AddressInfo, createServer, connect as netConnect, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket as OtherWebSocket } from "ws";
import { type HostAddress, type HostSockets, type HostStreamUser, type Ipv4, parseIpv4 } from "#net";
import { connectRelay } from "#net/relay";
import { parseAllow } from "#net/rules";
import { NodeSockets } from "./network-sockets.ts";
import { type Relay, startRelay } from "./relay.ts";

const here = parseIpv4("127.0.0.1") as Ipv4;

/** What a stream's user has heard, and a promise of its end. */
class Ear implements HostStreamUser {
  readonly heard: string[] = [];
  readonly #over = Promise.withResolvers<void>();
  readonly over = this.#over.promise;
  readonly #connected = Promise.withResolvers<void>();
  readonly isConnected = this.#connected.promise;
  bytes = Buffer.alloc(0);
  connected(): void {
    this.heard.push("connected");
    this.#connected.resolve();
  }
  failed(why: string): void {
    this.heard.push(`failed: ${why}`);
    this.#over.resolve();
  }
  received(bytes: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }
  ended(): void {
    this.heard.push("ended");
  }
  drained(): void {}
  closed(broken: boolean): void {
    this.heard.push(broken ? "broken" : "closed");
    this.#over.resolve();
  }
}

/** Sends back what comes, all of it after the end. */
const echo = createServer({ allowHalfOpen: true }, (socket) => {
  const pieces: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => pieces.push(bytes));
  socket.on("end", () => socket.end(Buffer.concat(pieces)));
  socket.on("error", () => {});
});
let echoAt: HostAddress;
let relay: Relay;

async function listening(server: Server): Promise<HostAddress> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: here, port: (server.address() as AddressInfo).port };
}

beforeAll(async () => {
  echoAt = await listening(echo);
  const allow = [parseAllow("localhost:*")];
  relay = await startRelay({ address: "127.0.0.1", port: 0, token: "secret", allow });
});
afterAll(async () => {
  await relay.close();
  echo.close();
});

const kinds: readonly [name: string, make: () => Promise<HostSockets>][] = [
  ["Node's sockets", async () => new NodeSockets()],
  ["a relay's sockets", () => connectRelay(`ws://127.0.0.1:${relay.port}/#secret`, (url) => new WebSocket(url))],
];

describe.each(kinds)("%s", (_, make) => {
  test("carry megabytes both ways, with a half close between", async () => {
    const sockets = await make();
    const ear = new Ear();
    const stream = sockets.connect(echoAt, ear);
    await ear.isConnected;
    const sent: Buffer[] = [];
    for (let n = 0; n < 100; n++) {
      const piece = Buffer.alloc(30_000 + n, n);
      sent.push(piece);
      stream.write(Uint8Array.from(piece));
      while (stream.buffered > 200_000) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    stream.end();
    await ear.over;
    expect(ear.bytes.equals(Buffer.concat(sent))).toBe(true);
    expect([ear.heard, stream.buffered]).toEqual([["connected", "ended", "closed"], 0]);
  });

  test("are refused where nobody listens", async () => {
    const server = createServer();
    const at = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    const ear = new Ear();
    (await make()).connect(at, ear);
    await ear.over;
    expect(ear.heard).toEqual(["failed: refused"]);
  });

  test("hear a reset, and nothing after their own", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.resetAndDestroy());
    });
    const at = await listening(server);
    const sockets = await make();
    const [ear, own] = [new Ear(), new Ear()];
    const stream = sockets.connect(at, ear);
    const other = sockets.connect(at, own);
    await Promise.all([ear.isConnected, own.isConnected]);
    stream.write(Uint8Array.of(1));
    other.reset();
    await ear.over;
    expect([ear.heard, own.heard]).toEqual([["connected", "broken"], ["connected"]]);
    server.close();
  });

  test("send datagrams and get answers", async () => {
    const sockets = await make();
    const far = new NodeSockets();
    const at = { address: here, port: echoAt.port };
    const answered = Promise.withResolvers<string>();
    const mirror = await far.bindDatagrams(at, (bytes, from) => mirror.send(bytes, from));
    const socket = sockets.openDatagrams((bytes, from) => answered.resolve(`${Buffer.from(bytes)} ${from.port}`));
    socket.send(Buffer.from("ping"), at);
    expect(await answered.promise).toBe(`ping ${at.port}`);
    socket.close();
    mirror.close();
  });
});

describe("Node's sockets", () => {
  test("listen, and say who has a port that is taken", async () => {
    const sockets = new NodeSockets();
    const ear = new Ear();
    const taken = createServer();
    const at = await listening(taken);
    await expect(sockets.listen(at, () => ear)).rejects.toThrow(
      `TCP port 127.0.0.1:${at.port} cannot be published: another program has it: choose another one`,
    );
    await new Promise((resolve) => taken.close(resolve));
    const listener = await sockets.listen(at, (stream) => {
      stream.write(Buffer.from("hello"));
      stream.end();
      return ear;
    });
    const answer = await new Promise<string>((resolve) => {
      netConnect(at.port, "127.0.0.1").once("data", (bytes: Buffer) => resolve(bytes.toString()));
    });
    expect(answer).toBe("hello");
    listener.close();
  });
});

describe("a relay", () => {
  const opened = (options: { readonly origin?: string }): Promise<string> =>
    new Promise((resolve) => {
      const socket = new OtherWebSocket(`ws://127.0.0.1:${relay.port}/`, options);
      socket.once("open", () => {
        resolve("open");
        socket.terminate();
      });
      socket.once("error", (error) => resolve(error.message));
    });

  test("lets in pages of this computer and programs, and no other site's", async () => {
    const outcomes = [
      await opened({}),
      await opened({ origin: "http://localhost:8080" }),
      await opened({ origin: "https://example.org" }),
      await opened({ origin: "http://localhost.example.org" }),
    ];
    expect(outcomes).toEqual(["open", "open", "Unexpected server response: 403", "Unexpected server response: 403"]);
  });

  test("hangs up on a wrong token; where none is, that is said", async () => {
    const wrong = connectRelay(`ws://127.0.0.1:${relay.port}/#guess`, (url) => new WebSocket(url));
    await expect(wrong).rejects.toThrow("the relay hung up");
    const server = createWebServer((_, response) => void response.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const none = connectRelay(`ws://127.0.0.1:${port}/#x`, (url) => new WebSocket(url));
    await expect(none).rejects.toThrow(`no relay answers at ws://127.0.0.1:${port}/`);
    server.close();
  });
});
