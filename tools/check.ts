/**
 * `npm run check`: format, lint, types (the whole tree, and the core without Node's), layers, unused code.
 *
 * Quiet when all is well; all checks run, whichever fails.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ensureRuntime } from "./build-runtime.ts";
import { checkLayers } from "./layers.ts";

interface Outcome {
  readonly ok: boolean;
  readonly text: string;
}

const bin = fileURLToPath(new URL("../node_modules/.bin/", import.meta.url));

const checks: Readonly<Record<string, () => Promise<Outcome>>> = {
  "format and lint": () => run("biome", "check", "--error-on-warnings", "."),
  types: () => run("tsc", "--project", "."),
  "types of the core": () => run("tsc", "--project", "tsconfig.core.json"),
  "types of the page": () => run("tsc", "--project", "tsconfig.web.json"),
  "types of the page's threads": () => run("tsc", "--project", "tsconfig.web-threads.json"),
  layers: async () => outcome(checkLayers()),
  "unused code": () => run("knip", "--treat-config-hints-as-errors"),
};

const outcome = (lines: readonly string[]): Outcome => ({ ok: lines.length === 0, text: lines.join("\n") });

async function run(command: string, ...args: string[]): Promise<Outcome> {
  const child = spawn(`${bin}${command}`, args, { stdio: ["ignore", "pipe", "pipe"] });
  const text: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk) => text.push(chunk));
  const [status] = (await once(child, "close")) as [number | null];
  return { ok: status === 0, text: text.join("") };
}

// The layout that the runtime is compiled with is generated.
await ensureRuntime();
const started = performance.now();
const results = await Promise.all(Object.entries(checks).map(async ([name, check]) => ({ name, ...(await check()) })));
const failed = results.filter(({ ok }) => !ok);
for (const { name, text } of failed) console.log(`--- ${name}\n${text.trimEnd()}\n`);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(`${results.length - failed.length} of ${results.length} checks passed in ${seconds} s`);
process.exitCode = failed.length > 0 ? 1 : 0;
