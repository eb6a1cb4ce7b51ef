/** A new disk of one qcow2 file, open to be filled. */
import type { Disk } from "./disk.ts";
import { DiskError, type DiskFile } from "./file.ts";
import { createQcow2, openQcow2 } from "./qcow2/index.ts";

/** Requires: the file is empty. */
export function newDisk(file: DiskFile, sizeBytes: number): Disk {
  const nothing = (): never => {
    throw new DiskError(`${file.name}: a new disk has nothing compressed and nothing below it`);
  };
  createQcow2(file, { sizeBytes });
  return openQcow2(file, { readOnly: false, unpack: nothing, openBelow: nothing });
}
