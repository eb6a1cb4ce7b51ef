/**
 * Pages in a folder: they outlive the server, which may be killed at any moment.
 *
 * An object is a file of records, one for each page in the order of their numbers: u32 version, u32 check, u32 1 (there is one), u32 0, the
 * page. A version counts from 1. The file has holes where there are no pages. What is written is in the host's page cache, and not forced to the
 * disk: after a crash of the host pages may be old or damaged, which their clients find out by version and check.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { idBytes, type KeptPage, type PageStore } from "#memory/remote";

const pageBytes = 4096;
const headBytes = 16;
const recordBytes = headBytes + pageBytes;
const suffix = ".pages";

/** The folder cannot be used: one line that says why. */
export class PageStoreError extends Error {
  override name = "PageStoreError";
}

interface StoredObject {
  readonly fd: number;
  /** Page -> its version. */
  readonly versions: Map<number, number>;
}

export class FilePageStore implements PageStore {
  readonly instance: Uint8Array;
  readonly #folder: string;
  readonly #most: number;
  readonly #objects = new Map<string, StoredObject>();
  #held = 0;

  /** Made where there is none. Throws `PageStoreError`. One server at a time uses a folder. */
  constructor(folder: string, mostPages: number) {
    this.#folder = folder;
    this.#most = mostPages;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.instance = instanceOf(folder);
      for (const name of readdirSync(folder)) if (name.endsWith(suffix)) this.#open(name.slice(0, -suffix.length));
    } catch (error) {
      throw new PageStoreError(`${folder}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  get pagesHeld(): number {
    return this.#held;
  }

  get objects(): Iterable<string> {
    return [...this.#objects.keys()];
  }

  write(object: string, page: number, { version, check, bytes }: KeptPage): boolean {
    const { fd, versions } = this.#objects.get(object) ?? this.#open(object);
    const before = versions.get(page);
    if (before !== undefined && before > version) return true;
    if (before === undefined && this.#held >= this.#most) return false;
    const record = new Uint8Array(recordBytes);
    record.set(new Uint8Array(Uint32Array.of(version, check, 1, 0).buffer));
    record.set(bytes, headBytes);
    try {
      for (let done = 0; done < recordBytes; )
        done += writeSync(fd, record, done, recordBytes - done, page * recordBytes + done);
    } catch {
      // The disk is full, or broken: the client keeps the page elsewhere. What stands here now has a version or a check that tells.
      return false;
    }
    if (before === undefined) this.#held++;
    versions.set(page, version);
    return true;
  }

  read(object: string, page: number): KeptPage | undefined {
    const stored = this.#objects.get(object);
    if (stored === undefined || !stored.versions.has(page)) return undefined;
    const record = new Uint8Array(recordBytes);
    if (readSync(stored.fd, record, 0, recordBytes, page * recordBytes) < recordBytes) return undefined;
    const [version, check] = new Uint32Array(record.buffer, 0, 2) as unknown as [number, number];
    return { version, check, bytes: record.subarray(headBytes) };
  }

  punch(object: string, first: number, count: number): void {
    const stored = this.#objects.get(object);
    if (stored === undefined) return;
    const { fd, versions } = stored;
    // A hole may be much larger than what is there.
    const inHole =
      count > versions.size
        ? [...versions.keys()].filter((page) => page >= first && page < first + count)
        : Array.from({ length: count }, (_, n) => first + n).filter((page) => versions.has(page));
    for (const page of inHole) {
      writeSync(fd, new Uint8Array(recordBytes), 0, recordBytes, page * recordBytes);
      versions.delete(page);
      this.#held--;
    }
  }

  drop(object: string): void {
    const stored = this.#objects.get(object);
    if (stored === undefined) return;
    this.#held -= stored.versions.size;
    this.#objects.delete(object);
    closeSync(stored.fd);
    rmSync(this.#path(object), { force: true });
  }

  close(): void {
    for (const { fd } of this.#objects.values()) closeSync(fd);
    this.#objects.clear();
  }

  #path(object: string): string {
    return join(this.#folder, object + suffix);
  }

  #open(object: string): StoredObject {
    const fd = openSync(this.#path(object), "a+", 0o600);
    closeSync(fd);
    const stored = { fd: openSync(this.#path(object), "r+"), versions: new Map<number, number>() };
    const pages = Math.ceil(fstatSync(stored.fd).size / recordBytes);
    const head = new Uint8Array(headBytes);
    const words = new Uint32Array(head.buffer);
    for (let page = 0; page < pages; page++) {
      head.fill(0);
      readSync(stored.fd, head, 0, headBytes, page * recordBytes);
      if (words[2] === 1) stored.versions.set(page, words[0] as number);
    }
    this.#held += stored.versions.size;
    this.#objects.set(object, stored);
    return stored;
  }
}

/** The folder's, made with it. */
function instanceOf(folder: string): Uint8Array {
  const path = join(folder, "instance");
  try {
    const found = readFileSync(path);
    if (found.length === idBytes) return found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const made = randomBytes(idBytes);
  writeFileSync(path, made, { mode: 0o600 });
  return made;
}
