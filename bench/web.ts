/**
 * Time to a shell by a boot, in Node and in the page, with the same image: from the start of the process, and from opening the
 * page's address with the image already kept in the browser. Rounds are interleaved, so that a busy host is busy for both.
 *
 *   npm run bench:web -- --rounds 5
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { prepareImage } from "#host/images";
import { defaultImage } from "#images";
import { findChromium, launchChromium } from "../tools/web/chromium.ts";
import { buildSite } from "../tools/web/site.ts";
import { serveSite } from "../tools/web/site-server.ts";
import { median, table } from "./table.ts";

const usage = `npm run bench:web -- [options]
  --image NAME    (default ${defaultImage})
  --rounds N      boots of each (default 5)
  --cpus N        vCPUs (default 1)
  --memory MIB    guest memory (default 512)
Processor time is of all threads and processes until the prompt, where the host tells (Linux).`;

interface Boot {
  readonly seconds: number;
  /** Processor time of all processes that take part; NaN where that cannot be told. */
  readonly cpuSeconds: number;
}

/** The page may take so many times what Node takes. */
const goal = 1.5;
const bootMs = 120_000;
/** Of proc(5). */
const ticksPerSecond = 100;
const prompt = "~ #";

const { values } = parseArgs({
  options: {
    image: { type: "string", default: defaultImage },
    rounds: { type: "string", default: "5" },
    cpus: { type: "string", default: "1" },
    memory: { type: "string", default: "512" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const executable = findChromium();
if (executable === undefined) {
  console.error("there is no Chromium: apt-get install chromium, or name one in CHROMIUM");
  process.exit(1);
}
await prepareImage(values.image);
const folder = await mkdtemp(join(tmpdir(), "memvisor-site-"));
await buildSite(folder, [values.image]);
await using server = await serveSite(folder, 0);
const browser = await launchChromium(executable);
// To look at the page often, a measurement runs code in it that the page itself would refuse.
const page = await browser.newPage({ bypassCSP: true });
const times = { node: [] as Boot[], page: [] as Boot[] };
try {
  // The first visit loads the image, and the browser keeps the page's compiled code after the second.
  for (let n = 0; n < 2; n++) await bootInPage(page);
  for (let round = 1; round <= Number(values.rounds); round++) {
    times.node.push(await bootInNode());
    times.page.push(await bootInPage(page));
    const text = (boot: Boot | undefined): string => `${boot?.seconds.toFixed(2)} s (${boot?.cpuSeconds.toFixed(2)} s)`;
    process.stderr.write(`round ${round}: Node ${text(times.node.at(-1))}, page ${text(times.page.at(-1))}\n`);
  }
} finally {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
}

const seconds = (value: number): string => (Number.isNaN(value) ? "-" : `${value.toFixed(2)} s`);
const row = (name: string, boots: readonly Boot[]): string[] => {
  const walls = boots.map((boot) => boot.seconds);
  const cpu = median(boots.map((boot) => boot.cpuSeconds));
  return [name, ...[median(walls), Math.min(...walls), Math.max(...walls), cpu].map(seconds)];
};
const ratioOf = (what: (boots: readonly Boot[]) => number): number => what(times.page) / what(times.node);
console.log(`${values.image}, ${values.memory} MiB, ${values.cpus} vCPUs: to the shell's first prompt`);
const head = ["", "median", "best", "worst", "processor time"];
console.log(table([head, row("Node", times.node), row("Chromium", times.page)]));
const ratio = ratioOf((boots) => median(boots.map((boot) => boot.seconds)));
const best = ratioOf((boots) => Math.min(...boots.map((boot) => boot.seconds)));
const cpu = ratioOf((boots) => median(boots.map((boot) => boot.cpuSeconds)));
console.log(
  `the page takes ${ratio.toFixed(2)} times Node's time (best of each ${best.toFixed(2)}, processor time ${cpu.toFixed(2)}); the goal is ${goal}`,
);
process.exit(ratio <= goal ? 0 : 1);

async function bootInNode(): Promise<Boot> {
  const cpuBefore = cpuOfChildren();
  const started = performance.now();
  const script = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
  const options = ["--cold", "--cpus", values.cpus, "--memory", `${values.memory}M`];
  const child = spawn(process.execPath, [script, "run", values.image, ...options], {
    stdio: ["pipe", "pipe", "inherit"],
    timeout: bootMs,
  });
  let text = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    text += chunk as string;
    if (text.includes(prompt)) break;
  }
  const took = { seconds: (performance.now() - started) / 1000, cpuSeconds: cpuSince(cpuBefore) };
  child.kill("SIGTERM");
  if (child.exitCode === null) await once(child, "exit");
  if (!text.includes(prompt)) throw new Error(`no shell in Node:\n${text}`);
  return took;
}

async function bootInPage(on: Page): Promise<Boot> {
  await on.goto("about:blank");
  const cpuBefore = cpuOfChildren();
  const started = performance.now();
  await on.goto(`${server.url}?start&image=${values.image}&memory=${values.memory}&cpus=${values.cpus}`);
  await on.waitForFunction(
    `document.querySelector(".xterm-rows")?.textContent.includes(${JSON.stringify(prompt)})`,
    undefined,
    { timeout: bootMs },
  );
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: cpuSince(cpuBefore) };
}

/** What processes had that live now; of one that has ended meanwhile nothing is known. */
function cpuSince(before: ReadonlyMap<number, number>): number {
  const now = [...cpuOfChildren()];
  if (now.length === 0) return Number.NaN;
  return now.reduce((sum, [pid, ticks]) => sum + ticks - (before.get(pid) ?? 0), 0) / ticksPerSecond;
}

/** Ticks of processor time of this process's children, theirs, and so on (Linux, proc(5)); empty where nobody tells. */
function cpuOfChildren(): ReadonlyMap<number, number> {
  const all = new Map<number, { parent: number; ticks: number }>();
  if (!existsSync("/proc/self/stat")) return new Map();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // The second field is a name that may hold anything; counting begins behind it.
    const fields = statOf(name).split(") ").pop()?.split(" ") ?? [];
    all.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
  }
  const isOurs = (pid: number): boolean => {
    const parent = all.get(pid)?.parent ?? 0;
    return parent === process.pid || (parent > 1 && isOurs(parent));
  };
  return new Map([...all].filter(([pid]) => isOurs(pid)).map(([pid, { ticks }]) => [pid, ticks]));
}

/** Empty when the process has ended meanwhile. */
function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return "";
  }
}
