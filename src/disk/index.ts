export type { DiskFile, DiskHost } from "./file.ts";
export { DiskError } from "./file.ts";
export { openBlockService } from "./service.ts";
export { createQcow2, parseHeader as parseQcow2Header } from "./qcow2/index.ts";
