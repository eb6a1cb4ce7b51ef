/** Images are prepared: what a Debian archive has becomes an image in the store. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  type BuiltImage,
  buildImage,
  type DebianArchive,
  diskSizeFor,
  groupBytes,
  ImageError,
  type ImageRecord,
  type ImageReference,
  isCurrent,
  type OnProgress,
  parseReference,
  type Wish,
} from "#images";
import { agentFile } from "../package-files.ts";
import { AptSource, hasApt } from "./apt.ts";
import { chooseArchives, chooseKeyring } from "./archives.ts";
import { cacheFolder, ImageCache, type StoredImage } from "./cache.ts";
import { configureDisk } from "./configure.ts";
import { decompress } from "./decompress.ts";
import { Spool } from "./disk.ts";
import { RepositorySource } from "./repository-source.ts";

const gib = 2 ** 30;
const defaultDiskBytes = 4 * gib;
const leastFreeBytes = gib;
const md5Of = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

export interface PrepareOptions {
  /** Address of a Debian mirror; else MEMVISOR_MIRROR, else what the host's apt uses. */
  readonly mirror?: string;
  /** File with the archive's public keys; else the host's own. */
  readonly keyring?: string;
  /** Packages to put in besides; those that the image has already stay. The image then has a whole Debian on a root disk. */
  readonly with?: readonly string[];
  /** Puts those packages into memory with the kernel instead: only what their programs are linked against, and no disk. */
  readonly inMemory?: boolean;
  /** Of the root disk; without a word 4 GiB, or more where that is too little. It takes only what is written to it. */
  readonly diskBytes?: number;
  /**
   * Whether the packages' own scripts run, in a machine with the new disk: a minute or two. Without, programs are there, but
   * what scripts make is not (alternatives, certificates, users); `dpkg --configure -a` in the guest makes up for it.
   */
  readonly configure?: boolean;
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

async function prepare(reference: ImageReference, cache: ImageCache, options: PrepareOptions): Promise<Image> {
  const { signal, onProgress = () => {} } = options;
  const archives = await chooseArchives(reference, options);
  const keyring = await chooseKeyring(options);
  await using _lock = await cache.lock(onProgress, signal);
  const source = await chooseSource(cache, archives, keyring, options);
  const index = await source.refresh(reference, onProgress);
  signal?.throwIfAborted();

  const old = await cache.readImage(reference.name);
  const wish = wishOf(old, options);
  const sizeFits = options.diskBytes === undefined || wholeGroups(options.diskBytes) === old?.disk?.sizeBytes;
  const isConfigured = !wish.disk || options.configure === false || old?.disk?.configured === true;
  if (old && sizeFits && isConfigured && isCurrent(old, reference, wish, index)) {
    return { ...old, name: reference.name, unchanged: true };
  }

  await using spool = await Spool.at(cache.path(`spool.${process.pid}`));
  const agent = await readFile(agentFile());
  const workshop = { source, index, decompress, agent, keep: spool.keep, md5: md5Of, onProgress };
  const built = withDisk(await buildImage(reference, wish, workshop), options);
  signal?.throwIfAborted();
  await write(cache, reference, built, options);
  return { ...(await written(cache, built.record)), name: reference.name, unchanged: false };
}

/** What an image is to have: what it has, and what is asked for. */
function wishOf(old: ImageRecord | undefined, { with: wanted = [], inMemory }: PrepareOptions): Wish {
  const extras = [...new Set([...(old?.extras ?? []), ...wanted])].sort();
  return {
    extras,
    disk: inMemory === undefined && old ? old.disk !== undefined || wanted.length > 0 : !inMemory && extras.length > 0,
  };
}

export const wholeGroups = (bytes: number | undefined): number | undefined =>
  bytes === undefined ? undefined : Math.max(2, Math.ceil(bytes / groupBytes)) * groupBytes;

function withDisk(built: BuiltImage, options: PrepareOptions): BuiltImage {
  if (!built.root) return built;
  const sizeBytes =
    wholeGroups(options.diskBytes) ?? Math.max(defaultDiskBytes, diskSizeFor(built.root, leastFreeBytes));
  const configured = options.configure !== false;
  return {
    ...built,
    record: { ...built.record, disk: { sizeBytes, contentBytes: built.root.contentBytes, configured } },
  };
}

async function write(
  cache: ImageCache,
  reference: ImageReference,
  built: BuiltImage,
  { onProgress = () => {}, configure, signal }: PrepareOptions,
): Promise<void> {
  const totalBytes = built.kernel.length + built.initrd.length + (built.root?.contentBytes ?? 0);
  let doneBytes = 0;
  const report = (): void => onProgress({ phase: "write", what: reference.name, doneBytes, totalBytes });
  report();
  await cache.writeImage(reference.name, built, {
    onBytes(count) {
      doneBytes += count;
      report();
    },
    ...(configure !== false && {
      finishDisk: (folder) => configureDisk(folder, built.record.packages.length, onProgress, signal),
    }),
  });
  doneBytes = totalBytes;
  report();
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
