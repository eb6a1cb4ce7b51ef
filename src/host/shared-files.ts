/** Files that another thread of this process has open, by their descriptors: all threads of a process have them in common. */
import { readvSync, writevSync } from "node:fs";
import type { SharedFiles } from "#devices";

/** IOV_MAX of Linux. */
const maxPieces = 1024;

/** `now`: as in `SharedFiles`. */
export function sharedFiles(now: () => number): SharedFiles {
  const whole = (pieces: Uint8Array[], transfer: () => number): boolean => {
    if (pieces.length > maxPieces) return false;
    try {
      return transfer() === pieces.reduce((sum, piece) => sum + piece.length, 0);
    } catch {
      // Whoever has the file open finds the same trouble, and tells of it.
      return false;
    }
  };
  return {
    read: (file, offset, pieces) => whole(pieces, () => readvSync(file, pieces, offset)),
    write: (file, offset, pieces) => whole(pieces, () => writevSync(file, pieces, offset)),
    now,
  };
}
