/** `image import`: a root disk out of a folder, a tar archive, or an OCI image layout, with the kernel of a prepared image. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, open, readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable, type Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import {
  addOciImage,
  type ByteStream,
  builderVersion,
  type Compression,
  collect,
  DiskTree,
  diskSizeFor,
  ImageError,
  imageReferences,
  type Keep,
  type OciSource,
  type OnProgress,
  type ProgramDefaults,
  streamTar,
} from "#images";
import { cacheFolder, ImageCache, onDisk } from "./cache.ts";
import { decompress } from "./decompress.ts";
import { Spool } from "./disk.ts";
import { type Image, wholeGroups } from "./prepare.ts";
import { openImage } from "./stored.ts";

export interface ImportOptions {
  /** A prepared image, whose kernel and modules the new one has; the default image without a word. */
  readonly kernelImage?: string;
  readonly diskBytes?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  readonly cache?: string;
}

const gib = 2 ** 30;
const leastFreeBytes = gib;
const nothing: ProgramDefaults = { environment: {}, command: [] };

/** Makes an image of that name. `source` is a folder, a tar archive (gzip, zstd, xz or plain), or an OCI layout. */
export async function importImage(name: string, source: string, options: ImportOptions = {}): Promise<Image> {
  checkName(name);
  const { onProgress = () => {}, signal, kernelImage = "debian-12-cloud" } = options;
  const cache = new ImageCache(options.cache ?? cacheFolder());
  const base = await openImage(kernelImage, options.cache === undefined ? {} : { cache: options.cache });
  await using _lock = await cache.lock(onProgress, signal);
  await using spool = await Spool.at(cache.path(`spool.${process.pid}`));
  let doneBytes = 0;
  const keep: Keep = async (body, sizeBytes) => {
    signal?.throwIfAborted();
    const content = await onDisk(cache.folder, () => spool.keep(body, sizeBytes));
    doneBytes += content.sizeBytes;
    onProgress({ phase: "unpack", what: source, doneBytes, totalBytes: 0 });
    return content;
  };
  const tree = new DiskTree();
  const defaults = await fill(tree, source, keep);
  const sizeBytes = wholeGroups(options.diskBytes) ?? Math.max(4 * gib, diskSizeFor(tree, leastFreeBytes));
  const record = {
    reference: name,
    builderVersion,
    kernelVersion: base.kernelVersion,
    extras: [],
    packages: base.packages.filter((each) => /^(linux-image-|busybox)/.test(each.name)),
    imported: { source, kernelImage },
    disk: { sizeBytes, contentBytes: tree.contentBytes, defaults },
  };
  const [kernel, initrd] = await Promise.all([readFile(base.kernelPath), readFile(base.initrdPath)]);
  let written = 0;
  await cache.writeImage(
    name,
    { record, kernel, initrd, root: tree },
    {
      onBytes(count) {
        written += count;
        onProgress({ phase: "write", what: name, doneBytes: written, totalBytes: tree.contentBytes });
      },
    },
  );
  const image = await cache.readImage(name);
  if (!image) throw new ImageError("busy", `the image ${name} was removed while it was imported: try again`);
  return { ...image, name, unchanged: false };
}

function checkName(name: string): void {
  if (!/^[a-z0-9][a-z0-9_.-]{0,63}$/.test(name)) {
    throw new ImageError("unknown-image", `"${name}" cannot be an image's name: small letters, digits, ".", "_", "-"`);
  }
  if (imageReferences.some((each) => each.name === name)) {
    throw new ImageError("unknown-image", `${name} is the name of an image that is prepared: choose another`);
  }
}

async function fill(tree: DiskTree, source: string, keep: Keep): Promise<ProgramDefaults> {
  const found = await stat(source).catch((error: Error) => {
    throw new ImageError("no-source", `${source} cannot be read: ${error.message}`);
  });
  if (!found.isDirectory()) {
    for await (const { header, body } of streamTar(await unpacked(source))) {
      if (header.path !== "") await tree.entry(header, body, keep);
    }
    return nothing;
  }
  const isLayout = await stat(join(source, "index.json")).then(
    async () => (await stat(join(source, "blobs"))).isDirectory(),
    () => false,
  );
  if (isLayout) return addOciImage(tree, new OciLayout(source), keep);
  await addFolder(tree, source, "", keep);
  return nothing;
}

/** All of it belongs to root in the guest: whose it is here means nothing there. */
async function addFolder(tree: DiskTree, folder: string, path: string, keep: Keep): Promise<void> {
  for (const name of (await readdir(folder)).sort()) {
    const [here, there] = [join(folder, name), `${path}${name}`];
    const found = await lstat(here);
    const owner = { mode: found.mode & 0o7777, modified: Math.max(0, Math.floor(found.mtimeMs / 1000)) };
    if (found.isDirectory()) {
      tree.folder(there, owner);
      await addFolder(tree, here, `${there}/`, keep);
    } else if (found.isSymbolicLink()) tree.symlink(there, await readlink(here), owner);
    else if (found.isFile()) tree.file(there, await keep(createReadStream(here), found.size), owner);
  }
}

/** A tar archive by what it begins with. */
async function unpacked(path: string): Promise<ByteStream> {
  const file = await open(path);
  const head = Buffer.alloc(6);
  await file.read(head, 0, 6, 0);
  await file.close();
  const hex = head.toString("hex");
  if (hex.startsWith("fd377a585a00")) return decompress("xz", await readFile(path));
  const compression: Compression = hex.startsWith("1f8b") ? "gzip" : hex.startsWith("28b52ffd") ? "zstd" : "none";
  return through(createReadStream(path), compression);
}

function through(stream: Readable, compression: Compression): ByteStream {
  const unpack: Transform | undefined =
    compression === "gzip" ? createGunzip() : compression === "zstd" ? createZstdDecompress() : undefined;
  if (!unpack) return stream;
  stream.on("error", (error) => unpack.destroy(error));
  return named(stream.pipe(unpack));
}

async function* named(stream: ByteStream): ByteStream {
  try {
    yield* stream;
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError("bad-tree", "this cannot be a root disk: its archive does not unpack", error);
  }
}

/** `index.json` and `blobs/sha256/` in a folder. */
class OciLayout implements OciSource {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async small(digest: string, limitBytes: number): Promise<Uint8Array> {
    const path = digest === "index" ? join(this.#folder, "index.json") : this.#blob(digest);
    const { size } = await stat(path).catch(() => {
      throw missing(digest);
    });
    if (size > limitBytes) throw new ImageError("bad-tree", `${path} is too long for what it should be`);
    return digest === "index" ? readFile(path) : collect(verified(createReadStream(path), digest));
  }

  async *layer(digest: string, compression: Compression): ByteStream {
    const path = this.#blob(digest);
    await stat(path).catch(() => {
      throw missing(digest);
    });
    yield* through(Readable.from(verified(createReadStream(path), digest)), compression);
  }

  #blob(digest: string): string {
    return join(this.#folder, "blobs/sha256", digest.slice("sha256:".length));
  }
}

async function* verified(stream: ByteStream, digest: string): ByteStream {
  const hash = createHash("sha256");
  for await (const piece of stream) {
    hash.update(piece);
    yield piece;
  }
  if (`sha256:${hash.digest("hex")}` !== digest) {
    throw new ImageError("bad-tree", `the blob ${digest} is not what its name says: get the image again`);
  }
}

const missing = (digest: string): ImageError =>
  new ImageError("bad-tree", `the blob ${digest} is not in the layout: get the image again`);
