export type { DiskFile, DiskHost } from "./file.ts";
export { DiskError } from "./file.ts";
export { openBlockService } from "./service.ts";
