/** Files that another thread of this process has open, by their descriptors: all threads of a process have them in common. */
import { readvSync, writevSync } from "node:fs";
import type { SharedFiles } from "#devices";

/** IOV_MAX of Linux. */
const maxPieces = 1024;

/** `now`: as in `SharedFiles`. */
export function sharedFiles(now: () => number): SharedFiles {
  const attempt = (pieces: Uint8Array[], transfer: () => number): number | undefined => {
    if (pieces.length > maxPieces) return undefined;
    try {
      return transfer();
    } catch {
      // Whoever has the file open finds the same trouble, and tells of it.
      return undefined;
    }
  };
  return {
    read: (file, offset, pieces) => attempt(pieces, () => readvSync(file, pieces, offset)),
    write: (file, offset, pieces) => attempt(pieces, () => writevSync(file, pieces, offset)),
    now,
  };
}
