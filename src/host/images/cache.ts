/**
 * The user's folder of images.
 *
 *   images/NAME/          kernel, initrd.cpio, image.json, root.img where the root is a disk: there whole or not at all; and
 *                         what the kernel unpacks to, vmlinux and setup-header, made of it once
 *   packages/SHA256.deb   verified downloads, kept so that an interrupted preparation goes on
 *   apt/SUITE, lists/NAME what each way to an archive remembers
 *   templates/KEY.snapshot  machines as they are after their boot (host/templates.ts)
 *   lock                  the process that prepares
 *
 * Law: a name in `images/` or `packages/` is only ever given to a finished thing (written aside, then renamed).
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, statfs, unlink, writeFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BuiltImage, ImageError, type ImageRecord, type OnProgress } from "#images";
import { crypto } from "../late.ts";
import { processExists } from "../process-exists.ts";

export function cacheFolder(environment: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  if (environment.MEMVISOR_CACHE) return environment.MEMVISOR_CACHE;
  if (environment.XDG_CACHE_HOME) return join(environment.XDG_CACHE_HOME, "memvisor");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "memvisor");
  if (platform === "win32") return join(environment.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "memvisor");
  return join(homedir(), ".cache", "memvisor");
}

export interface StoredImage extends ImageRecord {
  readonly kernelPath: string;
  readonly initrdPath: string;
  /** The root disk, an ext4 file system; machines leave it as it is. */
  readonly diskPath?: string;
  /** The kernel as it is booted; absent where it could not be kept. */
  readonly unpacked?: UnpackedKernel;
}

export interface WriteOptions {
  readonly onBytes?: (count: number) => void;
  /** Is given the folder in which the image lies, whole but for its record. */
  readonly finishDisk?: (folder: string) => Promise<void>;
}

export interface UnpackedKernel {
  readonly vmlinuxPath: string;
  readonly setupHeaderPath: string;
}

export class ImageCache {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** A folder below the cache, made if need be. */
  async makeFolder(...parts: string[]): Promise<string> {
    const path = this.path(...parts);
    await onDisk(path, () => mkdir(path, { recursive: true }));
    return path;
  }

  async readImage(name: string): Promise<StoredImage | undefined> {
    const folder = this.path("images", name);
    try {
      const record = JSON.parse(await readFile(join(folder, "image.json"), "utf8")) as ImageRecord;
      const unpacked = unpackedIn(folder);
      return {
        ...record,
        kernelPath: join(folder, "kernel"),
        initrdPath: join(folder, "initrd.cpio"),
        ...(record.disk && { diskPath: join(folder, "root.img") }),
        ...(existsSync(unpacked.setupHeaderPath) && { unpacked }),
      };
    } catch {
      // Absent, or written by a version that we do not understand: either way it is to be prepared.
      return undefined;
    }
  }

  async imageNames(): Promise<string[]> {
    const entries = await readdir(this.path("images"), { withFileTypes: true }).catch(() => []);
    return entries.filter((each) => each.isDirectory() && !each.name.startsWith(".")).map((each) => each.name);
  }

  /** An image, from what is in memory and what was put away. */
  async writeImage(name: string, image: BuiltImage, options: WriteOptions = {}): Promise<void> {
    const images = await this.makeFolder("images");
    const aside = join(images, `.${name}.${crypto().randomBytes(4).toString("hex")}`);
    try {
      await onDisk(images, async () => {
        await mkdir(aside);
        await writeFile(join(aside, "kernel"), image.kernel, { flush: true });
        await writeFile(join(aside, "initrd.cpio"), image.initrd, { flush: true });
        await keepUnpacked(aside, image.kernel);
        if (image.root && image.record.disk) {
          const { writeDisk } = await import("./disk.ts");
          const disk = join(aside, "root.img");
          await writeDisk(disk, image.root, image.record.disk.sizeBytes, image.record.reference, options.onBytes);
          await options.finishDisk?.(aside);
        }
        await writeFile(join(aside, "image.json"), `${JSON.stringify(image.record, null, 2)}\n`, { flush: true });
        await this.removeImage(name);
        await rename(aside, join(images, name));
      });
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  }

  /** Unpacks the kernel of an image that was prepared without. Requires: the lock. */
  async unpackKernelOf(name: string): Promise<void> {
    const folder = this.path("images", name);
    if (existsSync(unpackedIn(folder).setupHeaderPath)) return;
    await onDisk(folder, async () => keepUnpacked(folder, await readFile(join(folder, "kernel"))));
  }

  /** Renamed before it is deleted: no half an image is ever seen under its name. */
  async removeImage(name: string): Promise<boolean> {
    const aside = this.path("images", `.removed.${crypto().randomBytes(4).toString("hex")}`);
    try {
      await rename(this.path("images", name), aside);
    } catch {
      return false;
    }
    await rm(aside, { recursive: true, force: true });
    return true;
  }

  /** A package that is here already; one that no longer has its checksum is deleted. */
  async readPackage(sha256: string): Promise<Uint8Array | undefined> {
    const path = this.path("packages", `${sha256}.deb`);
    const bytes = await readFile(path).catch(() => undefined);
    if (!bytes) return undefined;
    if (sha256Of(bytes) === sha256) return bytes;
    await unlink(path);
    return undefined;
  }

  async hasPackage(sha256: string): Promise<boolean> {
    return existsSync(this.path("packages", `${sha256}.deb`));
  }

  /** Keeps a verified package. Requires: `bytes` have that checksum. */
  async keepPackage(sha256: string, bytes: Uint8Array): Promise<void> {
    await this.replaceFile(bytes, "packages", `${sha256}.deb`);
  }

  /** Deletes what is in a folder and not named. */
  async keepOnly(folder: string, names: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.path(folder)).catch(() => [])) {
      if (!names.has(name)) await rm(this.path(folder, name), { force: true, recursive: true });
    }
  }

  async replaceFile(bytes: Uint8Array | string, folder: string, name: string): Promise<string> {
    const path = join(await this.makeFolder(folder), name);
    const aside = `${path}.${crypto().randomBytes(4).toString("hex")}`;
    await onDisk(path, async () => {
      try {
        await writeFile(aside, bytes);
        await rename(aside, path);
      } finally {
        await rm(aside, { force: true });
      }
    });
    return path;
  }

  /** Deletes downloads that no image is made of. */
  async dropUnusedPackages(): Promise<void> {
    const images = await Promise.all((await this.imageNames()).map((name) => this.readImage(name)));
    const used = images.flatMap((image) => image?.packages.map((each) => `${each.sha256}.deb`) ?? []);
    await this.keepOnly("packages", new Set(used));
  }

  /** Only one process prepares at a time; another waits for it. A lock whose process is gone counts for nothing. */
  async lock(onProgress: OnProgress, signal?: AbortSignal): Promise<AsyncDisposable> {
    await this.makeFolder();
    const path = this.path("lock");
    const mine = JSON.stringify({ pid: process.pid, host: hostname(), token: crypto().randomBytes(8).toString("hex") });
    while (!(await this.#tryLock(path, mine))) {
      signal?.throwIfAborted();
      onProgress({ phase: "waiting", what: "another memvisor that prepares an image", doneBytes: 0, totalBytes: 0 });
      await sleep(200, undefined, { signal });
    }
    return {
      [Symbol.asyncDispose]: async () => {
        if ((await readFile(path, "utf8").catch(() => "")) === mine) await unlink(path);
      },
    };
  }

  async #tryLock(path: string, mine: string): Promise<boolean> {
    try {
      await onDisk(path, () => writeFile(path, mine, { flag: "wx" }));
      return true;
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    }
    const held = await readFile(path, "utf8").catch(() => "");
    if (held && !isStale(held)) return false;
    // An empty lock is about to be written, unless its process died just then.
    if (!held) await sleep(100);
    if ((await readFile(path, "utf8").catch(() => "")) !== held) return false;
    await unlink(path).catch(() => {});
    return this.#tryLock(path, mine);
  }
}

/** What `action` gives; undefined for an error of this kind: a kernel that cannot be booted says so when it is. */
function tryTo<T>(action: () => T, kind: new (message: string) => Error): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof kind) return undefined;
    throw error;
  }
}

export function unpackedIn(folder: string): UnpackedKernel {
  return { vmlinuxPath: join(folder, "vmlinux"), setupHeaderPath: join(folder, "setup-header") };
}

/** Writes what a bzImage unpacks to; the setup header, by whose presence it is known, comes last. */
async function keepUnpacked(folder: string, kernel: Uint8Array): Promise<void> {
  const { BootError, unpackKernel, withoutZeros } = await import("#vm");
  const { vmlinux, setupHeader } = tryTo(() => unpackKernel(kernel), BootError) ?? {};
  if (vmlinux === undefined || setupHeader === undefined) return;
  const { vmlinuxPath, setupHeaderPath } = unpackedIn(folder);
  await writeFile(vmlinuxPath, tryTo(() => withoutZeros(vmlinux), BootError) ?? vmlinux, { flush: true });
  await writeFile(`${setupHeaderPath}.new`, setupHeader, { flush: true });
  await rename(`${setupHeaderPath}.new`, setupHeaderPath);
}

export const sha256Of = (bytes: Uint8Array): string => crypto().createHash("sha256").update(bytes).digest("hex");

/** Runs a write; a full disk becomes an error that says how much room there is. */
export async function onDisk<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isCode(error, "ENOSPC") && !isCode(error, "EDQUOT")) throw error;
    throw await diskFull(path, error);
  }
}

export async function diskFull(path: string, cause?: unknown): Promise<ImageError> {
  const room = await statfs(join(path, "..")).then(
    (each) => each.bavail * each.bsize,
    () => 0,
  );
  const text = `the disk is full (${Math.floor(room / 2 ** 20)} MiB free) at ${path}`;
  return new ImageError("disk-full", `${text}: make room, or set MEMVISOR_CACHE to a folder elsewhere`, cause);
}

export const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

function isStale(held: string): boolean {
  try {
    const { pid, host } = JSON.parse(held) as { pid: number; host: string };
    return host === hostname() && !processExists(pid);
  } catch {
    return true;
  }
}
