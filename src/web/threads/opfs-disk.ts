/**
 * The block service on files of the browser's own file system for this site (OPFS; File System standard, "Origin private
 * file system").
 *
 * Its access handles read and write at once, but are opened only by and by: so a disk's file is opened before the service is.
 * A handle is this tab's alone until it is closed.
 */
import { inflateSync } from "fflate";
import type { DiskConfig, OpenService } from "#devices";
import { DiskError, type DiskFile, type DiskHost, openBlockService } from "#disk";
import { diskFolder } from "../machine/disk-folder.ts";

const releaseMs = 8000;
const retryMs = 100;

export const openBlock: OpenService = async (config, port) => {
  const disk = config as DiskConfig;
  const file = await openFile(disk.file);
  return openBlockService(disk, port, hostOf(file));
};

/** A host that has one file. */
function hostOf(file: OpfsFile): DiskHost {
  const refuse = (): never => {
    throw new DiskError("a disk in the browser is one file: no overlays, no backing files");
  };
  return {
    open: (name) => (name === file.name ? file : refuse()),
    create: refuse,
    createTemporary: refuse,
    exists: (name) => name === file.name,
    resolve: (_, name) => name,
    unpack: (method, bytes, size) => {
      if (method !== "deflate") throw new DiskError("compressed by zstd, which a page cannot unpack: use deflate");
      try {
        return inflateSync(bytes, { out: new Uint8Array(size) });
      } catch {
        throw new DiskError("damaged: a compressed cluster cannot be unpacked");
      }
    },
  };
}

async function openFile(name: string): Promise<OpfsFile> {
  try {
    const folder = await diskFolder();
    return new OpfsFile(name, await openHandle(await folder.getFileHandle(name)));
  } catch (error) {
    throw new DiskError(errorText(name, error));
  }
}

/** A page that was just left lets go of its disk only when its threads have ended: so it is tried for a while. */
async function openHandle(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle> {
  for (const end = performance.now() + releaseMs; ; ) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      const inUse = error instanceof DOMException && error.name === "NoModificationAllowedError";
      if (!inUse || performance.now() > end) throw error;
      await new Promise((retry) => setTimeout(retry, retryMs));
    }
  }
}

class OpfsFile implements DiskFile {
  readonly modifiedMs = 0;
  readonly name: string;
  readonly #handle: FileSystemSyncAccessHandle;
  #sizeBytes: number;

  constructor(name: string, handle: FileSystemSyncAccessHandle) {
    this.name = name;
    this.#handle = handle;
    this.#sizeBytes = handle.getSize();
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(offset: number, ...targets: readonly Uint8Array[]): void {
    let at = offset;
    for (const target of targets) {
      const count = this.#attempt(() => this.#handle.read(target, { at }));
      target.fill(0, count);
      at += target.length;
    }
  }

  write(offset: number, ...sources: readonly Uint8Array[]): void {
    let at = offset;
    for (const source of sources) {
      const count = this.#attempt(() => this.#handle.write(source, { at }));
      if (count < source.length) throw new DiskError(`${this.name}: the browser has no more room for this site`);
      at += source.length;
      this.#sizeBytes = Math.max(this.#sizeBytes, at);
    }
  }

  flush(): void {
    this.#attempt(() => this.#handle.flush());
  }

  async flushLater(): Promise<void> {
    this.flush();
  }

  resize(sizeBytes: number): void {
    this.#attempt(() => this.#handle.truncate(sizeBytes));
    this.#sizeBytes = sizeBytes;
  }

  async punch(): Promise<boolean> {
    return false;
  }

  close(): void {
    this.#handle.close();
  }

  #attempt<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw new DiskError(errorText(this.name, error));
    }
  }
}

function errorText(name: string, error: unknown): string {
  const { name: kind, message } = error as DOMException;
  switch (kind) {
    case "NotFoundError":
      return `${name}: the browser has no such disk any more`;
    case "NoModificationAllowedError":
      return `${name}: another tab uses this disk: end the machine there, or start this one without`;
    case "QuotaExceededError":
      return `${name}: the browser has no more room for this site`;
    default:
      return `${name}: ${message}`;
  }
}
