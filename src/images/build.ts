/**
 * Makes an image, a kernel and an initramfs, out of an archive's packages.
 *
 * Law: the same packages, extras and builder version give the same bytes.
 */
import { collect } from "./archive/byte-source.ts";
import { type Compression, type Decompress, readDeb } from "./archive/deb.ts";
import type { TarEntry } from "./archive/tar.ts";
import type { DebianPackage, PackageIndex } from "./debian/package-index.ts";
import { ExtraPackages } from "./extras.ts";
import { FileTree } from "./file-tree.ts";
import { ImageError } from "./image-error.ts";
import { addModules, builderVersion, packInitramfs, startTree } from "./initramfs.ts";
import { maybeWanted, selectModules } from "./modules.ts";
import type { OnProgress } from "./progress.ts";
import type { ImageReference } from "./reference.ts";

/** Where packages come from: each way to an archive is one of these. */
export interface PackageSource {
  /** The archive's lists, fetched anew and verified. */
  refresh(reference: ImageReference, onProgress: OnProgress): Promise<PackageIndex>;
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
}

export interface Workshop {
  readonly source: PackageSource;
  readonly index: PackageIndex;
  readonly decompress: Decompress;
  /** The program that runs the host's commands (src/agent). */
  readonly agent: Uint8Array;
  readonly onProgress: OnProgress;
}

/** Whether an image is what the archive would give today. */
export function isCurrent(
  record: ImageRecord,
  reference: ImageReference,
  extras: readonly string[],
  index: PackageIndex,
): boolean {
  const names = new Set(record.packages.map((each) => each.name));
  return (
    record.builderVersion === builderVersion &&
    extras.every((each) => record.extras.includes(each)) &&
    names.has(kernelPackage(reference, index).name) &&
    record.packages.every((each) => index.find({ name: each.name })?.sha256 === each.sha256)
  );
}

export async function buildImage(
  reference: ImageReference,
  extras: readonly string[],
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

  const packages = new ExtraPackages(tree, workshop.index, take);
  for (const name of extras) await packages.add(name);

  return {
    kernel: kernel.data,
    initrd: packInitramfs(tree),
    record: {
      reference: reference.name,
      builderVersion,
      kernelVersion,
      extras,
      packages: used.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
    },
  };
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
