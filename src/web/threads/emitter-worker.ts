/** The entry of a thread that emits compiled code for a machine. */
import { type EmitterSetup, runEmitterThread } from "#jit";

addEventListener("message", ({ data }: MessageEvent<EmitterSetup>) => runEmitterThread(data), { once: true });
