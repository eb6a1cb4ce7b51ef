/** Two page servers whose answers take long, and a guest that has memory on them. For tests and benchmarks. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryPageStore } from "#memory/remote";
import { type RunningPageServer, startPageServer } from "../src/host/page-server/index.ts";

const mostPages = 1 << 17;

export interface LatePageServers extends AsyncDisposable {
  /** As `memoryBacking` has it. */
  readonly backing: string;
}

/** All that comes back from them is late by so much. */
export async function latePageServers(latencyMs: number): Promise<LatePageServers> {
  const folder = await mkdtemp(join(tmpdir(), "memvisor-late-"));
  const secret = crypto.randomUUID();
  const secretFile = join(folder, "secret");
  await writeFile(secretFile, `${secret}\n`);
  const servers = await Promise.all([start(secret), start(secret)]);
  const fronts = await Promise.all(servers.map(({ port }) => latePort(port, latencyMs)));
  const places = fronts.map((front) => `127.0.0.1:${(front.address() as AddressInfo).port}`);
  return {
    backing: `remote:${places.join(",")},secret=${secretFile}`,
    [Symbol.asyncDispose]: async () => {
      for (const front of fronts) front.close();
      for (const server of servers) await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const start = (secret: string): Promise<RunningPageServer> =>
  startPageServer({
    address: "127.0.0.1",
    port: 0,
    secret,
    store: new MemoryPageStore(crypto.getRandomValues(new Uint8Array(16)), mostPages),
    keepMs: 60_000,
    log: () => {},
  });

function latePort(to: number, latencyMs: number): Promise<Server> {
  const front = createServer((client: Socket) => {
    const server = createConnection(to, "127.0.0.1");
    client.on("data", (bytes) => void server.write(bytes));
    server.on("data", (bytes) => void setTimeout(() => client.write(bytes), latencyMs));
    for (const socket of [client, server])
      for (const event of ["close", "error"])
        socket.on(event, () => void [client, server].map((each) => each.destroy()));
  });
  return new Promise((resolve) => front.listen(0, "127.0.0.1", () => resolve(front)));
}

/** A program of the guest that fills memory with so many lines of a kilobyte each, and then does something. */
const filler = (lines: number, then: string): string => `awk 'BEGIN {
  for (rest = "."; length(rest) < 1000;) rest = rest rest
  for (i = 0; i < ${lines}; i++) a[i] = i " " rest
  ${then}
}'`;
const untilGo = 'system("touch /tmp/filled; until [ -e /tmp/go ]; do sleep 0.1; done")';
const sumUp = (lines: number): string => `for (i = 0; i < ${lines}; i++) s += int(a[i]); print s`;
/** More than fits beside a booted guest. */
const otherLines = 68_000;

/** What a guest has to be limited to for `putAway`. */
export const limitBytes = 80 << 20;

/**
 * Commands for a guest: after them a program sleeps, whose `lines` kilobytes have gone to the page servers to make room for another one's. When there
 * is /tmp/go it touches them all, and their sum is in /tmp/sum.
 */
export const putAway = (lines: number): readonly string[] => [
  `${filler(lines, `${untilGo}; ${sumUp(lines)}`)} >/tmp/sum 2>&1 &
until [ -e /tmp/filled ]; do sleep 0.2; done; sleep 3`,
  filler(otherLines, ""),
];
export const sumOf = (lines: number): number => (lines * (lines - 1)) / 2;
