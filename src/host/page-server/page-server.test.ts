import { mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import type { IoService, ServicePort } from "#devices";
import { MemoryPageStore, type PageStore } from "#memory/remote";
import { openRemoteMemory } from "../remote-memory.ts";
import { FilePageStore, type RunningPageServer, startPageServer } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "memvisor-pages-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const secretFile = join(folder, "secret");
writeFileSync(secretFile, "swordfish\n");

const start = (store: PageStore, port = 0, secret = "swordfish"): Promise<RunningPageServer> =>
  startPageServer({ address: "127.0.0.1", port, secret, store, keepMs: 60_000, log: () => {} });
const inMemory = (): PageStore => new MemoryPageStore(crypto.getRandomValues(new Uint8Array(16)), 1000);

/** The service that a machine would have, and what it says. */
async function openService(servers: readonly RunningPageServer[]) {
  const received: Uint8Array[] = [];
  const port: ServicePort = {
    arena: new Uint8Array(0),
    send: (...parts) => void received.push(Buffer.concat(parts)),
    congested: false,
    room: () => Promise.resolve(),
  };
  const places = servers.map(({ port }) => ({ host: "127.0.0.1", port }));
  const service: IoService = await openRemoteMemory({ kind: "remote", servers: places, secretFile }, port);
  const message = (kind: number, page: number, bytes = new Uint8Array(0)): Uint8Array<ArrayBuffer> => {
    const whole = new Uint8Array(12 + bytes.length);
    whole.set(new Uint8Array(Uint32Array.of(kind, page, 0).buffer));
    whole.set(bytes, 12);
    return whole;
  };
  const next = async (kind: number): Promise<Uint8Array> => {
    for (;;) {
      const at = received.findIndex((each) => each[0] === kind);
      if (at >= 0) return (received.splice(at, 1)[0] as Uint8Array).subarray(12);
      await setTimeout(5);
    }
  };
  return {
    service,
    write: (page: number, fill: number) => service.receive(message(1, page, new Uint8Array(4096).fill(fill))),
    read: async (page: number): Promise<number | undefined> => {
      void service.receive(message(2, page));
      return (await next(1))[4095];
    },
    flush: async () => {
      void service.receive(message(4, 0));
      await next(3);
    },
  };
}

test("pages are on both servers, and come from either", { timeout: 60_000 }, async () => {
  const servers = [await start(inMemory()), await start(inMemory())];
  const { service, write, read, flush } = await openService(servers);
  for (let page = 0; page < 50; page++) void write(page, page);
  await flush();
  expect(servers.map(({ pagesHeld }) => pagesHeld)).toEqual([50, 50]);
  await servers[0]?.close();
  expect([await read(7), await read(49)]).toEqual([7, 49]);
  await service.close();
  expect(servers[1]?.pagesHeld).toBe(0);
  await servers[1]?.close();
});

test("a machine whose servers are both gone goes on with what one has kept in its folder", {
  timeout: 60_000,
}, async () => {
  const folders = ["a", "b"].map((name) => join(folder, name));
  const servers = [];
  for (const each of folders) servers.push(await start(new FilePageStore(each, 1000)));
  const { service, write, read, flush } = await openService(servers);
  for (let page = 0; page < 20; page++) void write(page, page + 100);
  await flush();
  const ports = servers.map(({ port }) => port);
  for (const server of servers) await server.close();
  const answer = read(13);
  await setTimeout(100);
  const again = await start(new FilePageStore(folders[1] as string, 1000), ports[1]);
  expect([await answer, again.pagesHeld]).toEqual([113, 20]);
  await service.close();
  await again.close();
});

test("a machine that knows another secret, or finds no server, is told which and why", {
  timeout: 60_000,
}, async () => {
  const server = await start(inMemory(), 0, "another");
  await expect(openService([server])).rejects.toThrow(
    `page server 127.0.0.1:${server.port}: the client does not know the secret`,
  );
  await server.close();
  await expect(openService([server])).rejects.toThrow(/page server 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
});

test("pages in a folder are found again, those of a version and those that are damaged told apart", () => {
  const path = join(folder, "c");
  const object = "00".repeat(16);
  const kept = (version: number, fill: number) => ({ version, check: fill, bytes: new Uint8Array(4096).fill(fill) });
  const store = new FilePageStore(path, 3);
  expect([
    store.write(object, 5, kept(2, 1)),
    store.write(object, 5, kept(1, 9)),
    store.write(object, 1000, kept(1, 3)),
  ]).toEqual([true, true, true]);
  expect([store.write(object, 6, kept(1, 1)), store.write(object, 7, kept(1, 1))]).toEqual([true, false]);
  store.punch(object, 6, 1);
  store.close();
  // A server that was killed in the middle of a page.
  writeSync(openSync(join(path, `${object}.pages`), "r+"), Uint8Array.of(77), 0, 1, 5 * 4112 + 16 + 9);
  const again = new FilePageStore(path, 3);
  expect([again.instance, again.pagesHeld, [...again.objects]]).toEqual([store.instance, 2, [object]]);
  expect([again.read(object, 6), again.read(object, 1000)]).toEqual([undefined, kept(1, 3)]);
  const damaged = again.read(object, 5);
  expect([damaged?.version, damaged?.check, damaged?.bytes[9]]).toEqual([2, 1, 77]);
  again.drop(object);
  expect([again.pagesHeld, [...again.objects]]).toEqual([0, []]);
  again.close();
});

test("a folder that cannot be used is told", () => {
  expect(() => new FilePageStore(secretFile, 3)).toThrow(/secret: /);
});
