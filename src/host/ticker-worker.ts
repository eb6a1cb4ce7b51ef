/** The entry of a thread that ticks. */
import { workerData } from "node:worker_threads";
import { runTicker, type TickerStart } from "#control";

runTicker(workerData as TickerStart);
