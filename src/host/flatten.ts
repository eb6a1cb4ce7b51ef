/** A differential snapshot of this host, as one file. */
import { copyFrozen, DiskError } from "#disk";
import { type Flattened, flattenSnapshot, SnapshotError } from "#snapshot";
import { openFrozen } from "./disk-files.ts";
import { createFile, openFile } from "./snapshot-file.ts";

/** Throws `SnapshotError`; then there is no new file, or that of before. */
export function flattenFile(path: string, into: string, key: string | undefined): Flattened {
  using source = openFile(path, key);
  const file = createFile(into, key);
  try {
    const flattened = flattenSnapshot(source, file, (saved, offset) => {
      if (saved.index === undefined) return { saved, end: offset };
      const disks = openFrozen(path, key);
      try {
        const { index, end } = copyFrozen(disks, saved.index, file, offset);
        return { saved: { ...saved, index }, end };
      } finally {
        disks.close();
      }
    });
    file.finish();
    return flattened;
  } catch (error) {
    file.abandon();
    throw error instanceof DiskError ? new SnapshotError(error.message) : error;
  }
}
