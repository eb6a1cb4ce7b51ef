/**
 * Looks for what a guest holds in all that leaves the machine's process: the file that its evicted pages go to, snapshots of each kind,
 * what page servers keep, and the bytes on the wire to them. With encryption nothing is to be found; without, the same search finds it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { VirtualMachine } from "#host";
import { table } from "../../bench/table.ts";
import { bundledLibrary } from "../build-bundle.ts";

export interface CanaryOptions {
  readonly image: string;
  readonly count: number;
  /** Of ours, empty. */
  readonly folder: string;
  readonly say: (text: string) => void;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Canaries in bytes that come piece by piece. */
class Finder {
  readonly found = new Set<string>();
  #tail = "";

  see(bytes: Buffer): void {
    const text = this.#tail + bytes.toString("latin1");
    for (const [canary] of text.matchAll(/canary-\d+-yranac/g)) this.found.add(canary);
    this.#tail = text.slice(-40);
  }

  async seeFile(path: string): Promise<void> {
    this.#tail = "";
    for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20 })) this.see(bytes as Buffer);
  }
}

/** A port before another one that sees all that goes through it. */
async function tap(port: number, finders: { readonly out: Finder; readonly back: Finder }): Promise<Server> {
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    near.on("data", (bytes: Buffer) => finders.out.see(bytes));
    far.on("data", (bytes: Buffer) => finders.back.see(bytes));
    near.pipe(far).pipe(near);
    for (const [each, other] of [
      [near, far],
      [far, near],
    ] as const)
      each.on("error", () => other.destroy()).on("close", () => other.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** How many forms hold what they must not, or do not hold what they must. */
export async function soakCanaries({ image, count, folder, say }: CanaryOptions): Promise<number> {
  const { VirtualMachine } = await bundledLibrary();
  const plant = `awk 'BEGIN { for (n = 0; n < ${count}; n++) printf "%-4096s", "canary-" n "-yranac" }' >/tmp/canaries`;
  const sum = async (vm: VirtualMachine): Promise<string> =>
    (await vm.exec("md5sum </tmp/canaries", { timeoutMs: 1_800_000 })).stdout.text();
  const key = join(folder, "key");
  await writeFile(key, "a secret of this soak\n");
  let wrong = 0;

  /** A machine that holds the canaries and has room for few of them: the others are evicted. */
  const withCanaries = async (
    backing: string,
    use: (vm: VirtualMachine, sum: string) => Promise<void>,
  ): Promise<void> => {
    await using vm = await VirtualMachine.start({
      image,
      memoryBytes: 256 << 20,
      memoryBacking: backing,
      memoryLimitBytes: 32 << 20,
    });
    await vm.exec(plant, { timeoutMs: 1_800_000 });
    say(`${backing}: planted`);
    const before = await sum(vm);
    for (let n = 0; ((await vm.stats()).swap?.out ?? 0) < count; n++) {
      if (n > 6000) throw new Error(`${backing}: the pages are not evicted`);
      await pause(100);
    }
    await use(vm, before);
    if ((await sum(vm)) !== before) {
      wrong++;
      say(`${backing}: the guest reads other bytes than it wrote`);
    }
  };

  const inFiles = async (encrypted: boolean): Promise<Map<string, number>> => {
    const forms = new Map<string, number>();
    const own = join(folder, encrypted ? "encrypted" : "plain");
    await mkdir(own);
    const scan = async (form: string, name: string): Promise<void> => {
      const finder = new Finder();
      await finder.seeFile(join(own, name));
      forms.set(form, finder.found.size);
      say(`${own.slice(folder.length + 1)}: ${form}: ${finder.found.size}`);
    };
    const options = encrypted ? { key } : {};
    await withCanaries(`${encrypted ? "encrypted:" : ""}file:${join(own, "backing")}`, async (vm, before) => {
      await scan("the file of evicted pages", "backing");
      const base = join(own, "full");
      await vm.snapshot(base, options);
      await scan("a snapshot", "full");
      await vm.snapshot(join(own, "live"), { ...options, live: true });
      await scan("a live snapshot", "live");
      // All of them are other pages than those of the base.
      await vm.exec("cp /tmp/canaries /tmp/c && mv /tmp/c /tmp/canaries", { timeoutMs: 1_800_000 });
      await vm.snapshot(join(own, "differential"), { ...options, base });
      await scan("a differential snapshot", "differential");
      await using copy = await VirtualMachine.restore(join(own, "differential"), options);
      if ((await sum(copy)) === before) return;
      wrong++;
      say("the restored guest reads other bytes than were written");
    });
    await rm(own, { recursive: true });
    return forms;
  };

  const onTheWire = async (encrypted: boolean): Promise<Map<string, number>> => {
    const out = new Finder();
    const back = new Finder();
    const kept = new Finder();
    const store = join(folder, "store");
    await using server = await startServer(store, key);
    const wire = await tap(server.port, { out, back });
    try {
      const backing = `${encrypted ? "encrypted:" : ""}remote:127.0.0.1:${portOf(wire)},secret=${key}`;
      await withCanaries(backing, async () => {
        const names = await readdir(store, { recursive: true, withFileTypes: true });
        for (const each of names) if (each.isFile()) await kept.seeFile(join(each.parentPath, each.name));
      });
    } finally {
      wire.close();
    }
    return new Map([
      ["what page servers keep", kept.found.size],
      ["the wire to page servers", out.found.size],
      ["the wire back", back.found.size],
    ]);
  };

  const [sealed, open] = [new Map<string, number>(), new Map<string, number>()];
  for (const [encrypted, forms] of [
    [true, sealed],
    [false, open],
  ] as const) {
    for (const look of [inFiles, onTheWire]) for (const [form, found] of await look(encrypted)) forms.set(form, found);
    say(
      `${encrypted ? "encrypted" : "not encrypted"}: ${[...forms].map(([form, found]) => `${form} ${found}`).join(", ")}`,
    );
  }
  for (const [form, found] of sealed) if (found > 0 || (open.get(form) ?? 0) < count / 2) wrong++;
  console.log(
    table([
      [`${count} canaries of a guest, found in`, "encrypted", "not encrypted", "goal"],
      ...[...sealed].map(([form, found]) => [form, `${found}`, `${open.get(form)}`, "0"]),
    ]),
  );
  return wrong;
}

async function startServer(store: string, secret: string): Promise<{ readonly port: number } & AsyncDisposable> {
  const port = await freePort();
  const program = fileURLToPath(new URL("../../bin/memvisor.js", import.meta.url));
  const words = ["page-server", "--listen", `${port}`, "--secret", secret, "--store", store];
  const child: ChildProcess = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout as NodeJS.ReadableStream, "data");
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
      await rm(store, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  server.close();
  await once(server, "close");
  return port;
}
