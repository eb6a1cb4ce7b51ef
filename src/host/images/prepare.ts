/** The image store's doors: prepare, list, open and remove images. */
import { readFile } from "node:fs/promises";
import {
  builderVersion,
  buildImage,
  type DebianArchive,
  ImageError,
  type ImageRecord,
  type ImageReference,
  imageReferences,
  isCurrent,
  type OnProgress,
  parseReference,
} from "#images";
import { agentFile } from "../package-files.ts";
import { AptSource, hasApt } from "./apt.ts";
import { chooseArchives, chooseKeyring } from "./archives.ts";
import { cacheFolder, ImageCache, type StoredImage } from "./cache.ts";
import { decompress } from "./decompress.ts";
import { RepositorySource } from "./repository-source.ts";

export interface PrepareOptions {
  /** Address of a Debian mirror; else MEMVISOR_MIRROR, else what the host's apt uses. */
  readonly mirror?: string;
  /** File with the archive's public keys; else the host's own. */
  readonly keyring?: string;
  /** Packages to put in besides; those that the image has already stay. */
  readonly with?: readonly string[];
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  readonly cache?: string;
  /** Through the host's apt or by our own client; without a word, apt where there is one. */
  readonly through?: "apt" | "http";
}

export interface Image extends StoredImage {
  readonly name: string;
  /** Whether it was there already, made of the packages that the archive has today. */
  readonly unchanged: boolean;
}

export interface ListedImage {
  readonly reference: ImageReference;
  /** What is known of it, if it is prepared. */
  readonly image?: StoredImage;
}

export async function prepareImage(name: string, options: PrepareOptions = {}): Promise<Image> {
  const reference = parseReference(name);
  const cache = new ImageCache(options.cache ?? cacheFolder());
  try {
    return await prepare(reference, cache, options);
  } catch (error) {
    if (options.signal?.aborted)
      throw new ImageError("cancelled", `${name} was not prepared: it was interrupted`, error);
    throw error;
  }
}

export async function listImages(options: { cache?: string } = {}): Promise<ListedImage[]> {
  const cache = new ImageCache(options.cache ?? cacheFolder());
  return Promise.all(
    imageReferences.map(async (reference) => {
      const image = await cache.readImage(reference.name);
      return image ? { reference, image } : { reference };
    }),
  );
}

export async function openImage(name: string, options: { cache?: string } = {}): Promise<StoredImage> {
  const reference = parseReference(name);
  const cache = new ImageCache(options.cache ?? cacheFolder());
  const image = await cache.readImage(reference.name);
  if (image !== undefined && image.builderVersion !== builderVersion)
    throw new ImageError(
      "not-prepared",
      `${name} was prepared by another version: run "memvisor image prepare ${name}"`,
    );
  if (image?.unpacked) return image;
  if (image) return (await unpacked(cache, reference.name)) ?? image;
  throw new ImageError("not-prepared", `the image ${name} is not here yet: run "memvisor image prepare ${name}"`);
}

/** The image with its kernel unpacked; undefined where that cannot be: then every machine unpacks it for itself. */
async function unpacked(cache: ImageCache, name: string): Promise<StoredImage | undefined> {
  try {
    await using _lock = await cache.lock(() => {});
    await cache.unpackKernelOf(name);
    return await cache.readImage(name);
  } catch {
    return undefined;
  }
}

/** Whether there was one to remove. Downloads that no other image is made of go too. */
export async function removeImage(name: string, options: { cache?: string } = {}): Promise<boolean> {
  const reference = parseReference(name);
  const cache = new ImageCache(options.cache ?? cacheFolder());
  await using _lock = await cache.lock(() => {});
  const removed = await cache.removeImage(reference.name);
  await cache.dropUnusedPackages();
  return removed;
}

async function prepare(reference: ImageReference, cache: ImageCache, options: PrepareOptions): Promise<Image> {
  const { signal, onProgress = () => {} } = options;
  const archives = await chooseArchives(reference, options);
  const keyring = await chooseKeyring(options);
  await using _lock = await cache.lock(onProgress, signal);
  const source = await chooseSource(cache, archives, keyring, options);
  const index = await source.refresh(reference, onProgress);
  signal?.throwIfAborted();

  const old = await cache.readImage(reference.name);
  const extras = [...new Set([...(old?.extras ?? []), ...(options.with ?? [])])].sort();
  if (old && isCurrent(old, reference, extras, index)) return { ...old, name: reference.name, unchanged: true };

  const agent = await readFile(agentFile());
  const built = await buildImage(reference, extras, { source, index, decompress, agent, onProgress });
  signal?.throwIfAborted();
  const totalBytes = built.kernel.length + built.initrd.length;
  onProgress({ phase: "write", what: reference.name, doneBytes: 0, totalBytes });
  await cache.writeImage(reference.name, built);
  onProgress({ phase: "write", what: reference.name, doneBytes: totalBytes, totalBytes });
  return { ...(await written(cache, built.record)), name: reference.name, unchanged: false };
}

async function chooseSource(
  cache: ImageCache,
  archives: readonly DebianArchive[],
  keyring: string,
  options: PrepareOptions,
): Promise<AptSource | RepositorySource> {
  const settings = { archives, keyring, ...(options.signal && { signal: options.signal }) };
  const throughApt = options.through ? options.through === "apt" : await hasApt();
  return throughApt ? new AptSource(cache, settings) : new RepositorySource(cache, settings);
}

async function written(cache: ImageCache, record: ImageRecord): Promise<StoredImage> {
  const image = await cache.readImage(record.reference);
  if (!image)
    throw new ImageError("busy", `the image ${record.reference} was removed while it was prepared: try again`);
  return image;
}
