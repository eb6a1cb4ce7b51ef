/**
 * Files and folders of this host as tar archives, and back.
 *
 * Law: what is unpacked stays below its folder, whatever the archive says: names do not climb, nothing is written through a
 * symbolic link, a hard link may only name what was unpacked before, devices are refused, and set-user-id bits are dropped.
 * The archive comes from a guest, which is hostile.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, link, lstat, mkdir, readdir, readlink, rm, stat, symlink, utimes } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { VmError } from "#control";
import { ImageError, type StreamedEntry, streamTar, type TarMember, writeTar } from "#images";

/** `path` and all below it, under `name`. */
export async function* packPath(path: string, name: string): AsyncGenerator<Uint8Array> {
  try {
    yield* writeTar(membersOf(path, name));
  } catch (error) {
    throw asVmError(error, `${path} cannot be read`);
  }
}

async function* membersOf(path: string, name: string): AsyncGenerator<TarMember> {
  const found = await lstat(path);
  const common = { path: name, mode: found.mode & 0o7777, modified: found.mtimeMs / 1000 };
  if (found.isSymbolicLink()) yield { ...common, kind: "symlink", target: await readlink(path) };
  else if (found.isDirectory()) {
    yield { ...common, kind: "directory" };
    for (const each of (await readdir(path)).sort()) yield* membersOf(join(path, each), `${name}/${each}`);
  } else if (found.isFile()) {
    yield { ...common, kind: "file", sizeBytes: found.size, body: createReadStream(path, { highWaterMark: 1 << 16 }) };
  }
}

/**
 * Unpacks an archive whose entries all lie below its first one, which gets the path `target`; where that is a folder already, or
 * ends with a slash, the first entry keeps its name in it.
 */
export async function unpackTo(archive: AsyncIterable<Uint8Array>, target: string): Promise<void> {
  const into = target.endsWith("/") || target.endsWith(sep) || (await isFolder(target));
  const folder = resolve(into ? target : dirname(target));
  const pieces = archive[Symbol.asyncIterator]();
  // Who reads an archive stops at the mark of its end; that the sender has sent all of it is only known at the end of the stream.
  const upToMark = { [Symbol.asyncIterator]: () => ({ next: () => pieces.next() }) };
  try {
    if (into) await mkdir(folder, { recursive: true });
    const place = new Unpacking(folder, into ? undefined : basename(resolve(target)));
    for await (const entry of streamTar(upToMark)) await place.take(entry);
    await place.finish();
    await readToEnd(pieces);
  } catch (error) {
    throw asVmError(error, `${target} cannot be written`);
  } finally {
    await pieces.return?.();
  }
}

/** Archives are padded to whole records, of 10 KiB as a rule. */
const mostPadding = 1 << 20;

async function readToEnd(pieces: AsyncIterator<Uint8Array>): Promise<void> {
  let left = mostPadding;
  for (let piece = await pieces.next(); !piece.done; piece = await pieces.next()) {
    left -= piece.value.length;
    if (left < 0) throw new VmError("file", "the guest sends more than an archive of files");
  }
}

/** `what`: what could not be done, where the host says why. */
function asVmError(error: unknown, what: string): unknown {
  if (error instanceof ImageError) return new VmError("file", `the guest sent no archive of files: ${error.message}`);
  const ofHost = error instanceof Error && "syscall" in error;
  return ofHost ? new VmError("file", `${what}: ${error.message}`) : error;
}

class Unpacking {
  readonly #folder: string;
  readonly #rename: string | undefined;
  #first: string | undefined;
  /** Folders that are known to be none but folders. */
  readonly #sure = new Set<string>();
  readonly #folderModes: [path: string, mode: number, modified: number][] = [];

  constructor(folder: string, rename: string | undefined) {
    this.#folder = folder;
    this.#rename = rename;
    this.#sure.add(folder);
  }

  async take({ header, body }: StreamedEntry): Promise<void> {
    const { kind, mode, target, modified } = header;
    if (header.path === "") return;
    const path = await this.#placeOf(header.path);
    if (kind !== "directory") await rm(path, { force: true });
    switch (kind) {
      case "directory":
        await this.#makeFolder(path);
        this.#folderModes.push([path, mode & 0o777, modified]);
        return;
      case "file":
        await pipeline(Readable.from(body), createWriteStream(path, { flags: "wx", mode: mode & 0o777 }));
        await chmod(path, mode & 0o777);
        await utimes(path, modified, modified);
        return;
      case "symlink":
        return symlink(target, path);
      case "link":
        return link(await this.#placeOf(target), path);
      default:
        throw new VmError("file", `${header.path} is a device or a pipe: only files, folders and links are copied`);
    }
  }

  /** A folder that may not be written to is made so last. */
  async finish(): Promise<void> {
    for (const [path, mode, modified] of this.#folderModes.reverse()) {
      await chmod(path, mode);
      await utimes(path, modified, modified);
    }
  }

  /** Where an entry goes; all folders above it are real ones. */
  async #placeOf(name: string): Promise<string> {
    const parts = name.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.length === 0 || parts.some((part) => part === ".." || part.includes("\0") || part.includes(sep))) {
      throw new VmError(
        "file",
        `the guest sent the name ${JSON.stringify(name)}, which is none of a file below a folder`,
      );
    }
    this.#first ??= parts[0];
    if (parts[0] !== this.#first) throw new VmError("file", "the guest sent files that nobody asked for");
    if (this.#rename !== undefined) parts[0] = this.#rename;
    let path = this.#folder;
    for (const part of parts.slice(0, -1)) {
      path = join(path, part);
      await this.#makeFolder(path);
    }
    return join(path, parts[parts.length - 1]);
  }

  async #makeFolder(path: string): Promise<void> {
    if (this.#sure.has(path)) return;
    const there = await lstat(path).catch(() => undefined);
    if (!there) await mkdir(path, { mode: 0o700 });
    else if (!there.isDirectory()) throw new VmError("file", `${path} is in the way: it is no folder`);
    this.#sure.add(path);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
