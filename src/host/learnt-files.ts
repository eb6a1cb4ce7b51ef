/** Files of what boots have learnt (docs/cold-path.md), in a folder: one for each kernel and initramfs. */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { VmOptions } from "#control";
import { isEncrypted, parseBacking } from "#memory/backing";

/** Of some 15 MiB each; those written last are kept. */
const mostFiles = 8;
const suffix = ".blocks";

/** These options, with the file for such a machine's boots; without one where what it boots has no name, or there can be no folder. */
export async function withLearnt(options: VmOptions, folder: string): Promise<VmOptions> {
  const { kernel, initrd, memoryBacking } = options;
  // What is learnt has code of the guest in plaintext.
  if (isEncrypted(parseBacking(memoryBacking ?? ""))) return options;
  if (typeof kernel !== "string" || initrd instanceof Uint8Array) return options;
  try {
    const hash = createHash("sha256");
    for (const file of initrd === undefined ? [kernel] : [kernel, initrd]) {
      const { size, mtimeMs } = await stat(file);
      hash.update(`${file} ${size} ${mtimeMs}\n`);
    }
    await mkdir(folder, { recursive: true });
    const learnt = join(folder, `${hash.digest("hex").slice(0, 32)}${suffix}`);
    await removeEldest(folder, learnt);
    return { ...options, learnt };
  } catch {
    return options;
  }
}

/** Whether that build has written such a file; it may be damaged all the same. */
export async function isLearnt(path: string, build: Uint8Array): Promise<boolean> {
  const { isLearntBy, learntHeadBytes } = await import("#engine");
  try {
    await using file = await open(path);
    const head = new Uint8Array(learntHeadBytes);
    return (await file.read(head)).bytesRead === head.length && isLearntBy(build, head);
  } catch {
    return false;
  }
}

/** Leaves room for one more, where `path` is not there yet. */
async function removeEldest(folder: string, path: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(suffix)).map((name) => join(folder, name));
  if (names.length < mostFiles || names.includes(path)) return;
  const ages = await Promise.all(names.map(async (name) => ({ name, written: (await stat(name)).mtimeMs })));
  ages.sort((a, b) => b.written - a.written);
  for (const { name } of ages.slice(mostFiles - 1)) await rm(name, { force: true });
}
