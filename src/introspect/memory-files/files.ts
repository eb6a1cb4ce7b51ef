/** The same tree by paths, for programs. */
import {
  type FileFacts,
  type FolderEntry,
  type MemoryFile,
  MemoryFileError,
  type MemoryFolder,
  type MemoryNode,
  type OpenMemoryFile,
} from "./node.ts";

export class MemoryFiles {
  readonly root: MemoryFolder;

  constructor(root: MemoryFolder) {
    this.root = root;
  }

  async list(path = ""): Promise<readonly FolderEntry[]> {
    return (await this.#folder(path)).entries();
  }

  async facts(path: string): Promise<FileFacts> {
    return (await this.#file(path)).facts();
  }

  async open(path: string): Promise<OpenMemoryFile> {
    return (await this.#file(path)).open();
  }

  /** From `offset` on, `bytes` of them or all there are. */
  async read(path: string, { offset = 0, bytes = Number.POSITIVE_INFINITY } = {}): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of this.stream(path, { offset, bytes })) {
      parts.push(part);
      length += part.length;
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** As `read`, in pieces. */
  async *stream(path: string, { offset = 0, bytes = Number.POSITIVE_INFINITY } = {}): AsyncGenerator<Uint8Array, void> {
    const file = await this.open(path);
    for (let done = 0; done < bytes; ) {
      const part = await file.read(offset + done, Math.min(bytes - done, pieceBytes));
      if (part.length === 0) return;
      yield part;
      done += part.length;
    }
  }

  async readText(path: string): Promise<string> {
    return new TextDecoder().decode(await this.read(path));
  }

  /** Writes all of it, or throws. */
  async write(path: string, data: Uint8Array, offset = 0): Promise<void> {
    const { write } = await this.open(path);
    if (!write) throw new MemoryFileError("EPERM", `${path} cannot be written to`);
    if ((await write(offset, data)) < data.length)
      throw new MemoryFileError(
        "ENXIO",
        `${path}: only the first bytes were written: the others may not be, or are no RAM`,
      );
  }

  /** Makes zeros of them, which take no memory. */
  async punch(path: string, offset: number, bytes: number): Promise<void> {
    const { punch } = await this.open(path);
    if (!punch) throw new MemoryFileError("EOPNOTSUPP", `${path} has no holes`);
    await punch(offset, bytes);
  }

  /** From then on nothing is written to it from outside, for good. */
  async seal(path: string): Promise<void> {
    const { seal } = await this.#file(path);
    if (!seal) throw new MemoryFileError("EOPNOTSUPP", `${path} cannot be sealed`);
    await seal();
  }

  /** Makes a log: `dirty/NAME`. */
  async make(path: string): Promise<void> {
    const { folder, name } = await this.#parent(path);
    if (!folder.make) throw new MemoryFileError("EPERM", `${path}: nothing can be made there`);
    await folder.make(name);
  }

  async remove(path: string): Promise<void> {
    const { folder, name } = await this.#parent(path);
    if (!folder.remove) throw new MemoryFileError("EPERM", `${path} cannot be removed`);
    await folder.remove(name);
  }

  /** What is there; undefined for nothing. */
  async find(path: string): Promise<MemoryNode | undefined> {
    let node: MemoryNode | undefined = this.root;
    for (const name of path.split("/").filter((each) => each !== "")) {
      if (node?.kind !== "folder") return undefined;
      node = await node.find(name);
    }
    return node;
  }

  async #file(path: string): Promise<MemoryFile> {
    const node = await this.find(path);
    if (node === undefined) throw new MemoryFileError("ENOENT", `there is no ${path}`);
    if (node.kind === "folder") throw new MemoryFileError("EISDIR", `${path} is a folder`);
    return node;
  }

  async #folder(path: string): Promise<MemoryFolder> {
    const node = await this.find(path);
    if (node === undefined) throw new MemoryFileError("ENOENT", `there is no ${path}`);
    if (node.kind === "file") throw new MemoryFileError("ENOTDIR", `${path} is no folder`);
    return node;
  }

  async #parent(path: string): Promise<{ folder: MemoryFolder; name: string }> {
    const names = path.split("/");
    const name = names.pop() ?? "";
    return { folder: await this.#folder(names.join("/")), name };
  }
}

const pieceBytes = 1 << 20;
