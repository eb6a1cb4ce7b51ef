/**
 * Looks for what losing page servers could break: one of two is killed again and again under a guest whose pages are evicted to them at
 * random, and which verifies its memory; in the end both, and one comes back.
 *
 *   npm run soak:remote -- --kills 100
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { VirtualMachine } from "#host";
import { freePort } from "./soak/canaries.ts";

const usage = `npm run soak:remote -- [options]
  --kills N       how often one of the two servers is killed (default 100)
  --encrypted     what goes to the servers is encrypted, and looked through for what the guest holds
  --image NAME    default debian-12-cloud
  --seed N        of what is evicted, and who is killed when (default 1)`;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "100" },
    encrypted: { type: "boolean", default: false },
    image: { type: "string", default: "debian-12-cloud" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", short: "h" },
  },
});

/** Files in the guest's memory, made anew all the time; each begins with its canary, and its name is its checksum. */
const writer = `mkdir -p /tmp/w; cd /tmp/w; n=0
while :; do
  n=$((n+1))
  { echo canary-$n-yranac; head -c $((n * 7919 % 900000)) /dev/urandom; } >.new
  mv .new $n.$(md5sum <.new | cut -c1-32)
  rm -f $((n-20)).*
done`;
const verifier = `cd /tmp/w; good=0
for f in *.*; do
  [ "$(md5sum <$f 2>/dev/null | cut -c1-32)" = "\${f#*.}" ] && good=$((good+1)) || { [ -e $f ] && echo "wrong: $f"; }
done
echo good $good`;

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

let random = Number(values.seed) || 1;
/** A number from 0 to 1 (xorshift32). */
function next(): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) / 2 ** 32;
}

/** A page server in a process of its own, that keeps its pages in a folder so that a kill need not lose them. */
class Server {
  readonly port: number;
  readonly #folder: string;
  readonly #secret: string;
  #process: ChildProcess | undefined;

  constructor(port: number, folder: string, secret: string) {
    this.port = port;
    this.#folder = folder;
    this.#secret = secret;
  }

  async start(): Promise<void> {
    const program = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
    const words = ["--listen", `${this.port}`, "--secret", this.#secret, "--store", this.#folder];
    const child = spawn(process.execPath, [program, "page-server", ...words], { stdio: ["ignore", "pipe", "ignore"] });
    this.#process = child;
    await once(child.stdout, "data");
  }

  /** `forget`: and what it kept is gone. */
  async kill(forget: boolean): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    child.kill("SIGKILL");
    await once(child, "exit");
    if (forget) await rm(this.#folder, { recursive: true, force: true });
  }
}

/** How much went wrong. */
async function soak(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "memvisor-soak-remote-"));
  const secret = join(folder, "secret");
  await writeFile(secret, `${Math.random()}\n`);
  const servers = await Promise.all(
    [0, 1].map(async (n) => new Server(await freePort(), join(folder, `${n}`), secret)),
  );
  try {
    for (const server of servers) await server.start();
    const places = servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
    const backing = `remote:${places},secret=${secret}`;
    await using vm = await VirtualMachine.start({
      image: values.image,
      memoryBytes: 256 << 20,
      memoryBacking: values.encrypted ? `encrypted:${backing}` : backing,
      evictionSeed: Number(values.seed),
    });
    return await underKills(vm, servers, folder);
  } finally {
    for (const server of servers) await server.kill(true);
    await rm(folder, { recursive: true, force: true });
  }
}

async function underKills(vm: VirtualMachine, servers: readonly Server[], folder: string): Promise<number> {
  let state = "";
  const events = { gone: 0, whole: 0 };
  vm.onReport((_, lines) => {
    for (const line of lines.filter((each) => each.includes("page server"))) {
      state = line;
      if (line.includes("all page servers have all pages")) events.whole++;
      if (line.includes("no page server is there")) events.gone++;
    }
  });
  await vm.spawn("sh", ["-c", writer]);
  let wrong = 0;
  let verified = 0;
  const verify = async (): Promise<void> => {
    const { stdout } = await vm.exec(verifier);
    const lines = stdout.text().trim().split("\n");
    for (const line of lines.filter((each) => each.startsWith("wrong"))) {
      wrong++;
      say(line);
    }
    verified += Number(lines.at(-1)?.split(" ")[1] ?? 0);
  };
  const untilWhole = async (before: number): Promise<void> => {
    for (let n = 0; events.whole === before; n++) {
      if (n === 6000) throw new Error(`the servers do not become whole again: ${state}`);
      await pause(20);
    }
  };
  const kills = Number(values.kills);
  for (let n = 1; n <= kills; n++) {
    const victim = servers[Math.floor(next() * servers.length)] as Server;
    // Half of the time it has lost all, half of the time it finds again what it kept.
    await victim.kill(next() < 0.5);
    await pause(next() * 300);
    if (n % 5 === 0) await verify();
    const before = events.whole;
    await victim.start();
    await untilWhole(before);
    if (n % 10 === 0) say(`${n} kills, ${verified} files verified, ${wrong} wrong`);
  }
  await verify();
  wrong += await bothGone(vm, servers, () => events.gone);
  await verify();
  const { swap } = await vm.stats();
  if (values.encrypted) wrong += await scan(folder);
  say(
    `${kills} kills and both gone once: ${verified} files verified, ${wrong} wrong; out ${swap?.out ?? 0} pages, back ${swap?.in ?? 0}`,
  );
  return wrong;
}

/** Both servers are killed: the guest stands still, says so, and goes on when one of them is back. */
async function bothGone(vm: VirtualMachine, servers: readonly Server[], gone: () => number): Promise<number> {
  const before = gone();
  for (const server of servers) await server.kill(false);
  let answered = false;
  const answer = vm.exec(verifier).then(() => {
    answered = true;
  });
  await pause(5000);
  let wrong = 0;
  if (answered) say("the guest ran on without page servers: it needed no page of theirs");
  else if (gone() === before) wrong++;
  await (servers[1] as Server).start();
  await answer;
  await (servers[0] as Server).start();
  say(`both gone: the guest ${answered ? "went on" : "stood still for ever"} with one back`);
  return wrong;
}

/** What the servers keep holds nothing that the guest's files begin with. */
async function scan(folder: string): Promise<number> {
  const found = spawn("grep", ["-r", "-c", "-a", "--binary-files=text", "canary-[0-9]*-yranac", folder]);
  let text = "";
  for await (const bytes of found.stdout) text += String(bytes);
  const count = text
    .split("\n")
    .map((line) => Number(line.split(":").at(-1) ?? 0))
    .reduce((a, b) => a + b, 0);
  say(`${count} canaries in what the servers keep`);
  return count;
}

if (values.help) console.log(usage);
else process.exitCode = (await soak()) === 0 ? 0 : 1;
