/**
 * Packages that a user wants in an image, with what they need to run.
 *
 * The dependencies of a package say more than its programs need at run time (a tool that draws one picture depends on a
 * whole graphics stack with a compiler in it). So a package asked for, and every program package that it depends on, goes
 * in whole; of packages of libraries only the shared objects that something in the image is linked against (`DT_NEEDED`).
 * A library's own packages are fetched when a soname is still missing, so most of a deep closure is never downloaded.
 */
import { readLinkNeeds } from "./archive/elf.ts";
import type { TarEntry } from "./archive/tar.ts";
import type { DebianPackage, PackageIndex } from "./debian/package-index.ts";
import type { FileTree } from "./file-tree.ts";
import { ImageError } from "./image-error.ts";

/** Of use to installation scripts alone, which are never run. */
const onlyForInstallation = new Set([
  "debconf",
  "debconf-2.0",
  "dpkg",
  "adduser",
  "init-system-helpers",
  "lsb-base",
  "sysvinit-utils",
  "install-info",
]);

/** Left out of every package: nobody reads them in a guest that lives in memory. */
const notCarried = /^usr\/share\/(doc|man|info|locale|lintian|bug|doc-base|bash-completion|zsh)\//;
const standardFolder = /^(usr\/)?(lib64|lib|lib\/x86_64-linux-gnu)\/[^/]+$/;

export type Unpack = (wanted: DebianPackage) => Promise<TarEntry[]>;

export class ExtraPackages {
  readonly #tree: FileTree;
  readonly #index: PackageIndex;
  readonly #unpack: Unpack;
  readonly #whole = new Set<string>();
  /** Shared objects by base name, out of library packages that were fetched. */
  readonly #pool = new Map<string, { entry: TarEntry; owner: DebianPackage }[]>();
  readonly #pooled = new Set<string>();

  constructor(tree: FileTree, index: PackageIndex, unpack: Unpack) {
    this.#tree = tree;
    this.#index = index;
    this.#unpack = unpack;
  }

  async add(name: string): Promise<void> {
    await this.#addWhole(this.#index.get(name));
  }

  async #addWhole(wanted: DebianPackage): Promise<void> {
    if (this.#whole.has(wanted.name)) return;
    this.#whole.add(wanted.name);
    const entries = (await this.#unpack(wanted)).filter((entry) => !notCarried.test(`${entry.path}/`));
    for (const each of entries) this.#tree.entry(each);
    for (const each of entries) await this.#link(each, wanted);
    for (const each of this.#dependencies(wanted)) {
      if (!isLibrary(each) && !onlyForInstallation.has(each.name)) await this.#addWhole(each);
    }
  }

  /** Puts in whatever a file is linked against. `owner`'s dependencies say where to look. */
  async #link(entry: TarEntry, owner: DebianPackage): Promise<void> {
    if (entry.kind !== "file") return;
    const { needed, interpreter } = readLinkNeeds(entry.data);
    const names = interpreter ? [...needed, baseName(interpreter)] : needed;
    for (const name of names) await this.#addLibrary(name, owner);
  }

  async #addLibrary(soname: string, owner: DebianPackage): Promise<void> {
    if (this.#has(soname)) return;
    for (const candidate of this.#dependencies(owner).filter(isLibrary).sort(closestTo(soname))) {
      if (this.#pool.has(soname)) break;
      await this.#fillPool(candidate);
    }
    const found = this.#pool.get(soname);
    if (!found) {
      throw new ImageError("bad-package", `${owner.name} needs ${soname}, which none of its dependencies has`);
    }
    for (const { entry } of found) this.#place(entry, soname);
    for (const { entry, owner: from } of found) {
      if (entry.kind === "symlink") await this.#addLibrary(baseName(entry.target), from);
      await this.#link(entry, from);
    }
  }

  #has(soname: string): boolean {
    return ["lib/x86_64-linux-gnu", "lib", "lib64"].some((folder) => this.#tree.has(`usr/${folder}/${soname}`));
  }

  /** A library in a folder of its own gets a link where the loader looks: what update-alternatives would make. */
  #place(entry: TarEntry, soname: string): void {
    this.#tree.entry(entry);
    if (!standardFolder.test(entry.path)) this.#tree.symlink(`usr/lib/x86_64-linux-gnu/${soname}`, `/${entry.path}`);
  }

  async #fillPool(library: DebianPackage): Promise<void> {
    if (this.#pooled.has(library.name)) return;
    this.#pooled.add(library.name);
    for (const entry of await this.#unpack(library)) {
      const name = baseName(entry.path);
      if (!/\.so(\.|$)/.test(name) || (entry.kind !== "file" && entry.kind !== "symlink")) continue;
      const list = this.#pool.get(name) ?? [];
      this.#pool.set(name, [...list, { entry, owner: library }]);
    }
  }

  /** One package for each dependency: one that is in already, else the first alternative that the archive has. */
  #dependencies(of: DebianPackage): DebianPackage[] {
    return of.depends.flatMap((alternatives) => {
      const found = alternatives.flatMap((each) => this.#index.find(each) ?? []);
      const chosen = found.find((each) => this.#whole.has(each.name)) ?? found[0];
      // A dependency between library packages may point back at the package itself.
      return chosen && chosen.name !== of.name ? [chosen] : [];
    });
  }
}

const isLibrary = (each: DebianPackage): boolean => /(^|\/)(libs|oldlibs)$/.test(each.section);

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** `libgcc_s.so.1` is most likely in `libgcc-s1`: look there first. */
function closestTo(soname: string): (a: DebianPackage, b: DebianPackage) => number {
  const guess = soname
    .toLowerCase()
    .replace(/\.so\.?/, "")
    .replaceAll("_", "-");
  const distance = (each: DebianPackage): number => (each.name === guess ? 0 : each.name.startsWith(guess) ? 1 : 2);
  return (a, b) => distance(a) - distance(b);
}
