/** The entry of a thread that emits compiled code for a machine. */
import { enableCompileCache } from "node:module";
import { workerData } from "node:worker_threads";
import type { EmitterSetup } from "#jit";

enableCompileCache();
const { runEmitterThread } = await import("#jit");
runEmitterThread(workerData as EmitterSetup);
