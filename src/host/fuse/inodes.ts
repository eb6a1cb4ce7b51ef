/**
 * The nodes of a tree that the kernel knows, by its numbers.
 *
 * Law: a path has one number while the kernel knows it; it is forgotten when all that it was told of it was forgotten.
 */
import { ShareError } from "#devices/fuse";
import type { MemoryFile, MemoryFolder, MemoryNode } from "#introspect/memory-files";

export interface Inode {
  readonly number: number;
  readonly path: string;
  /** As it was last found. */
  node: MemoryNode;
  lookups: number;
}

const rootNumber = 1;

export class Inodes {
  readonly #byNumber = new Map<number, Inode>();
  readonly #byPath = new Map<string, Inode>();
  #next = rootNumber;

  constructor(root: MemoryFolder) {
    this.found("", root);
  }

  /** The kernel is told of what is at this path. */
  found(path: string, node: MemoryNode): Inode {
    const known = this.#byPath.get(path);
    const inode = known ?? { number: this.#next++, path, node, lookups: 0 };
    inode.node = node;
    inode.lookups++;
    this.#byNumber.set(inode.number, inode);
    this.#byPath.set(path, inode);
    return inode;
  }

  forget(number: number, count: number): void {
    const inode = this.#byNumber.get(number);
    if (inode === undefined || number === rootNumber) return;
    inode.lookups -= count;
    if (inode.lookups > 0) return;
    this.#byNumber.delete(number);
    if (this.#byPath.get(inode.path) === inode) this.#byPath.delete(inode.path);
  }

  /** What is at the path is removed: the next one there is another. */
  removed(path: string): void {
    this.#byPath.delete(path);
  }

  at(number: number): Inode {
    const inode = this.#byNumber.get(number);
    if (inode === undefined) throw new ShareError("ESTALE");
    return inode;
  }

  folder(number: number): MemoryFolder {
    const { node } = this.at(number);
    if (node.kind !== "folder") throw new ShareError("ENOTDIR");
    return node;
  }

  file(number: number): MemoryFile {
    const { node } = this.at(number);
    if (node.kind !== "file") throw new ShareError("EISDIR");
    return node;
  }
}
