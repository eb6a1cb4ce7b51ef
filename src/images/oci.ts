/**
 * An OCI image as files: `index.json` names a manifest, that a configuration and layers, all by the SHA-256 of what they hold (OCI
 * Image Format Specification, "image-layout", "manifest", "config", "layer").
 *
 * Law: nothing of a blob is used whose checksum is not the one that it was asked for by, and none is larger than it is said to be.
 * A layer lies over those before it: `.wh.NAME` takes NAME away, `.wh..wh..opq` all that a folder had from below.
 */
import type { ByteStream } from "./archive/byte-source.ts";
import type { Compression } from "./archive/deb.ts";
import { streamTar } from "./archive/tar.ts";
import type { ProgramDefaults } from "./build.ts";
import type { Keep } from "./debian/root-tree.ts";
import type { DiskTree } from "./disk/disk-tree.ts";
import { ImageError } from "./image-error.ts";

export interface OciSource {
  /** `index.json`, or a blob: at most `limitBytes`, refused when its checksum is not that. */
  small(digest: string | "index", limitBytes: number): Promise<Uint8Array>;
  /** A layer, unpacked as it is read; fails at its end when its checksum is another. */
  layer(digest: string, compression: Compression): ByteStream;
}

const largestDocument = 4 << 20;
const mostLayers = 512;
const mostIndexes = 4;

interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly platform?: { readonly os?: string; readonly architecture?: string };
}

/** Adds all layers to the tree; gives back how the image wants its program started. */
export async function addOciImage(tree: DiskTree, source: OciSource, keep: Keep): Promise<ProgramDefaults> {
  const manifest = await manifestOf(source);
  const layers = listOf(manifest.layers, "its manifest has no layers").map(descriptorOf);
  if (layers.length > mostLayers) throw broken(`it has ${layers.length} layers`);
  for (const layer of layers) {
    await addLayer(tree, source.layer(layer.digest, compressionOf(layer.mediaType ?? "")), keep);
  }
  return defaultsOf(await document(source, descriptorOf(manifest.config).digest));
}

/** The manifest for this machine's kind of guest, by way of indexes that name other indexes. */
async function manifestOf(source: OciSource): Promise<Record<string, unknown>> {
  let found = await document(source, "index");
  for (let depth = 0; Array.isArray(found.manifests); depth++) {
    if (depth === mostIndexes) throw broken("its indexes name each other");
    const all = found.manifests.map(descriptorOf);
    const fits = ({ platform }: Descriptor): boolean =>
      !platform || (platform.os === "linux" && platform.architecture === "amd64");
    const chosen = all.find((each) => each.platform && fits(each)) ?? all.find(fits);
    if (!chosen) throw broken("it is not for linux/amd64");
    found = await document(source, chosen.digest);
  }
  return found;
}

/** A layer's whiteouts are about what is below it: its own files stay, wherever in it they stand. */
async function addLayer(tree: DiskTree, layer: ByteStream, keep: Keep): Promise<void> {
  const own = new Set<string>();
  for await (const { header, body } of streamTar(layer)) {
    const { path } = header;
    const slash = path.lastIndexOf("/");
    const folder = path.slice(0, slash + 1);
    const name = path.slice(slash + 1);
    if (name === ".wh..wh..opq") {
      for (const each of tree.names(folder)) if (!own.has(folder + each)) tree.remove(folder + each);
    } else if (name.startsWith(".wh.")) {
      const hidden = folder + name.slice(".wh.".length);
      if (!own.has(hidden)) tree.remove(hidden);
    } else if (path === "") tree.folder("", header.kind === "directory" ? { mode: header.mode } : {});
    else {
      await tree.entry(header, body, keep);
      for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) own.add(path.slice(0, end));
    }
  }
}

function defaultsOf(document: Record<string, unknown>): ProgramDefaults {
  const config = recordOf(document.config ?? {}, "its configuration is none");
  const texts = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
  const variables = texts(config.Env).flatMap((each) => {
    const equals = each.indexOf("=");
    return equals > 0 ? [[each.slice(0, equals), each.slice(equals + 1)] as const] : [];
  });
  return {
    environment: Object.fromEntries(variables),
    ...(typeof config.WorkingDir === "string" && config.WorkingDir !== "" && { folder: config.WorkingDir }),
    ...(typeof config.User === "string" && config.User !== "" && { user: config.User }),
    command: [...texts(config.Entrypoint), ...texts(config.Cmd)],
  };
}

async function document(source: OciSource, digest: string): Promise<Record<string, unknown>> {
  const bytes = await source.small(digest, largestDocument);
  try {
    return recordOf(JSON.parse(new TextDecoder().decode(bytes)), "a document in it is no object");
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw broken("a document in it is no JSON");
  }
}

function descriptorOf(value: unknown): Descriptor {
  const { digest, mediaType, platform } = recordOf(value, "a descriptor in it is none");
  if (typeof digest !== "string" || !/^sha256:[0-9a-f]{64}$/.test(digest)) throw broken("a descriptor has no SHA-256");
  return {
    digest,
    ...(typeof mediaType === "string" && { mediaType }),
    ...(platform !== undefined && { platform: recordOf(platform, "a platform in it is none") }),
  };
}

function compressionOf(mediaType: string): Compression {
  if (/[+.]gzip$/.test(mediaType)) return "gzip";
  if (/\+zstd$/.test(mediaType)) return "zstd";
  if (/\.tar$/.test(mediaType)) return "none";
  throw broken(`a layer is of the type ${JSON.stringify(mediaType)}, which is not known here`);
}

function recordOf(value: unknown, why: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw broken(why);
  return value as Record<string, unknown>;
}

function listOf(value: unknown, why: string): unknown[] {
  if (!Array.isArray(value)) throw broken(why);
  return value;
}

const broken = (why: string): ImageError =>
  new ImageError("bad-tree", `this is no OCI image that can be imported: ${why}`);
