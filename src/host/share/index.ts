/** The service that has a directory of this host for a guest (devices/virtio/fs). */
import { readFileSync } from "node:fs";
import { type OpenService, shareService } from "#devices";
import { Share } from "./share.ts";

interface ShareRequest {
  readonly hostPath: string;
  readonly readOnly: boolean;
}

export const openShare: OpenService = (config, port) => {
  const { hostPath, readOnly } = config as ShareRequest;
  if (process.platform === "win32") throw new Error("directories cannot be shared from Windows");
  try {
    const share = new Share({
      path: hostPath,
      readOnly,
      asRoot: process.getuid?.() === 0,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      byDescriptor: process.platform === "linux",
      maxDescriptors: descriptorLimit(),
    });
    return shareService(share, port);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: "there is no such directory",
      ENOTDIR: "it is no directory",
      EACCES: "it may not be read",
    };
    throw new Error(`share ${hostPath}: ${reasons[code ?? ""] ?? message}`);
  }
};

/** A quarter of what the process may have open, which others need, too. */
function descriptorLimit(): number {
  const unknown = 1024;
  let limit = unknown;
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    limit = Number(line?.[1] ?? unknown);
  } catch {}
  return Math.min(Math.max(Math.floor(limit / 4), 64), 32_768);
}
