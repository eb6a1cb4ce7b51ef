/** The image store as it stands: its images are listed, opened and removed. What makes them is elsewhere, and not loaded for that. */
import { builderVersion, ImageError, type ImageReference, imageReferences, parseReference } from "#images";
import { cacheFolder, ImageCache, type StoredImage } from "./cache.ts";

export interface ListedImage {
  readonly reference: Pick<ImageReference, "name" | "summary">;
  /** What is known of it, if it is prepared. */
  readonly image?: StoredImage;
}

export async function listImages(options: { cache?: string } = {}): Promise<ListedImage[]> {
  const cache = new ImageCache(options.cache ?? cacheFolder());
  const known = imageReferences.map(async (reference) => {
    const image = await cache.readImage(reference.name);
    return image ? { reference, image } : { reference };
  });
  const names = (await cache.imageNames()).filter((name) => !imageReferences.some((each) => each.name === name)).sort();
  const imported = names.map(async (name) => {
    const image = await cache.readImage(name);
    const summary = `imported from ${image?.imported?.source ?? "elsewhere"}`;
    return image ? [{ reference: { name, summary }, image }] : [];
  });
  return [...(await Promise.all(known)), ...(await Promise.all(imported)).flat()];
}

/** The name of an image that is here, or of one that can be prepared. */
async function nameOf(name: string, cache: ImageCache): Promise<string> {
  const imported = !imageReferences.some((each) => each.name === name) && (await cache.imageNames()).includes(name);
  return imported ? name : parseReference(name).name;
}

export async function openImage(name: string, options: { cache?: string } = {}): Promise<StoredImage> {
  const cache = new ImageCache(options.cache ?? cacheFolder());
  const known = await nameOf(name, cache);
  const image = await cache.readImage(known);
  if (image !== undefined && image.builderVersion !== builderVersion)
    throw new ImageError(
      "not-prepared",
      image.imported
        ? `${name} was imported by another version: run "memvisor image import ${name} ${image.imported.source}"`
        : `${name} was prepared by another version: run "memvisor image prepare ${name}"`,
    );
  if (image?.unpacked) return image;
  if (image) return (await unpacked(cache, known)) ?? image;
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
  const cache = new ImageCache(options.cache ?? cacheFolder());
  const known = await nameOf(name, cache);
  await using _lock = await cache.lock(() => {});
  const removed = await cache.removeImage(known);
  await cache.dropUnusedPackages();
  return removed;
}
