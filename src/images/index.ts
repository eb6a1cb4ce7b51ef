export { ImageError, type ImageErrorCode } from "./image-error.ts";
export { defaultImage, type ImageReference, imageReferences, parseReference } from "./reference.ts";
export type { OnProgress, Progress } from "./progress.ts";
export {
  type BuiltImage,
  buildImage,
  type ImageRecord,
  isCurrent,
  type PackageRecord,
  type PackageSource,
} from "./build.ts";
export { type ByteStream, collect } from "./archive/byte-source.ts";
export type { Compression, Decompress } from "./archive/deb.ts";
export { type DebianPackage, PackageIndex } from "./debian/package-index.ts";
export { parseStanza, parseStanzas, type Stanza } from "./debian/stanza.ts";
export {
  type DebianArchive,
  fetchPackage,
  type KnownFile,
  type KnownResult,
  loadIndex,
  type RepositoryHost,
} from "./debian/repository.ts";
export { builderVersion } from "./initramfs.ts";
export { firstLineOfInit } from "./guest/init.ts";
