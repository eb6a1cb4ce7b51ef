/**
 * The files of images, kept in the browser once they were downloaded.
 *
 * Law: what is in the store was whole and had its checksum; a page that is closed in mid-download leaves nothing there.
 */
import type { BootFiles, FileSource } from "#control";
import {
  filesOf,
  manifestPath,
  parseManifest,
  type SiteFile,
  type SiteImage,
  type SiteManifest,
} from "./site-manifest.ts";

const storeName = "memvisor-images";

export interface DownloadProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export async function loadManifest(): Promise<SiteManifest> {
  const response = await fetch(manifestPath, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${manifestPath}: ${response.status} ${response.statusText}`);
  return parseManifest(await response.json());
}

/** What a machine boots of `image`, downloaded where it is not kept already. */
export async function bootFilesOf(
  image: SiteImage,
  onProgress: (progress: DownloadProgress) => void,
  signal: AbortSignal,
): Promise<BootFiles> {
  const store = await openStore();
  const files = filesOf(image);
  const done = new Map(files.map((file) => [file, 0]));
  const totalBytes = files.reduce((sum, file) => sum + file.packedBytes, 0);
  const load = (file: SiteFile): Promise<FileSource> =>
    sourceOf(file, store, signal, (share) => {
      done.set(file, share * file.packedBytes);
      onProgress({ doneBytes: [...done.values()].reduce((sum, each) => sum + each, 0), totalBytes });
    });
  const [kernel, initrd, setupHeader] = await Promise.all([
    load(image.kernel),
    load(image.initrd),
    image.setupHeader && load(image.setupHeader),
  ]);
  return { kernel, initrd, ...(setupHeader !== undefined && { setupHeader }) };
}

/** Deletes files that no image of the site has any more. */
export async function dropUnused({ images }: SiteManifest): Promise<void> {
  const store = await openStore();
  if (store === undefined) return;
  const used = new Set(images.flatMap((image) => filesOf(image).map(urlOf)));
  for (const { url } of await store.keys()) if (!used.has(url)) await store.delete(url);
}

/** The address under which a machine's thread finds it, or its bytes, where the browser keeps nothing. */
async function sourceOf(
  file: SiteFile,
  store: Cache | undefined,
  signal: AbortSignal,
  onDone: (share: number) => void,
): Promise<FileSource> {
  const url = urlOf(file);
  if (store !== undefined && (await store.match(url)) !== undefined) {
    onDone(1);
    return url;
  }
  const bytes = await download(file, url, signal, onDone);
  if (store === undefined) return bytes;
  try {
    await store.put(url, new Response(bytes, { headers: { "Content-Type": "application/octet-stream" } }));
    return url;
  } catch {
    // No room: the machine runs without.
    return bytes;
  }
}

/** Unpacked while it comes. */
async function download(
  file: SiteFile,
  url: string,
  signal: AbortSignal,
  onDone: (share: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url, { signal });
  if (!response.ok || response.body === null) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const bytes = new Uint8Array(file.sizeBytes);
  let done = 0;
  for await (const chunk of chunksOf(response.body.pipeThrough(new DecompressionStream("gzip")))) {
    if (done + chunk.length > bytes.length) throw new Error(`${url}: longer than the site's manifest says`);
    bytes.set(chunk, done);
    done += chunk.length;
    onDone(done / bytes.length);
  }
  if (done !== bytes.length) throw new Error(`${url}: ends after ${done} of ${bytes.length} bytes`);
  if ((await sha256(bytes)) !== file.sha256) throw new Error(`${url}: its checksum is not that of the site's manifest`);
  return bytes;
}

/** Not every browser iterates over streams by itself. */
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const urlOf = (file: SiteFile): string => new URL(file.path, document.baseURI).href;

/** Private windows of some browsers have none. */
async function openStore(): Promise<Cache | undefined> {
  return await caches.open(storeName).catch(() => undefined);
}
