/** Files that spare machines to come some work: whatever goes wrong with one, it is as it was, and nobody hears of it. */
import type { ThreadHost } from "./thread-machine-host.ts";

export function keepFile(thread: ThreadHost, path: string, bytes: Uint8Array): void {
  try {
    const into = thread.createFile?.(path);
    into?.writeAt(0, bytes);
    into?.finish();
  } catch {
    // No room for it, or no right.
  }
}
