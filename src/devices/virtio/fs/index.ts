export { VirtioFs } from "./device.ts";
export { type FileOperations, fileService } from "./file-service.ts";
export { type ClosableShare, shareService } from "./service.ts";
export type {
  Attributes,
  Changes,
  DirectoryEntry,
  Entry,
  FileSystemStats,
  InodeRecord,
  NewTime,
  Opened,
  OpenFlags,
  Owner,
  SessionRecord,
  ShareHost,
} from "./share-host.ts";
export { ShareError } from "./share-host.ts";
export { lineBytes as shareLineBytes } from "./wire.ts";
