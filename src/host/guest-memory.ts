/** What guest memory takes of this host while no frame holds it: files, a codec and a cipher. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import type { MemoryFile, MemoryServices, PageCipher } from "#memory";
import { childProcess, crypto, zlib } from "./late.ts";

export const memoryServices: MemoryServices = {
  codec: {
    compress(bytes) {
      const { constants, zstdCompressSync } = zlib();
      return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
    },
    decompress: (bytes, maxOutputLength) => zlib().zstdDecompressSync(bytes, { maxOutputLength }),
  },
  newCipher,
  newFile,
};

const algorithm = "aes-256-gcm";
const tagBytes = 16;

/** AES-256-GCM (NIST SP 800-38D) under a key of its own, which is nowhere but here. The version is the nonce, the page's number is authenticated. */
function newCipher(): PageCipher {
  const { createCipheriv, createDecipheriv, randomBytes } = crypto();
  const key = randomBytes(32);
  const nonce = Buffer.alloc(12);
  const additional = Buffer.alloc(8);
  const name = (page: number, version: number): void => {
    nonce.writeBigUInt64LE(BigInt(version));
    additional.writeBigUInt64LE(BigInt(page));
  };
  return {
    name: "AES-256-GCM",
    tagBytes,
    seal(page, version, source, target, tag) {
      name(page, version);
      const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(additional);
      target.set(cipher.update(source));
      cipher.final();
      tag.set(cipher.getAuthTag());
    },
    open(page, version, source, tag, target) {
      name(page, version);
      const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
      decipher.setAAD(additional).setAuthTag(tag);
      try {
        target.set(decipher.update(source));
        decipher.final();
        return true;
      } catch {
        return false;
      }
    },
  };
}

const reasons: Readonly<Record<string, string>> = {
  EEXIST: "the file is there already: name another one, or remove it",
  ENOENT: "there is no such folder",
  EACCES: "it may not be written",
  EISDIR: "it is a folder",
  ENOSPC: "the disk is full",
};

/** Holes are punched many at a time: it takes the program `fallocate`, since Node has no call for it. */
const holeBytes = 8 << 20;

/** For its owner's eyes only, and gone at the end. */
function newFile(path: string): MemoryFile {
  const attempt = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new Error(`${path}: ${reasons[code ?? ""] ?? message}`);
    }
  };
  const fd = attempt(() => openSync(path, "wx+", 0o600));
  const holes = new Holes(path);
  return {
    name: path,
    get sizeBytes() {
      const { size, blocks } = fstatSync(fd);
      // Windows counts no blocks.
      return blocks === undefined ? size : Math.min(size, blocks * 512);
    },
    read: (offset, target) => attempt(() => readFully(fd, offset, target)),
    write: (offset, source) => {
      holes.fill(offset);
      for (let done = 0; done < source.length; )
        done += attempt(() => writeSync(fd, source, done, source.length - done, offset + done));
    },
    punch: (offset, length) => holes.punch(offset, length),
    truncate: (sizeBytes) => attempt(() => ftruncateSync(fd, sizeBytes)),
    sync: () => attempt(() => fsyncSync(fd)),
    [Symbol.dispose]: () => {
      closeSync(fd);
      rmSync(path, { force: true });
    },
  };
}

function readFully(fd: number, offset: number, target: Uint8Array): number {
  let done = 0;
  for (let got = 1; got > 0 && done < target.length; done += got)
    got = readSync(fd, target, done, target.length - done, offset + done);
  return done;
}

/** Pages that are holes and have their blocks still. */
class Holes {
  readonly #path: string;
  readonly #offsets = new Set<number>();
  #bytes = 0;
  #works = process.platform === "linux";

  constructor(path: string) {
    this.#path = path;
  }

  punch(offset: number, length: number): boolean {
    if (!this.#works) return false;
    this.#offsets.add(offset);
    this.#bytes += length;
    if (this.#bytes >= holeBytes) this.#giveBack(length);
    return this.#works;
  }

  fill(offset: number): void {
    this.#offsets.delete(offset);
  }

  #giveBack(pageBytes: number): void {
    const offsets = [...this.#offsets].sort((a, b) => a - b);
    this.#offsets.clear();
    this.#bytes = 0;
    for (let n = 0; n < offsets.length && this.#works; ) {
      let end = n + 1;
      while (end < offsets.length && offsets[end] === offsets[end - 1] + pageBytes) end++;
      const length = (end - n) * pageBytes;
      // A process for each run: small ones are not worth it.
      if (length >= leastHoleBytes) {
        const words = ["--punch-hole", "--offset", String(offsets[n]), "--length", String(length), this.#path];
        this.#works = childProcess().spawnSync("fallocate", words, { stdio: "ignore" }).status === 0;
      }
      n = end;
    }
  }
}

const leastHoleBytes = 256 * 1024;
