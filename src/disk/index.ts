export type { DiskFile, DiskHost, SnapshotFile } from "./file.ts";
export { DiskError } from "./file.ts";
export { copyFrozen } from "./frozen.ts";
export { openBlockService } from "./service.ts";
export type { Disk } from "./disk.ts";
export { newDisk } from "./new-disk.ts";
export { parseHeader as parseQcow2Header } from "./qcow2/index.ts";
