/**
 * The entry of a thread that emits compiled code for a machine. One that boots fills much memory at once, sooner than what this thread
 * needs is loaded: touching that memory comes first.
 */
import { enableCompileCache } from "node:module";
import { workerData } from "node:worker_threads";
import type { EmitterSetup } from "#jit";
import { Toucher } from "#memory/ahead";
import { stepBack } from "./priority.ts";

stepBack();
const setup = workerData as EmitterSetup;
const toucher = new Toucher(setup.memory, setup.ahead);
while (toucher.touch()) {}
enableCompileCache();
const { runEmitterThread } = await import("#jit");
runEmitterThread(setup, toucher);
