/**
 * The files of a root disk before they are written: what several archives say, one over the other.
 *
 * Law: nothing ever leaves the tree. Symbolic links in a path are followed as the guest's kernel would with the tree as its
 * root, `..` stops there, and a path that needs more than `mostLinks` of them is refused. A later entry takes the place of an
 * earlier one, except that a folder stays a folder with what is in it.
 */
import type { ByteStream } from "../archive/byte-source.ts";
import type { TarHeader } from "../archive/tar.ts";
import { ImageError } from "../image-error.ts";

/** A file's bytes, kept somewhere until the disk is written. */
export interface Content {
  readonly sizeBytes: number;
  read(): ByteStream;
}

export interface Owner {
  readonly mode: number;
  readonly user: number;
  readonly group: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

export type DiskNode = DiskFolder | DiskFile | DiskLink | DiskDevice;

export interface DiskFolder {
  readonly kind: "folder";
  owner: Owner;
  readonly children: Map<string, DiskNode>;
}

export interface DiskFile {
  readonly kind: "file";
  readonly owner: Owner;
  readonly content: Content;
}

export interface DiskLink {
  readonly kind: "symlink";
  readonly owner: Owner;
  readonly target: string;
}

export interface DiskDevice {
  readonly kind: "character" | "block" | "fifo";
  readonly owner: Owner;
  readonly device: readonly [major: number, minor: number];
}

export const rootOwner: Owner = { mode: 0o755, user: 0, group: 0, modified: 0 };

const mostLinks = 40;
const longestName = 255;
const deepestPath = 4096;
/** More than any distribution has; a tree of them takes some hundred MiB here. */
const mostNodes = 2_000_000;

export class DiskTree {
  readonly root: DiskFolder = { kind: "folder", owner: rootOwner, children: new Map() };
  #nodes = 1;
  #bytes = 0;
  #newest = 0;

  /** All files' bytes. A file that was replaced counts too. */
  get contentBytes(): number {
    return this.#bytes;
  }

  get nodes(): number {
    return this.#nodes;
  }

  /** The latest time of a file, in seconds since 1970. */
  get newest(): number {
    return this.#newest;
  }

  find(path: string): DiskNode | undefined {
    const { folder, name } = this.#place(path, false) ?? {};
    if (folder === undefined) return undefined;
    return name === "" || name === undefined ? folder : folder.children.get(name);
  }

  folder(path: string, owner: Partial<Owner> = {}): void {
    const whole = { ...rootOwner, ...owner };
    const { folder, name } = this.#place(path, true);
    if (name === "") {
      folder.owner = whole;
      return;
    }
    const there = folder.children.get(name);
    // A package may have a folder where the tree has a link to one, as in a tree with merged /usr.
    const meant = there?.kind === "symlink" ? this.#follow(path) : there;
    if (meant?.kind === "folder") meant.owner = there === meant ? whole : meant.owner;
    else this.#put(folder, name, { kind: "folder", owner: whole, children: new Map() });
  }

  file(path: string, content: Content, owner: Partial<Owner> = {}): void {
    const { folder, name } = this.#place(path, true);
    this.#bytes += content.sizeBytes;
    this.#newest = Math.max(this.#newest, owner.modified ?? 0);
    this.#put(folder, name, { kind: "file", owner: { ...rootOwner, mode: 0o644, ...owner }, content });
  }

  symlink(path: string, target: string, owner: Partial<Owner> = {}): void {
    if (target === "" || target.includes("\0") || target.length > deepestPath - 1) {
      throw broken(`the link ${path} has no target that can be`);
    }
    const { folder, name } = this.#place(path, true);
    this.#put(folder, name, { kind: "symlink", owner: { ...rootOwner, ...owner, mode: 0o777 }, target });
  }

  /** Another name of what is at `target`. */
  link(path: string, target: string): void {
    const original = this.find(target);
    if (!original || original.kind === "folder") throw broken(`${path} is a link to ${target}, which is no file there`);
    const { folder, name } = this.#place(path, true);
    this.#put(folder, name, original);
  }

  device(path: string, kind: DiskDevice["kind"], device: DiskDevice["device"], owner: Partial<Owner> = {}): void {
    if (device.some((each) => each > 0xfffff)) throw broken(`${path} is a device that no kernel has`);
    const { folder, name } = this.#place(path, true);
    this.#put(folder, name, { kind, device, owner: { ...rootOwner, ...owner } });
  }

  /** Whether there was something. */
  remove(path: string): boolean {
    const { folder, name } = this.#place(path, false) ?? {};
    return folder !== undefined && name !== undefined && folder.children.delete(name);
  }

  /** What is in a folder; nothing where there is none. */
  names(path: string): string[] {
    const node = this.find(path);
    return node?.kind === "folder" ? [...node.children.keys()] : [];
  }

  /** One entry of an archive; `keep` puts a file's bytes away. */
  async entry(header: TarHeader, body: ByteStream, keep: (body: ByteStream, sizeBytes: number) => Promise<Content>) {
    const { path, kind, mode, user, group, modified, target, device } = header;
    if (user > 0xffffffff || group > 0xffffffff) throw broken(`${path} has an owner that no kernel has`);
    const owner = { mode, user, group, modified: Math.min(Math.max(modified, 0), 0xffffffff) };
    switch (kind) {
      case "directory":
        return this.folder(path, owner);
      case "file":
        return this.file(path, await keep(body, header.sizeBytes), owner);
      case "symlink":
        return this.symlink(path, target, owner);
      case "link":
        return this.link(path, target);
      case "character":
      case "block":
      case "fifo":
        return this.device(path, kind, device, owner);
      case "other":
        throw broken(`${path} is of a kind that is not known here`);
    }
  }

  #put(folder: DiskFolder, name: string, node: DiskNode): void {
    if (!folder.children.has(name) && ++this.#nodes > mostNodes) throw broken(`it has more than ${mostNodes} files`);
    folder.children.set(name, node);
  }

  /** The folder in which `path` lies, links in it followed, and its last name; undefined where there is none. */
  #place(path: string, make: true): { folder: DiskFolder; name: string };
  #place(path: string, make: boolean): { folder: DiskFolder; name: string } | undefined;
  #place(path: string, make: boolean): { folder: DiskFolder; name: string } | undefined {
    const parts = partsOf(path);
    const name = parts.pop() ?? "";
    const folder = this.#walk(parts, make);
    return folder && { folder, name };
  }

  #follow(path: string): DiskNode | undefined {
    return this.#walk(partsOf(path), false);
  }

  /** The folder at the end of a path. */
  #walk(parts: readonly string[], make: boolean): DiskFolder | undefined {
    let trail: DiskFolder[] = [this.root];
    const rest = [...parts].reverse();
    let links = 0;
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === ".") continue;
      if (name === "..") {
        if (trail.length > 1) trail.pop();
        continue;
      }
      const folder = trail[trail.length - 1];
      const child = folder.children.get(name);
      if (child?.kind === "folder") trail.push(child);
      else if (child?.kind === "symlink") {
        if (++links > mostLinks) throw broken(`the path ${parts.join("/")} is a circle of links`);
        if (child.target.startsWith("/")) trail = [this.root];
        rest.push(...child.target.split("/").filter(Boolean).reverse());
      } else if (!make) return undefined;
      else {
        const made: DiskFolder = { kind: "folder", owner: rootOwner, children: new Map() };
        this.#put(folder, name, made);
        trail.push(made);
      }
    }
    return trail[trail.length - 1];
  }
}

function partsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || path.includes("\0")) throw broken(`the name ${JSON.stringify(path)} leaves the tree`);
  if (path.length > deepestPath || parts.some((part) => encoder.encode(part).length > longestName)) {
    throw broken(`a name is too long: ${path.slice(0, 100)}`);
  }
  return parts;
}

const encoder = new TextEncoder();

export const contentOf = (data: Uint8Array | string): Content => {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return {
    sizeBytes: bytes.length,
    async *read() {
      yield bytes;
    },
  };
};

const broken = (why: string): ImageError => new ImageError("bad-tree", `this cannot be a root disk: ${why}`);
