/**
 * Which kernel modules go into an image, and in which order they load.
 *
 * A kernel package has no `modules.dep` (it is made on installation): each module says in its `.modinfo` what it
 * depends on, and the files that `modprobe` reads are made from that.
 */
import { readModinfo } from "./archive/elf.ts";
import { ImageError } from "./image-error.ts";

/** Loaded at boot where there is a virtio device. */
const virtioModules = [
  "virtio_pci",
  "virtio_mmio",
  "virtio_blk",
  "virtio_net",
  "virtio_balloon",
  "virtio_console",
  "virtio_rng",
  "virtio_mem",
  "virtio_pmem",
  "virtio_iommu",
  "vmw_vsock_virtio_transport",
];

/** Loaded when a mount or a program asks for them. */
const demandModules = [
  "ext4",
  "erofs",
  "squashfs",
  "overlay",
  "fuse",
  "virtiofs",
  "9p",
  "9pnet_virtio",
  "isofs",
  "loop",
  "af_packet",
  "virtio_scsi",
  "nd_pmem",
  "crc32c_generic",
  "crc32c_intel",
];

/** Where modules lie that the lists above, or what they depend on, may name: the others are never unpacked. */
const folders =
  /^kernel\/(fs|lib|crypto|net|arch\/x86\/crypto|drivers\/(virtio|block|char|nvdimm|iommu|dax|cdrom|scsi|net\/[^/]+$))/;

export function maybeWanted(pathInKernel: string): boolean {
  return folders.test(pathInKernel) && /\.ko(\.(xz|gz|zst))?$/.test(pathInKernel);
}

/** `kernel/drivers/char/hw_random/virtio-rng.ko.xz` is the module `virtio_rng`. */
export function moduleName(path: string): string {
  return path
    .slice(path.lastIndexOf("/") + 1)
    .replace(/\.ko(\.\w+)?$/, "")
    .replaceAll("-", "_");
}

export interface KernelModule {
  readonly name: string;
  /** From the version's folder, uncompressed: `kernel/fs/ext4/ext4.ko`. */
  readonly path: string;
  readonly data: Uint8Array;
  readonly depends: readonly string[];
  readonly aliases: readonly string[];
}

/** Law: a module stands behind every module that it depends on. */
export interface ModuleSet {
  readonly modules: readonly KernelModule[];
  /** The part that init loads. */
  readonly atBoot: readonly KernelModule[];
}

/** `load` gives back a module's file, or nothing where the kernel has it built in or does not have it. */
export async function selectModules(
  paths: Iterable<string>,
  load: (path: string) => Promise<Uint8Array>,
): Promise<ModuleSet> {
  const pathOf = new Map([...paths].map((path) => [moduleName(path), path]));
  const loaded = new Map<string, KernelModule>();

  async function visit(name: string, neededBy: string): Promise<void> {
    const path = pathOf.get(name);
    if (!path) throw new ImageError("bad-package", `the kernel's module ${neededBy} needs ${name}, which is not there`);
    if (loaded.has(name)) return;
    const module = describe(name, path.replace(/\.ko\.\w+$/, ".ko"), await load(path));
    for (const each of module.depends) await visit(each, name);
    loaded.set(name, module);
  }
  const present = (names: readonly string[]): string[] => names.filter((name) => pathOf.has(name));

  for (const name of present(virtioModules)) await visit(name, name);
  const atBoot = [...loaded.values()];
  for (const name of present(demandModules)) await visit(name, name);
  return { modules: [...loaded.values()], atBoot };
}

function describe(name: string, path: string, data: Uint8Array): KernelModule {
  const info = readModinfo(data);
  const all = (key: string): string[] => info.filter(([each]) => each === key).map(([, value]) => value);
  if (all("vermagic").length === 0) throw new ImageError("bad-package", `${path} is no kernel module`);
  return {
    name,
    path,
    data,
    depends: all("depends")
      .flatMap((list) => list.split(",").filter(Boolean))
      .map(moduleName),
    aliases: all("alias"),
  };
}

/** `modules.dep`: a module and, nearest first, everything that it needs. */
export function modulesDep(set: ModuleSet): string {
  const byName = new Map(set.modules.map((module) => [module.name, module]));
  const needs = (module: KernelModule): KernelModule[] => {
    const direct = module.depends.flatMap((name) => byName.get(name) ?? []);
    return [...new Set([...direct, ...direct.flatMap(needs)])];
  };
  // A module behind those that it is needed by: modprobe loads the list from its end.
  const position = new Map(set.modules.map((module, i) => [module, i]));
  const order = (a: KernelModule, b: KernelModule): number => (position.get(b) ?? 0) - (position.get(a) ?? 0);
  return lines(
    set.modules.map(
      (module) =>
        `${[
          `${module.path}:`,
          ...needs(module)
            .sort(order)
            .map((each) => each.path),
        ].join(" ")}`,
    ),
  );
}

export function modulesAlias(set: ModuleSet): string {
  return lines(set.modules.flatMap((module) => module.aliases.map((alias) => `alias ${alias} ${module.name}`)));
}

export function bootOrder(set: ModuleSet): string {
  return lines(set.atBoot.map((module) => module.path));
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join("");
