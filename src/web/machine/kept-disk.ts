/**
 * The disk that the browser keeps for this site: one qcow2 file in its own file system, which grows with what the guest
 * writes. It can be taken out, for `memvisor run --disk` or QEMU, and one of theirs brought in.
 *
 * None of this while a machine uses it: the browser then refuses.
 */
import { parseQcow2Header } from "#disk";
import { diskFolder } from "./disk-folder.ts";
import { MemoryFile } from "./memory-file.ts";

export const diskName = "disk.qcow2";
/** Where it is in the guest, if there is a file system on it. */
export const diskPath = "/disk";

export interface KeptDisk {
  /** As the guest sees it. */
  readonly sizeBytes: number;
  /** In the browser. */
  readonly usedBytes: number;
}

/** Whether this browser keeps files of ours; private windows of some do not. */
export async function canKeepDisks(): Promise<boolean> {
  if (!("createWritable" in (globalThis.FileSystemFileHandle?.prototype ?? {}))) return false;
  return diskFolder().then(
    () => true,
    () => false,
  );
}

/** What is kept; undefined where there is nothing yet. */
export async function findDisk(): Promise<KeptDisk | undefined> {
  const file = await exportDisk();
  return file && { sizeBytes: await sizeOf(file), usedBytes: file.size };
}

/** Makes one with an empty file system. */
export async function createDisk(sizeBytes: number): Promise<void> {
  const { emptyDisk } = await import("./new-disk.ts");
  await write(new Blob([await emptyDisk(diskName, sizeBytes)]));
  // The browser then asks before it throws it away for room; it may refuse, and mostly does so without a word.
  await navigator.storage.persist().catch(() => false);
}

/** Puts a qcow2 file in its place. Throws an error that says what is wrong with one that cannot be used. */
export async function importDisk(file: File): Promise<void> {
  await sizeOf(file);
  await write(file);
}

export async function exportDisk(): Promise<File | undefined> {
  const folder = await diskFolder();
  const handle = await folder.getFileHandle(diskName).catch(() => undefined);
  return handle?.getFile();
}

export async function eraseDisk(): Promise<void> {
  const folder = await diskFolder();
  await folder.removeEntry(diskName).catch((error: DOMException) => {
    throw inUse(error);
  });
}

async function sizeOf(file: File): Promise<number> {
  // The header and its extensions are in the first cluster, of at most 2 MiB.
  const start = new Uint8Array(await file.slice(0, 2 ** 21).arrayBuffer());
  const { sizeBytes, backing } = parseQcow2Header(new MemoryFile(file.name, start), true);
  if (backing)
    throw new Error(`${file.name}: stands on another file, ${backing.name}: make one of both by qemu-img convert`);
  return sizeBytes;
}

async function write(content: Blob): Promise<void> {
  const folder = await diskFolder();
  try {
    const handle = await folder.getFileHandle(diskName, { create: true });
    await content.stream().pipeTo(await handle.createWritable());
  } catch (error) {
    throw inUse(error as DOMException);
  }
}

function inUse(error: DOMException): Error {
  if (error.name === "NoModificationAllowedError")
    return new Error("A machine in another tab uses the disk: end it there.");
  if (error.name === "QuotaExceededError") return new Error("The browser has no more room for this site.");
  return error;
}
