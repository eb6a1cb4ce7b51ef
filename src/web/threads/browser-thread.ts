/** What a thread that runs a machine, or a vCPU of one, has of a browser. */
import type { ThreadHost } from "#control";
import type { FromMachineWorker, Surroundings } from "./thread-messages.ts";

/** The most that one call may ask for (Web Cryptography, "getRandomValues"). */
const mostRandomBytes = 65536;

/** Nanoseconds since the page's own start, the same on all its threads but for the browser's rounding. */
export function clockSince(originMs: number): () => number {
  const shift = performance.timeOrigin - originMs;
  return () => Math.round((shift + performance.now()) * 1e6);
}

/** Fills any memory; the browser's own function refuses shared memory. */
export function fillRandom(target: Uint8Array): void {
  for (let at = 0; at < target.length; at += mostRandomBytes) {
    const piece = new Uint8Array(Math.min(mostRandomBytes, target.length - at));
    target.set(crypto.getRandomValues(piece), at);
  }
}

export async function loadRuntime(): Promise<Uint8Array<ArrayBuffer>> {
  return read(new URL("../../../dist/runtime.wasm", import.meta.url).href);
}

/** A file of the site, from the browser's store where the page has put it there. */
async function read(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = (await stored(url)) ?? (await fetch(url));
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function stored(url: string): Promise<Response | undefined> {
  // Where the browser keeps nothing for this page, asking is an error.
  return await caches.match(url).catch(() => undefined);
}

/** For a machine's thread, whose owner is the page. */
export async function browserThread({ originMs, x86Order }: Surroundings): Promise<ThreadHost> {
  const post = (message: FromMachineWorker): void => postMessage(message);
  return {
    runtimeWasm: await loadRuntime(),
    now: clockSince(originMs),
    random: fillRandom,
    post,
    readFile: read,
    startTicker: (start) => post({ type: "start ticker", start }),
    startEmitter: (start) => post({ type: "start emitter", start }),
    startIo: (start) => post({ type: "start io", start }),
    ...(x86Order && { startVcpu: (start) => post({ type: "start vcpu", start }) }),
  };
}
