/**
 * Time to a shell, in Node and in the page, with the same image: from the start of the process, and from opening the page's
 * address with the image already kept in the browser. Rounds are interleaved, so that a busy host is busy for both.
 *
 *   npm run bench:web -- --rounds 5
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
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
  --memory MIB    guest memory (default 512)`;

/** The page may take so many times what Node takes. */
const goal = 1.5;
const bootMs = 120_000;
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
const times = { node: [] as number[], page: [] as number[] };
try {
  // The first visit loads the image, and the browser keeps the page's compiled code after the second.
  for (let n = 0; n < 2; n++) await bootInPage(page);
  for (let round = 1; round <= Number(values.rounds); round++) {
    times.node.push(await bootInNode());
    times.page.push(await bootInPage(page));
    const [node, inPage] = [times.node.at(-1), times.page.at(-1)];
    process.stderr.write(`round ${round}: Node ${node?.toFixed(2)} s, page ${inPage?.toFixed(2)} s\n`);
  }
} finally {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
}

const seconds = (value: number): string => `${value.toFixed(2)} s`;
const row = (name: string, list: readonly number[]): string[] => [
  name,
  ...[median(list), Math.min(...list), Math.max(...list)].map(seconds),
];
console.log(`${values.image}, ${values.memory} MiB, ${values.cpus} vCPUs: to the shell's first prompt`);
console.log(table([["", "median", "best", "worst"], row("Node", times.node), row("Chromium", times.page)]));
const ratio = median(times.page) / median(times.node);
const best = Math.min(...times.page) / Math.min(...times.node);
console.log(
  `the page takes ${ratio.toFixed(2)} times Node's time (best of each: ${best.toFixed(2)}); the goal is ${goal}`,
);
process.exit(ratio <= goal ? 0 : 1);

async function bootInNode(): Promise<number> {
  const started = performance.now();
  const script = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
  const options = ["--cpus", values.cpus, "--memory", `${values.memory}M`];
  const child = spawn(process.execPath, [script, "run", values.image, ...options], {
    stdio: ["pipe", "pipe", "inherit"],
    timeout: bootMs,
  });
  let text = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    text += chunk as string;
    if (text.includes(prompt)) break;
  }
  const took = (performance.now() - started) / 1000;
  child.kill("SIGTERM");
  if (child.exitCode === null) await once(child, "exit");
  if (!text.includes(prompt)) throw new Error(`no shell in Node:\n${text}`);
  return took;
}

async function bootInPage(on: Page): Promise<number> {
  await on.goto("about:blank");
  const started = performance.now();
  await on.goto(`${server.url}?start&image=${values.image}&memory=${values.memory}&cpus=${values.cpus}`);
  await on.waitForFunction(
    `document.querySelector(".xterm-rows")?.textContent.includes(${JSON.stringify(prompt)})`,
    undefined,
    { timeout: bootMs },
  );
  return (performance.now() - started) / 1000;
}
