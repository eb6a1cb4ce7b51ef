/** Files about machines' memory, mounted in a folder of this host by FUSE (docs/memory-files.md). */
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { VmError } from "#control";
import type { MemoryFolder } from "#introspect/memory-files";
import { mountFuse } from "./mount.ffi.ts";
import { MemoryFuseServer } from "./server.ts";
import { converse } from "./session.ts";

const subtype = "memvisor";

export interface MountedFiles extends AsyncDisposable {
  readonly folder: string;
  /** Resolved when it is unmounted, by whomever. */
  readonly ended: Promise<void>;
  /** False: somebody uses it still, and it ends when nobody does. */
  unmount(): boolean;
}

/** Mounts the tree on a folder that is there. Throws `VmError` that says what to do. */
export async function mountFiles(root: MemoryFolder, path: string): Promise<MountedFiles> {
  const folder = resolve(path);
  await checkFolder(folder);
  const { descriptor, unmount } = mountFuse(folder, subtype);
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const ended = converse(descriptor, new MemoryFuseServer(root, owner));
  return {
    folder,
    ended,
    unmount,
    async [Symbol.asyncDispose]() {
      unmount();
      await ended;
    },
  };
}

/** Nothing here waits on this thread: the folder may be one that this very process serves. */
async function checkFolder(folder: string): Promise<void> {
  const problem = await stat(folder).then(
    (facts) => (facts.isDirectory() ? undefined : "it is no folder"),
    (error: NodeJS.ErrnoException) => problems[error.code ?? ""]?.(folder) ?? error.message,
  );
  const taken = (await isMounted(folder)) ? "it shows machines' memory already" : undefined;
  const why = problem ?? taken;
  if (why !== undefined) throw new VmError("option", `${folder} cannot be mounted on: ${why}`);
}

const problems: Readonly<Record<string, (folder: string) => string>> = {
  ENOENT: () => "there is no such folder: make it",
  // What a FUSE file system says whose server is gone.
  ENOTCONN: (folder) =>
    `it is mounted, and the process that served it is gone: \`umount -l ${folder}\` or \`fusermount3 -u ${folder}\` frees it`,
};

/** By this program. Anything else is a folder to mount on, as it would be to others. */
async function isMounted(folder: string): Promise<boolean> {
  const mounts = await readFile("/proc/self/mounts", "utf8").catch(() => "");
  return mounts.split("\n").some((line) => {
    const [, where = "", type] = line.split(" ");
    return type === `fuse.${subtype}` && where.replace(/\\040/g, " ") === folder;
  });
}
