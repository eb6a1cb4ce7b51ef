/**
 * Makes an image, a kernel and an initramfs, out of an archive's packages.
 *
 * Law: the same packages, extras and builder version give the same bytes.
 */

import { collect } from "./archive/byte-source.ts";
import { type Compression, type Decompress, readDeb } from "./archive/deb.ts";
import type { TarEntry } from "./archive/tar.ts";
import { builderVersion } from "./builder-version.ts";
import type { DebianPackage, PackageIndex } from "./debian/package-index.ts";
import type { DebianArchive } from "./debian/repository.ts";
import { resolve } from "./debian/resolve.ts";
import { type Keep, RootTree } from "./debian/root-tree.ts";
import { contentOf, type DiskTree } from "./disk/disk-tree.ts";
import { ExtraPackages } from "./extras.ts";
import { FileTree } from "./file-tree.ts";
import { ImageError } from "./image-error.ts";
import { addModules, packInitramfs, startTree } from "./initramfs.ts";
import { maybeWanted, selectModules } from "./modules.ts";
import type { OnProgress } from "./progress.ts";
import type { ImageReference } from "./reference.ts";

/** Where packages come from: each way to an archive is one of these. */
export interface PackageSource {
  readonly archives: readonly DebianArchive[];
  /** The archive's lists, fetched anew and verified. */
  refresh(reference: ImageReference, onProgress: OnProgress): Promise<PackageIndex>;
  /** Brings packages here all at once, where that is faster than one by one. */
  fetchAll(wanted: readonly DebianPackage[], onProgress: OnProgress): Promise<void>;
  /** The package's file, verified against its list. */
  fetch(wanted: DebianPackage, onProgress: OnProgress): Promise<Uint8Array>;
}

/** What `image.json` keeps. */
export interface ImageRecord {
  readonly reference: string;
  readonly builderVersion: number;
  readonly kernelVersion: string;
  readonly extras: readonly string[];
  readonly packages: readonly PackageRecord[];
  /** Of an image whose root is a disk. */
  readonly disk?: DiskRecord;
  /** Of one that was not made of packages: out of what, and whose kernel it has. */
  readonly imported?: { readonly source: string; readonly kernelImage: string };
}

export interface DiskRecord {
  readonly sizeBytes: number;
  /** What was put into it. */
  readonly contentBytes: number;
  /** Whether the packages' own scripts have run. */
  readonly configured?: boolean;
  /** How its programs are to be started, where that was said. */
  readonly defaults?: ProgramDefaults;
}

/** What an image says of the programs in it. */
export interface ProgramDefaults {
  readonly environment: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly user?: string;
  readonly command: readonly string[];
}

export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

export interface BuiltImage {
  readonly record: ImageRecord;
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  /** The root disk's files, where there is to be one. */
  readonly root?: DiskTree;
}

export interface Workshop {
  readonly source: PackageSource;
  readonly index: PackageIndex;
  readonly decompress: Decompress;
  /** The program that runs the host's commands (src/agent). */
  readonly agent: Uint8Array;
  /** Puts a file of a root disk away until the disk is written. */
  readonly keep: Keep;
  readonly md5: (bytes: Uint8Array) => string;
  readonly onProgress: OnProgress;
}

/** Whether an image is what the archive would give today. */
export function isCurrent(record: ImageRecord, reference: ImageReference, wish: Wish, index: PackageIndex): boolean {
  const names = new Set(record.packages.map((each) => each.name));
  return (
    record.builderVersion === builderVersion &&
    wish.disk === (record.disk !== undefined) &&
    wish.extras.every((each) => record.extras.includes(each)) &&
    names.has(kernelPackage(reference, index).name) &&
    record.packages.every((each) => index.find({ name: each.name })?.sha256 === each.sha256)
  );
}

/** What is put in besides a kernel: into memory with it, or a whole Debian on a disk. */
export interface Wish {
  readonly extras: readonly string[];
  readonly disk: boolean;
}

export async function buildImage(
  reference: ImageReference,
  { extras, disk }: Wish,
  workshop: Workshop,
): Promise<BuiltImage> {
  const used: DebianPackage[] = [];
  const take = (wanted: DebianPackage, pick?: (path: string) => boolean): Promise<TarEntry[]> => {
    used.push(wanted);
    return unpack(wanted, workshop, pick);
  };
  const tree = new FileTree();
  startTree(tree, reference.name, workshop.agent);

  const kernelDeb = kernelPackage(reference, workshop.index);
  const kernelFiles = await take(kernelDeb, wantedOfKernel);
  const kernel = kernelFiles.find((entry) => /^boot\/vmlinuz-/.test(entry.path));
  if (!kernel) throw new ImageError("bad-package", `the package ${kernelDeb.name} has no kernel in it`);
  const kernelVersion = kernel.path.slice("boot/vmlinuz-".length);
  await addKernelModules(tree, kernelVersion, kernelFiles, workshop.decompress);

  const busybox = await take(workshop.index.get("busybox-static"), (path) => /^(usr\/)?bin\/busybox$/.test(path));
  if (busybox.length !== 1) throw new ImageError("bad-package", "the package busybox-static has no busybox in it");
  tree.entry(busybox[0]);

  let root: DiskTree | undefined;
  if (disk) {
    const packages = resolve(
      [...firstOnDisk, ...workshop.index.required(), ...alwaysOnDisk, ...extras],
      workshop.index,
    );
    used.push(...packages);
    root = await buildRoot(reference, packages, workshop);
    // The kernel is not of this root, but programs in it ask for its modules.
    for (const { path, data } of tree.files("usr/lib/modules/")) root.file(path, contentOf(data));
  } else {
    const packages = new ExtraPackages(tree, workshop.index, take);
    for (const name of extras) await packages.add(name);
  }

  return {
    kernel: kernel.data,
    initrd: packInitramfs(tree),
    ...(root && { root }),
    record: {
      reference: reference.name,
      builderVersion,
      kernelVersion,
      extras,
      packages: used.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
    },
  };
}

/** Beside what Debian calls essential: more can be installed from within. */
const alwaysOnDisk = ["apt"];
/** Before all others: it says that the tree is what `usrmerge`, and the whole of Perl with it, would make of it. */
const firstOnDisk = ["usr-is-merged"];

async function buildRoot(
  reference: ImageReference,
  packages: readonly DebianPackage[],
  { source, decompress, keep, md5, onProgress }: Workshop,
): Promise<DiskTree> {
  await source.fetchAll(packages, onProgress);
  const root = new RootTree(decompress, keep, md5);
  const totalBytes = packages.reduce((sum, each) => sum + each.installedBytes, 0);
  let doneBytes = 0;
  for (const each of packages) {
    onProgress({ phase: "unpack", what: each.name, doneBytes, totalBytes });
    await root.add(each, await source.fetch(each, onProgress));
    doneBytes += each.installedBytes;
  }
  root.finish({ hostname: "memvisor", image: reference.name, archives: source.archives });
  return root.tree;
}

/** The package with the kernel itself, which the meta package of the reference depends on. */
function kernelPackage(reference: ImageReference, index: PackageIndex): DebianPackage {
  const meta = index.get(reference.kernelPackage);
  const wanted = meta.depends.flat().find((each) => each.name.startsWith("linux-image-"));
  const found = wanted && index.find(wanted);
  if (!found) throw new ImageError("no-package", `the archive does not have the kernel that ${meta.name} asks for`);
  return found;
}

const moduleFile = /^(?:usr\/)?lib\/modules\/[^/]+\/(.+)$/;

const wantedOfKernel = (path: string): boolean => {
  const inVersion = moduleFile.exec(path)?.[1];
  return /^boot\/vmlinuz-/.test(path) || inVersion === "modules.builtin" || maybeWanted(inVersion ?? "");
};

async function addKernelModules(
  tree: FileTree,
  version: string,
  files: readonly TarEntry[],
  decompress: Decompress,
): Promise<void> {
  const byPath = new Map(
    files.flatMap((entry) => {
      const path = moduleFile.exec(entry.path)?.[1];
      return path ? [[path, entry.data] as const] : [];
    }),
  );
  const load = async (path: string): Promise<Uint8Array> => {
    const compression = moduleCompressions[path.slice(path.lastIndexOf(".") + 1)] ?? "none";
    return collect(decompress(compression, byPath.get(path) ?? new Uint8Array(0)));
  };
  const paths = [...byPath.keys()].filter(maybeWanted);
  const set = await selectModules(paths, load);
  addModules(tree, version, set, byPath.get("modules.builtin") ?? new Uint8Array(0));
}

const moduleCompressions: Record<string, Compression> = { xz: "xz", gz: "gzip", zst: "zstd" };

async function unpack(
  wanted: DebianPackage,
  workshop: Workshop,
  pick: (path: string) => boolean = () => true,
): Promise<TarEntry[]> {
  const { source, decompress, onProgress } = workshop;
  const bytes = await source.fetch(wanted, onProgress);
  const entries: TarEntry[] = [];
  let doneBytes = 0;
  const report = (): void =>
    onProgress({ phase: "unpack", what: wanted.name, doneBytes, totalBytes: wanted.installedBytes });
  report();
  for await (const entry of readDeb(bytes, decompress, (header) => {
    doneBytes += header.sizeBytes;
    report();
    return pick(header.path);
  })) {
    entries.push(entry);
  }
  return entries;
}
