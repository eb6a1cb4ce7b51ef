/** Files for disks (`DiskHost`), by Node: calls that wait, for a thread that may. */
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readvSync,
  unlinkSync,
  writeSync,
  writevSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { DiskError, type DiskFile, type DiskHost, type SnapshotFile } from "#disk";
import { SnapshotError } from "#snapshot";
import { childProcess, zlib } from "./late.ts";
import { type RawFile, SealedFile } from "./sealed-file.ts";
import { openFile } from "./snapshot-file.ts";

/** IOV_MAX of Linux. */
const maxPieces = 1024;
/** open(2) of BSD and macOS: take the lock with the file. */
const O_SHLOCK = 0x10;
const O_EXLOCK = 0x20;

const fdatasyncLater = promisify(fdatasync);

export const nodeDiskHost: DiskHost = {
  open(name, access) {
    const fd = openLocked(name, access);
    try {
      if (!fstatSync(fd).isFile()) throw new DiskError(`${name}: no regular file`);
      return new NodeDiskFile(name, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  },
  openSnapshot: openFrozen,
  writer({ descriptor, key }) {
    const file: RawFile = {
      name: "the snapshot",
      read: () => 0,
      writeAt: (offset, bytes) => {
        for (let done = 0; done < bytes.length; )
          done += attempt("the snapshot", () => writeSync(descriptor, bytes, done, bytes.length - done, offset + done));
      },
    };
    return key === undefined ? (file as Required<RawFile>) : SealedFile.join(file, key);
  },
  create: (name) =>
    new NodeDiskFile(
      name,
      attempt(name, () => openSync(name, "wx+", 0o600)),
    ),
  createTemporary() {
    const name = join(tmpdir(), `memvisor-${process.pid}-${Math.random().toString(36).slice(2)}.qcow2`);
    const fd = attempt(name, () => openSync(name, "wx+", 0o600));
    unlinkSync(name);
    return new NodeDiskFile(name, fd);
  },
  exists: existsSync,
  resolve: (from, name) => (from === "" ? resolve(name) : resolve(dirname(resolve(from)), name)),
  unpack(method, bytes, size) {
    try {
      // What follows the data in its last sector is something else.
      if (method === "deflate") return zlib().inflateRawSync(bytes, { maxOutputLength: size });
      return zlib().zstdDecompressSync(bytes, { maxOutputLength: size });
    } catch {
      throw new DiskError("damaged: a compressed cluster cannot be unpacked");
    }
  },
};

class NodeDiskFile implements DiskFile {
  readonly name: string;
  readonly #fd: number;
  readonly modifiedMs: number;
  #sizeBytes: number;
  #closed = false;

  constructor(name: string, fd: number) {
    this.name = name;
    this.#fd = fd;
    const { size, mtimeMs } = fstatSync(fd);
    this.#sizeBytes = size;
    this.modifiedMs = mtimeMs;
  }

  get hostFile(): number {
    return this.#fd;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(offset: number, ...targets: readonly Uint8Array[]): void {
    this.#transfer(offset, targets, (pieces, at) => {
      const count = readvSync(this.#fd, pieces, at);
      if (count > 0) return count;
      for (const piece of pieces) piece.fill(0);
      return pieces.reduce((sum, piece) => sum + piece.length, 0);
    });
  }

  write(offset: number, ...sources: readonly Uint8Array[]): void {
    const end = this.#transfer(offset, sources, (pieces, at) => writevSync(this.#fd, pieces, at));
    this.#sizeBytes = Math.max(this.#sizeBytes, end);
  }

  flush(): void {
    attempt(this.name, () => fdatasyncSync(this.#fd));
  }

  async flushLater(): Promise<void> {
    try {
      await fdatasyncLater(this.#fd);
    } catch (error) {
      throw new DiskError(errorText(this.name, error));
    }
  }

  resize(sizeBytes: number): void {
    attempt(this.name, () => ftruncateSync(this.#fd, sizeBytes));
    this.#sizeBytes = sizeBytes;
  }

  /** Node has no call for it; Linux has a program. It works on our open file, which it inherits. */
  punch(offset: number, length: number): Promise<boolean> {
    if (process.platform !== "linux") return Promise.resolve(false);
    const arguments_ = [
      "--punch-hole",
      "--keep-size",
      "--offset",
      `${offset}`,
      "--length",
      `${length}`,
      "/proc/self/fd/3",
    ];
    return new Promise((done) => {
      const child = childProcess().spawn("fallocate", arguments_, { stdio: ["ignore", "ignore", "ignore", this.#fd] });
      child.on("error", () => done(false));
      child.on("exit", (status) => done(status === 0));
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  /** Repeats `move`, which says how many bytes it did, until all pieces are done; gives where they end. */
  #transfer(offset: number, pieces: readonly Uint8Array[], move: (pieces: Uint8Array[], at: number) => number): number {
    let at = offset;
    let waiting = pieces.filter((piece) => piece.length > 0);
    while (waiting.length > 0) {
      let moved = attempt(this.name, () => move(waiting.slice(0, maxPieces), at));
      if (moved === 0) throw new DiskError(`${this.name}: nothing more can be written`);
      at += moved;
      while (moved > 0) {
        const [first] = waiting as [Uint8Array];
        if (moved < first.length) {
          waiting[0] = first.subarray(moved);
          break;
        }
        moved -= first.length;
        waiting = waiting.slice(1);
      }
    }
    return at;
  }
}

/** Opens a file and locks it for as long as it is open, against others that use it as a disk; the lock ends with the process. */
function openLocked(name: string, access: "read" | "write"): number {
  const flags = access === "read" ? constants.O_RDONLY : constants.O_RDWR;
  const bsd = process.platform === "darwin" || process.platform === "freebsd";
  if (bsd) {
    const lock = (access === "read" ? O_SHLOCK : O_EXLOCK) | constants.O_NONBLOCK;
    return attempt(name, () => openSync(name, flags | lock));
  }
  const fd = attempt(name, () => openSync(name, flags));
  if (process.platform !== "linux") return fd;
  // A lock of flock(2) belongs to the open file, which the program shares with us and leaves behind.
  const { status } = childProcess().spawnSync(
    "flock",
    ["--nonblock", access === "read" ? "--shared" : "--exclusive", "3"],
    {
      stdio: ["ignore", "ignore", "ignore", fd],
    },
  );
  if (status === 1) {
    closeSync(fd);
    throw new DiskError(
      `${name}: another machine uses this disk: end it, or open the disk in all of them read-only or with an overlay`,
    );
  }
  return fd;
}

function attempt<T>(name: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new DiskError(errorText(name, error));
  }
}

function errorText(name: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return `${name}: no such file: make one, as with truncate -s 4G ${name}`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `${name}: may not be opened for writing: give it to this user, or open it read-only or with an overlay`;
    case "EAGAIN":
    case "EWOULDBLOCK":
      return `${name}: another machine uses this disk: end it, or open the disk in all of them read-only or with an overlay`;
    case "EEXIST":
      return `${name}: there is a file of this name`;
    case "ENOSPC":
      return `${name}: the host's disk is full`;
    default:
      return `${name}: ${message}`;
  }
}

/** A snapshot, for what it has of disks. */
export function openFrozen(name: string, key: string | undefined): SnapshotFile {
  const file = ofSnapshot(() => openFile(resolve(name), key));
  return {
    name,
    read: (offset, ...targets) => {
      let at = offset;
      for (const target of targets) {
        if (ofSnapshot(() => file.read(at, target)) < target.length)
          throw new DiskError(`${name}: the snapshot is truncated`);
        at += target.length;
      }
    },
    close: () => file[Symbol.dispose](),
  };
}

/** Its errors are a disk's. */
function ofSnapshot<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof SnapshotError ? new DiskError(error.message) : error;
  }
}
