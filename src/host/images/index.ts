export { type ListedImage, listImages, openImage, removeImage } from "./stored.ts";
export { type Image, type PrepareOptions, prepareImage } from "./prepare.ts";
export { type ImportOptions, importImage } from "./import.ts";
export { cacheFolder, type StoredImage } from "./cache.ts";
