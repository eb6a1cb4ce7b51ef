export {
  type Image,
  type ListedImage,
  listImages,
  openImage,
  type PrepareOptions,
  prepareImage,
  removeImage,
} from "./prepare.ts";
export { type ImportOptions, importImage } from "./import.ts";
export { cacheFolder, type StoredImage } from "./cache.ts";
