/** The memory object that a backing names (memory/backing.ts). */
import type { MemoryBacking, RemoteBacking } from "../backing.ts";
import type { PageKernels } from "../page-kernels.ts";
import type { BatchCodec } from "./cold-batches.ts";
import { CompressedPages } from "./compressed.ts";
import { EncryptedPages, type PageCipher } from "./encrypted.ts";
import { FilePages, type MemoryFile } from "./file.ts";
import { type MemoryObject, MemoryObjectError } from "./memory-object.ts";
import { PlainPages } from "./plain.ts";
import type { FarLine } from "./remote/line.ts";
import { RemotePages } from "./remote/remote-pages.ts";
import type { ReplicaEvent } from "./remote/replicas.ts";
import { SameFilledPages } from "./same-filled.ts";
import { SharedPages, SharedStore } from "./shared.ts";

/** What kinds of memory objects need of the host. */
export interface MemoryServices {
  readonly codec?: BatchCodec;
  /** With a key that nobody else has. */
  newCipher?(): PageCipher;
  /** A new file, gone when it is disposed of. Throws an Error that says why there can be none. */
  newFile?(path: string): MemoryFile;
  /** What equal pages are kept in once, whichever machine has them; without it each object has a store of its own. */
  sharedStore?(make: () => SharedStore): SharedStore;
  /** A line to page servers. */
  farLine?(servers: RemoteBacking): FarLine;
  /** Page servers came or went: a line for the person who runs the machine. */
  onServers?(event: ReplicaEvent): void;
}

/** Of `pageCount` pages, all holes. Throws `MemoryObjectError` where the host has not what it takes. */
export function newMemoryObject(
  backing: MemoryBacking,
  pageCount: number,
  kernels: PageKernels,
  services: MemoryServices,
): MemoryObject {
  return new SameFilledPages(build(backing, pageCount, kernels, services));
}

function build(
  backing: MemoryBacking,
  pageCount: number,
  kernels: PageKernels,
  services: MemoryServices,
): MemoryObject {
  const inner = (): MemoryObject =>
    "inner" in backing && backing.inner
      ? build(backing.inner, pageCount, kernels, services)
      : new PlainPages(pageCount);
  switch (backing.kind) {
    case "plain":
      return new PlainPages(pageCount);
    case "file":
      return new FilePages(pageCount, newFile(backing.path, services), kernels);
    case "remote":
      if (services.farLine === undefined) throw new MemoryObjectError("there is no way to page servers here");
      return new RemotePages(pageCount, services.farLine(backing), (event) => services.onServers?.(event));
    case "compressed": {
      const { codec } = services;
      if (backing.inner === undefined) return new CompressedPages(pageCount, { kernels, ...(codec && { codec }) });
      if (codec === undefined) throw new MemoryObjectError("there is no codec for batches of cold pages here");
      return new CompressedPages(pageCount, { kernels, codec, inner: inner() });
    }
    case "encrypted":
      if (services.newCipher === undefined) throw new MemoryObjectError("there is no cipher for pages here");
      return new EncryptedPages(inner(), services.newCipher());
    case "shared": {
      const make = (): SharedStore => new SharedStore(inner(), kernels);
      return new SharedPages(pageCount, services.sharedStore?.(make) ?? make());
    }
  }
}

function newFile(path: string, services: MemoryServices): MemoryFile {
  if (services.newFile === undefined) throw new MemoryObjectError("there are no files for guest memory here");
  try {
    return services.newFile(path);
  } catch (error) {
    throw new MemoryObjectError(error instanceof Error ? error.message : String(error));
  }
}
