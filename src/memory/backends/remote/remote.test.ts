import { expect, test } from "vitest";
import { memoryServices } from "../../../host/guest-memory.ts";
import { EncryptedPages, type PageCipher } from "../encrypted.ts";
import { RemotePages } from "./remote-pages.ts";
import { type ReplicaEvent, Replicas } from "./replicas.ts";
import { randomOf, type TestServer, World } from "./world.ts";

function remote(seed: number, options: ConstructorParameters<typeof World>[1] = {}) {
  const world = new World(randomOf(seed), options);
  const events: ReplicaEvent[] = [];
  const { service, line } = world.service();
  return {
    world,
    service,
    line,
    events,
    /** When all servers are there. */
    open: async (pageCount: number) => {
      const opened = service.open();
      world.run(100);
      await opened;
      return new RemotePages(pageCount, line, (event) => events.push(event));
    },
  };
}

const bytes = (seed: number): Uint8Array =>
  Uint8Array.from({ length: 4096 }, (_, n) => (n * 7 + seed * 13 + (n >> 8)) & 0xff);
const read = (pages: RemotePages, page: number): Uint8Array => {
  const target = new Uint8Array(4096);
  pages.read(page, target);
  return target;
};

test("a page that was written is on both servers", async () => {
  const { world, open } = remote(1);
  const pages = await open(100);
  for (let page = 0; page < 10; page++) pages.write(page, bytes(page));
  pages.flush();
  expect(world.servers.map((server) => server.pagesHeld)).toEqual([10, 10]);
  pages.punch(3, 2);
  world.run(100);
  expect(world.servers.map((server) => server.pagesHeld)).toEqual([8, 8]);
});

test("one of two servers is killed a hundred times, and no page is lost", async () => {
  const { world, open, events } = remote(5);
  const pages = await open(64);
  const model = new Map<number, Uint8Array>();
  const use = (count: number): void => {
    for (let n = 0; n < count; n++) {
      const page = world.random(64);
      if (world.random(2) === 0) {
        model.set(page, bytes(world.random(1e6)));
        pages.write(page, model.get(page) as Uint8Array);
      } else expect(read(pages, page)).toEqual(model.get(page) ?? new Uint8Array(4096));
    }
  };
  const isWhole = (): boolean => {
    // Reading hands out what the service has to tell.
    world.step();
    if (model.size > 0) read(pages, model.keys().next().value as number);
    return events.at(-1)?.state === "whole";
  };
  for (let n = 0; n < 100; n++) {
    use(20);
    const victim = world.servers[world.random(2)] as World["servers"][number];
    victim.stop(true);
    use(20);
    world.run(world.random(300));
    use(20);
    victim.start();
    use(world.random(20));
    events.push({ state: "degraded", text: "" });
    world.until(isWhole);
  }
  for (const [page, expected] of model) expect(read(pages, page)).toEqual(expected);
  expect(world.servers.map((server) => server.pagesHeld)).toEqual([model.size, model.size]);
});

test("connections that break at any moment lose nothing", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { world, open } = remote(seed);
    const pages = await open(32);
    const model = new Map<number, Uint8Array>();
    let cutting = true;
    const cutAgain = (): void => {
      (world.servers[world.random(2)] as World["servers"][number]).cut();
      if (cutting) world.after(20 + world.random(200), cutAgain);
    };
    cutAgain();
    for (let n = 0; n < 400; n++) {
      const page = world.random(32);
      if (world.random(3) > 0) {
        model.set(page, bytes(n + seed * 1000));
        pages.write(page, model.get(page) as Uint8Array);
      } else if (world.random(8) === 0) {
        model.delete(page);
        pages.punch(page, 1);
      } else expect(read(pages, page)).toEqual(model.get(page) ?? new Uint8Array(4096));
      world.run(world.random(5));
    }
    cutting = false;
    world.run(20_000);
    pages.flush();
    expect(world.servers.map((server) => server.pagesHeld)).toEqual([model.size, model.size]);
  }
});

test("with both servers gone a reader waits, and goes on when one is back", async () => {
  const { world, open, events } = remote(9);
  const pages = await open(16);
  for (let page = 0; page < 16; page++) pages.write(page, bytes(page));
  pages.flush();
  for (const server of world.servers) server.stop(false);
  world.after(5000, () => world.servers[1]?.start());
  const before = world.now;
  expect(read(pages, 7)).toEqual(bytes(7));
  expect(world.now - before).toBeGreaterThanOrEqual(5000);
  expect(events.map(({ state }) => state)).toContain("gone");
});

test("pages that both servers have lost are told by name", async () => {
  const { world, open } = remote(11);
  const pages = await open(16);
  for (let page = 0; page < 4; page++) pages.write(page, bytes(page));
  pages.flush();
  for (const server of world.servers) {
    server.stop(true);
    server.start();
  }
  expect(() => read(pages, 2)).toThrow("page 2 is lost");
  pages.write(2, bytes(20));
  expect(read(pages, 2)).toEqual(bytes(20));
});

test("a server that is full keeps what it has, and the other one all", async () => {
  const { world, open, events } = remote(12, { mostPages: 8 });
  const pages = await open(16);
  for (let page = 0; page < 8; page++) pages.write(page, bytes(page));
  pages.flush();
  pages.write(9, bytes(9));
  world.run(2000);
  expect(read(pages, 9)).toEqual(bytes(9));
  expect(events.at(-1)?.text).toMatch(/is full$/);
  pages.punch(0, 1);
  world.run(2000);
  expect(read(pages, 9)).toEqual(bytes(9));
  expect(world.servers.map((server) => server.pagesHeld)).toEqual([8, 8]);
});

test("a server that forgets a page before the other one has it is given it again", () => {
  const world = new World(randomOf(3));
  const replicas = new Replicas({ ...world.replicaOptions(), onEvent: () => {} });
  world.run(100);
  const [one, two] = world.servers as [TestServer, TestServer];
  two.frozen = true;
  replicas.write(3, bytes(3));
  world.until(() => one.pagesHeld === 1);
  world.run(10);
  one.stop(true);
  one.start();
  world.run(500);
  two.thaw();
  world.run(100);
  two.stop(true);
  const found: unknown[] = [];
  replicas.read(3, (page, why) => found.push(page ?? why));
  world.run(100);
  expect([one.pagesHeld, found]).toEqual([1, [bytes(3)]]);
});

test("all is said to be well only when every server has every page", async () => {
  const { world, open, events } = remote(12, { mostPages: 8 });
  const pages = await open(16);
  for (let page = 0; page < 8; page++) pages.write(page, bytes(page));
  pages.flush();
  const [one, two] = world.servers as [TestServer, TestServer];
  two.stop(true);
  two.start(4);
  world.run(5000);
  const target = new Uint8Array(4096);
  pages.read(7, target);
  expect([one.pagesHeld, two.pagesHeld, events.at(-1)?.state]).toEqual([8, 4, "degraded"]);
});

test("a page that was asked for ahead is there without waiting", async () => {
  const { world, open, line } = remote(13);
  const pages = await open(16);
  pages.write(3, bytes(3));
  pages.flush();
  const ready: number[] = [];
  pages.watch((event) => event.type === "ready" && ready.push(event.page));
  expect([pages.begin(3), pages.begin(4)]).toEqual([false, true]);
  while (ready.length === 0) line.wait();
  expect([pages.begin(3), ready]).toEqual([true, [3]]);
  const before = world.now;
  expect(read(pages, 3)).toEqual(bytes(3));
  expect(world.now).toBe(before);
});

test("who does not know the secret is not let in, and the secret is never sent", async () => {
  const world = new World(randomOf(1), { keepWire: true });
  for (const secret of ["guessed", World.secret]) {
    const { service } = world.service(secret);
    const opened = service.open();
    world.run(15_000);
    if (secret === World.secret) await opened;
    else await expect(opened).rejects.toThrow("page server test:0: the client does not know the secret");
  }
  const wire = (world.wire ?? []).map((each) => String.fromCharCode(...each)).join("");
  expect([wire.includes("MVPS"), wire.includes(World.secret), wire.includes("guessed")]).toEqual([true, false, false]);
});

test("pages of a machine that does not come back are dropped in the end", async () => {
  const world = new World(randomOf(14));
  const replicas = new Replicas({ ...world.replicaOptions(), onEvent: () => {} });
  world.run(100);
  replicas.write(3, bytes(3));
  world.run(100);
  replicas.close();
  world.run(World.keepMs - 1000);
  const before = world.servers.map((server) => server.pagesHeld);
  world.run(2000);
  expect([before, world.servers.map((server) => server.pagesHeld)]).toEqual([
    [1, 1],
    [0, 0],
  ]);
});

test("of what is encrypted nothing is on the wire or with the servers in the clear", () => {
  const canaries = 10_000;
  for (const encrypted of [false, true]) {
    const world = new World(randomOf(21), { keepWire: true });
    const pages = world.pages(400);
    const cipher = memoryServices.newCipher?.() as PageCipher;
    const memory = encrypted ? new EncryptedPages(pages, cipher) : pages;
    for (let page = 0; page < 400; page++) {
      const source = bytes(page);
      for (let n = 0; n < 25; n++) source.set(new TextEncoder().encode(`canary ${page * 25 + n} yranac`), 160 * n);
      memory.write(page, source);
    }
    memory.flush();
    const target = new Uint8Array(4096);
    memory.read(399, target);
    expect(new TextDecoder().decode(target.subarray(160 * 24, 160 * 24 + 18))).toBe("canary 9999 yranac");
    const wire = (world.wire ?? []).map((each) => Buffer.from(each).toString("latin1")).join("");
    const found = new Set(wire.match(/canary \d+ yranac/g) ?? []).size;
    expect([encrypted, found]).toEqual([encrypted, encrypted ? 0 : canaries]);
  }
});
