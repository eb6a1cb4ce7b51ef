/**
 * The files of an initramfs, gathered from packages: one usr-merged tree, parents before children.
 *
 * Law: no path leaves the tree, and what came first stays: a package cannot replace our own files.
 */

import { type CpioEntry, fileType } from "./archive/cpio.ts";
import { cleanPath, type TarEntry } from "./archive/tar.ts";

const encoder = new TextEncoder();
const nothing = new Uint8Array(0);

/** Debian's packages may still write to these; they are links to the folders below /usr. */
const merged = ["bin", "sbin", "lib", "lib64"];

export class FileTree {
  readonly #entries = new Map<string, CpioEntry>();

  constructor() {
    for (const name of merged) {
      this.directory(`usr/${name}`);
      this.symlink(name, `usr/${name}`);
    }
  }

  has(path: string): boolean {
    return this.#entries.has(place(path));
  }

  directory(path: string, mode = 0o755): void {
    this.#add(path, { mode: fileType.directory | mode, data: nothing });
  }

  file(path: string, data: Uint8Array | string, mode = 0o644): void {
    this.#add(path, { mode: fileType.file | mode, data: typeof data === "string" ? encoder.encode(data) : data });
  }

  symlink(path: string, target: string): void {
    this.#add(path, { mode: fileType.symlink | 0o777, data: encoder.encode(target) });
  }

  characterDevice(path: string, major: number, minor: number, mode: number): void {
    this.#add(path, { mode: fileType.character | mode, data: nothing, device: [major, minor] });
  }

  /** One entry of a package. Hard links become copies; devices and the like are left out. */
  entry(entry: TarEntry): void {
    if (entry.path === "" || merged.includes(entry.path)) return;
    if (entry.kind === "directory") this.directory(entry.path, entry.mode);
    else if (entry.kind === "symlink") this.symlink(entry.path, entry.target);
    else if (entry.kind === "file") this.file(entry.path, entry.data, entry.mode);
    else if (entry.kind === "link") {
      const original = this.#entries.get(place(entry.target));
      if (original) this.#add(entry.path, { mode: original.mode, data: original.data });
    }
  }

  /** The files, not folders or links, whose paths begin so. */
  files(prefix: string): CpioEntry[] {
    return this.entries().filter(({ path, mode }) => path.startsWith(prefix) && (mode & 0o170000) === fileType.file);
  }

  entries(): CpioEntry[] {
    const all = [...this.#entries.values()];
    // Folders first, outer before inner: nothing is made before the folder that it lies in.
    const rank = (entry: CpioEntry): number => ((entry.mode & 0o170000) === fileType.directory ? 0 : 1);
    const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
    return all.sort((a, b) => rank(a) - rank(b) || text(a.path, b.path));
  }

  #add(path: string, entry: Omit<CpioEntry, "path">): void {
    const at = place(path);
    if (this.#entries.has(at)) return;
    const slash = at.lastIndexOf("/");
    if (slash > 0) this.directory(at.slice(0, slash));
    this.#entries.set(at, { path: at, ...entry });
  }
}

/** A path as it lies in a usr-merged tree. */
function place(path: string): string {
  const clean = cleanPath(path);
  return merged.some((name) => clean.startsWith(`${name}/`)) ? `usr/${clean}` : clean;
}
