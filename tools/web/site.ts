/**
 * The page as a folder of static files: what vite makes of `src/web/`, and the images with their manifest.
 *
 * Files whose names hold a checksum never change; index.html and the manifest are the others.
 */
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { openImage } from "#host/images";
import { imageReferences } from "#images";
import { manifestPath, type SiteFile, type SiteImage, type SiteManifest } from "../../src/web/machine/site-manifest.ts";
import { ensureRuntime } from "../build-runtime.ts";

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
    logLevel: "warn",
    // Every browser with what machines need has these.
    build: { outDir: folder, emptyOutDir: true, target: "es2024", assetsInlineLimit: 0, chunkSizeWarningLimit: 2000 },
    worker: { format: "es" },
  });
  await addImages(folder, imageNames);
}

async function addImages(folder: string, names: readonly string[]): Promise<void> {
  await mkdir(join(folder, "images"), { recursive: true });
  const images: SiteImage[] = [];
  for (const name of names) {
    const image = await openImage(name);
    const file = (path: string, called: string): Promise<SiteFile> => addFile(folder, path, `${name}-${called}`);
    images.push({
      name,
      title: imageReferences.find((each) => each.name === name)?.summary ?? name,
      kernelVersion: image.kernelVersion,
      kernel: await file(image.kernelPath, "kernel"),
      initrd: await file(image.initrdPath, "initrd"),
    });
  }
  const manifest: SiteManifest = { version: 1, images };
  await writeFile(join(folder, manifestPath), `${JSON.stringify(manifest, null, 2)}\n`);
}

async function addFile(folder: string, source: string, name: string): Promise<SiteFile> {
  const sha256 = createHash("sha256")
    .update(await readFile(source))
    .digest("hex");
  const path = `images/${name}-${sha256.slice(0, 12)}`;
  await copyFile(source, join(folder, path));
  return { path, sizeBytes: (await stat(source)).size, sha256 };
}
