/** The entry of a thread that ticks. */
import { runTicker, type TickerStart } from "#control";

addEventListener("message", ({ data }: MessageEvent<TickerStart>) => runTicker(data), { once: true });
