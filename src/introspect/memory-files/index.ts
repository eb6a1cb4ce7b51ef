export { MemoryFiles } from "./files.ts";
export {
  type FileFacts,
  type FolderEntry,
  type MemoryFile,
  MemoryFileError,
  type MemoryFileErrorCode,
  type MemoryFolder,
  type MemoryNode,
  type OpenMemoryFile,
} from "./node.ts";
export { mapLines } from "./text.ts";
export { type AskMemory, fixedFolder, memoryTree } from "./tree.ts";
