/** The entry of a machine's thread: builds the machine it was given, runs it, and starts it anew after a reset. */
import { parentPort, workerData } from "node:worker_threads";
import type { MachineStart } from "#control";
import { Machine } from "#vm";
import { runMachineThread } from "./machine-thread.ts";

if (parentPort) runMachineThread(workerData as MachineStart, parentPort, (config, host) => new Machine(config, host));
