/** Snapshots as files of this host. */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import type { NewFile } from "#control";
import { SnapshotError, type SnapshotSource } from "#snapshot";

export interface SnapshotFile extends SnapshotSource, Disposable {}

/** For a machine it stays open as long as its thread lives: pages are read when the guest touches them. */
export function openFile(path: string): SnapshotFile {
  const fd = attempt(path, () => openSync(path, "r"));
  return {
    [Symbol.dispose]: () => closeSync(fd),
    name: path,
    sizeBytes: fstatSync(fd).size,
    read: (offset, target) => attempt(path, () => readFully(fd, offset, target)),
    open: (name) => openFile(resolve(dirname(path), name)),
  };
}

/** Written beside `path`, and renamed to it when it is on the disk. */
export function createFile(path: string): NewFile {
  const aside = `${path}.${process.pid}.partial`;
  const fd = attempt(path, () => openSync(aside, "w"));
  return {
    descriptor: fd,
    nameOf: (other) => relative(dirname(resolve(path)), resolve(other)),
    writeAt: (offset, bytes) => {
      for (let done = 0; done < bytes.length; )
        done += attempt(path, () => writeSync(fd, bytes, done, bytes.length - done, offset + done));
    },
    finish: () => {
      attempt(path, () => {
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
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SnapshotError(`${path}: ${reasons[code ?? ""] ?? message}`);
  }
}
