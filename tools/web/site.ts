/**
 * The page as a folder of static files: what vite makes of `src/web/`, and the images with their manifest.
 *
 * Files whose names hold a checksum never change; index.html and the manifest are the others.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip as gzipWithCallback } from "node:zlib";
import { build } from "vite";
import { openImage } from "#host/images";
import { imageReferences } from "#images";
import { manifestPath, type SiteFile, type SiteImage, type SiteManifest } from "../../src/web/machine/site-manifest.ts";
import { ensureRuntime } from "../build-runtime.ts";
import { frozenTables } from "../frozen-tables.ts";

const gzip = promisify(gzipWithCallback);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** Requires: the images are prepared. */
export async function buildSite(folder: string, imageNames: readonly string[]): Promise<void> {
  await ensureRuntime();
  await rm(folder, { recursive: true, force: true });
  await build({
    configFile: false,
    root: join(root, "src/web"),
    // Relative addresses: the folder may be served from anywhere.
    base: "./",
    logLevel: "error",
    // Every browser with what machines need has these.
    build: { outDir: folder, emptyOutDir: true, target: "es2024", assetsInlineLimit: 0, chunkSizeWarningLimit: 2000 },
    plugins: [frozenTables()],
    worker: { format: "es", plugins: () => [frozenTables()] },
  });
  await addImages(folder, imageNames);
}

async function addImages(folder: string, names: readonly string[]): Promise<void> {
  await mkdir(join(folder, "images"), { recursive: true });
  const images: SiteImage[] = [];
  for (const name of names) {
    const image = await openImage(name);
    const file = (path: string, called: string): Promise<SiteFile> => addFile(folder, path, `${name}-${called}`);
    const { unpacked, kernelPath, initrdPath, kernelVersion, diskPath } = image;
    if (diskPath !== undefined)
      throw new Error(`${name} has a root disk, which a page cannot have: prepare it with --in-memory`);
    images.push({
      name,
      title: imageReferences.find((each) => each.name === name)?.summary ?? name,
      kernelVersion,
      // Unpacking a kernel takes a page longer than reading it whole from where the browser keeps it.
      kernel: await file(unpacked?.vmlinuxPath ?? kernelPath, "kernel"),
      ...(unpacked && { setupHeader: await file(unpacked.setupHeaderPath, "setup-header") }),
      initrd: await file(initrdPath, "initrd"),
    });
  }
  const manifest: SiteManifest = { version: 1, images };
  await writeFile(join(folder, manifestPath), `${JSON.stringify(manifest, null, 2)}\n`);
}

async function addFile(folder: string, source: string, name: string): Promise<SiteFile> {
  const bytes = await readFile(source);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const packed = await gzip(bytes);
  const path = `images/${name}-${sha256.slice(0, 12)}`;
  await writeFile(join(folder, path), packed);
  return { path, packedBytes: packed.length, sizeBytes: bytes.length, sha256 };
}
