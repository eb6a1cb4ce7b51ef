export { ImageError, type ImageErrorCode } from "./image-error.ts";
export { defaultImage, type ImageReference, imageReferences, parseReference } from "./reference.ts";
export type { OnProgress, Progress } from "./progress.ts";
export {
  type BuiltImage,
  buildImage,
  type DiskRecord,
  type ImageRecord,
  isCurrent,
  type PackageRecord,
  type PackageSource,
  type ProgramDefaults,
  type Wish,
} from "./build.ts";
export { streamTar, type StreamedEntry, type TarHeader } from "./archive/tar.ts";
export { type TarMember, writeTar } from "./archive/tar-writer.ts";
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
export { addOciImage, type OciSource } from "./oci.ts";
export { type Content, contentOf, DiskTree } from "./disk/disk-tree.ts";
export { diskSizeFor, writeExt4 } from "./disk/ext4.ts";
export { groupBytes } from "./disk/ext4-layout.ts";
export type { Keep } from "./debian/root-tree.ts";
export { builderVersion } from "./builder-version.ts";
export { firstLineOfInit } from "./guest/init.ts";
