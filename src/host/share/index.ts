/** The services that have a directory of this host for a guest (devices/virtio/fs). */
import { readFileSync } from "node:fs";
import { fileService, type NearService, type OpenService, shareLineBytes, shareService } from "#devices";
import { isNear } from "./near.ts";
import { fileOperations, Share } from "./share.ts";

interface ShareRequest {
  readonly hostPath: string;
  readonly readOnly: boolean;
}

/** On a thread of its own. */
export const openShare: OpenService = (config, port) => shareService(shareOf(config), port);

/** On the machine's thread, where the directory's file systems are for that. */
export function nearShare(config: unknown): NearService | undefined {
  if (process.platform !== "linux") return undefined;
  const share = shareOf(config);
  const near = isNear(share.path, mounts());
  // It is opened when the machine is, which may come to nothing before.
  share.close();
  if (!near) return undefined;
  return {
    beside: { service: "files", config: undefined, ringBytes: shareLineBytes },
    open: (port, beside) => shareService(shareOf(config), port, beside),
  };
}

/** Beside near shares. */
export const openFiles: OpenService = (_, port) => fileService(fileOperations, port);

/** Where nobody can tell what is mounted, nothing is near. */
function mounts(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}

/** Throws an Error for a person. */
function shareOf(config: unknown): Share {
  const { hostPath, readOnly } = config as ShareRequest;
  if (process.platform === "win32") throw new Error("directories cannot be shared from Windows");
  try {
    return new Share({
      path: hostPath,
      readOnly,
      asRoot: process.getuid?.() === 0,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      byDescriptor: process.platform === "linux",
      maxDescriptors: descriptorLimit(),
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: "there is no such directory",
      ENOTDIR: "it is no directory",
      EACCES: "it may not be read",
    };
    throw new Error(`share ${hostPath}: ${reasons[code ?? ""] ?? message}`);
  }
}

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
