/** HTTP downloads that stop at a known size, try again, and go on where an earlier one stopped. */
import { open, readFile, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ImageError } from "#images";
import { onDisk, sha256Of } from "./cache.ts";

const attempts = 3;
/** A server that says nothing for so long is given up. */
const silenceMs = 30_000;

export async function downloadSmall(
  url: string,
  limitBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  return withRetries(url, signal, async () => {
    const parts: Uint8Array[] = [];
    let size = 0;
    const found = await get(url, 0, signal, async (part) => {
      size += part.length;
      if (size > limitBytes)
        throw new ImageError("corrupt-index", `${url} is longer than such a file can be: pass another --mirror`);
      parts.push(part);
      return "more";
    });
    return found === "found" ? Buffer.concat(parts) : undefined;
  });
}

/** Downloads to `path` and gives back the bytes, or why not. What is not what was asked for is deleted. */
export async function downloadTo(
  path: string,
  url: string,
  wanted: { sizeBytes: number; sha256: string; onBytes(doneBytes: number): void },
  signal?: AbortSignal,
): Promise<Uint8Array | "absent" | "corrupt"> {
  const resumed = (await sizeOf(path)) > 0;
  const found = await withRetries(url, signal, () => append(path, url, wanted, signal));
  if (found === "absent") return "absent";
  const bytes = await readFile(path);
  await rm(path, { force: true });
  if (bytes.length === wanted.sizeBytes && sha256Of(bytes) === wanted.sha256) return bytes;
  // The part that was there may be what is wrong: then the whole is fetched once more.
  return resumed ? downloadTo(path, url, wanted, signal) : "corrupt";
}

async function append(
  path: string,
  url: string,
  wanted: { sizeBytes: number; onBytes(doneBytes: number): void },
  signal?: AbortSignal,
): Promise<"absent" | "found"> {
  const before = await sizeOf(path);
  if (before >= wanted.sizeBytes && before > 0) return "found";
  await using file = await onDisk(path, () => open(path, "a"));
  let at = before;
  const found = await get(url, before, signal, async (part, restarted) => {
    if (restarted && at === before && before > 0) {
      await file.truncate(0);
      at = 0;
    }
    // One byte too many is enough to know that it is something else.
    const room = wanted.sizeBytes + 1 - at;
    await onDisk(path, () => file.appendFile(part.subarray(0, Math.max(room, 0))));
    at += part.length;
    wanted.onBytes(Math.min(at, wanted.sizeBytes));
    return part.length >= room ? "enough" : "more";
  });
  if (found !== "out of range") return found;
  // What was there is longer than the file, or the file is another by now: begin anew.
  await file.truncate(0);
  throw new Error("the server has another file than before");
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    (each) => each.size,
    () => 0,
  );

/** `restarted`: the server sends from the beginning, whatever was asked for. */
type OnPart = (part: Uint8Array, restarted: boolean) => Promise<"more" | "enough">;

async function get(
  url: string,
  from: number,
  signal: AbortSignal | undefined,
  onPart: OnPart,
): Promise<"absent" | "found" | "out of range"> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error(`no answer for ${silenceMs / 1000} s`)), silenceMs);
  try {
    const response = await fetch(url, {
      headers: from > 0 ? { range: `bytes=${from}-` } : {},
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    });
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      return "absent";
    }
    if (response.status === 416) {
      await response.body?.cancel();
      return "out of range";
    }
    if (!response.ok || !response.body) throw new Error(`the server says ${response.status} ${response.statusText}`);
    for await (const part of response.body) {
      timer.refresh();
      if ((await onPart(part, response.status !== 206)) === "enough") break;
    }
    return "found";
  } finally {
    clearTimeout(timer);
  }
}

async function withRetries<T>(url: string, signal: AbortSignal | undefined, once: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once();
    } catch (error) {
      if (error instanceof ImageError || signal?.aborted) throw error;
      if (attempt === attempts) throw unreachable(url, error);
      await sleep(attempt * 500, undefined, { signal });
    }
  }
}

function unreachable(url: string, error: unknown): ImageError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ImageError("network", `${url} cannot be fetched (${why}): check the network, or pass --mirror URL`, error);
}
