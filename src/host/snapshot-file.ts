/** Snapshots as files of this host. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { NewFile } from "#control";
import { SnapshotError, type SnapshotSource } from "#snapshot";
import type { TemporaryFile } from "#vm";
import { processExists } from "./process-exists.ts";
import { isSealed, openedBytes, type RawFile, SealedFile, sealHeaderBytes } from "./sealed-file.ts";
import { readSecret, SecretError } from "./secret.ts";

export interface SnapshotFile extends SnapshotSource, Disposable {}

/**
 * For a machine it stays open as long as its thread lives: pages are read when the guest touches them. `key`: a file with the secret of one
 * that is encrypted, and of those that it is based on.
 */
export function openFile(path: string, key?: string): SnapshotFile {
  const fd = attempt(path, () => openSync(path, "r"));
  const { size } = fstatSync(fd);
  const file: RawFile = { name: path, read: (offset, target) => attempt(path, () => readFully(fd, offset, target)) };
  try {
    const sealed = openSealed(file, key);
    return {
      [Symbol.dispose]: () => closeSync(fd),
      name: path,
      sizeBytes: sealed ? openedBytes(size) : size,
      read: (offset, target) => (sealed ?? file).read(offset, target),
      open: (name) => openFile(resolve(dirname(path), name), key),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openSealed(file: RawFile, key: string | undefined): SealedFile | undefined {
  const start = new Uint8Array(sealHeaderBytes);
  file.read(0, start);
  if (!isSealed(start)) return undefined;
  if (key === undefined)
    throw new SnapshotError(
      `${file.name}: it is encrypted: name the file with its key (--key FILE, or the option key)`,
    );
  return SealedFile.open(file, secretOf(key));
}

/**
 * Written beside `path`, and renamed to it when it is on the disk. What processes that are no more left there is removed. `key`: a file with a
 * secret; then it is encrypted.
 */
export function createFile(path: string, key?: string): NewFile {
  removeLeft(path);
  const secret = key === undefined ? undefined : secretOf(key);
  const aside = `${path}.${process.pid}.partial`;
  const fd = attempt(path, () => openSync(aside, "w+", secret === undefined ? 0o666 : 0o600));
  const file = {
    name: path,
    read: (offset: number, target: Uint8Array) => attempt(path, () => readFully(fd, offset, target)),
    writeAt: (offset: number, bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length; )
        done += attempt(path, () => writeSync(fd, bytes, done, bytes.length - done, offset + done));
    },
  };
  const sealed = secret === undefined ? undefined : SealedFile.create(file, secret);
  return {
    file: { descriptor: fd, ...(sealed && { key: sealed.key }) },
    nameOf: (other) => relative(dirname(resolve(path)), resolve(other)),
    writeAt: (offset, bytes) => (sealed ?? file).writeAt(offset, bytes),
    finish: () => {
      attempt(path, () => {
        sealed?.finish();
        fsyncSync(fd);
        closeSync(fd);
        renameSync(aside, path);
        syncFolder(dirname(path));
      });
    },
    abandon: () => {
      try {
        closeSync(fd);
      } catch {
        // It was closed: the renaming failed.
      }
      rmSync(aside, { force: true });
    },
  };
}

/** Files that savers to `path` who were killed did not finish. */
function removeLeft(path: string): void {
  const folder = dirname(path);
  const start = `${basename(path)}.`;
  for (const name of attempt(path, () => readdirSync(folder))) {
    const pid = name.startsWith(start) ? /^(\d+)\.partial$/.exec(name.slice(start.length))?.[1] : undefined;
    if (pid !== undefined && !processExists(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}

/** A file for what disks hold at a moment. */
export function temporaryFile(): TemporaryFile {
  const name = join(tmpdir(), `memvisor-${process.pid}-${Math.random().toString(36).slice(2)}.frozen`);
  const descriptor = attempt(name, () => openSync(name, "wx+", 0o600));
  return {
    name,
    descriptor,
    [Symbol.dispose]: () => {
      closeSync(descriptor);
      rmSync(name, { force: true });
    },
  };
}

function readFully(fd: number, offset: number, target: Uint8Array): number {
  let done = 0;
  for (let got = 1; got > 0 && done < target.length; done += got)
    got = readSync(fd, target, done, target.length - done, offset + done);
  return done;
}

/** The name, too, is on the disk then. Windows has no such thing. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function secretOf(key: string): string {
  try {
    return readSecret(key);
  } catch (error) {
    throw error instanceof SecretError ? new SnapshotError(`the key ${error.message}`) : error;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "it may not be opened",
  EISDIR: "it is a folder",
  ENOSPC: "the disk is full",
};

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SnapshotError(`${path}: ${reasons[code ?? ""] ?? message}`);
  }
}
