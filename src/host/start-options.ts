/** A machine's options with an image by its name: what the image holds becomes kernel, initramfs, root disk and command line. */
import { defaultCommandLine, VmError, type VmOptions } from "#control";
import { openImage, type StoredImage } from "./images/index.ts";

export interface ImageOptions {
  /** Name of a prepared or imported image. */
  readonly image: string;
  /** The image's root disk stays as it is and what the guest writes is gone at the end; a file's name keeps it there (qcow2). */
  readonly keep?: string;
  /** Whether the guest's console has a shell; without a word, commands come by `exec` alone. */
  readonly shell?: boolean;
}

export type StartOptions = VmOptions | (Omit<VmOptions, "kernel" | "setupHeader" | "initrd"> & ImageOptions);

/** Throws `ImageError` for an image that is not there. */
export async function withImage(options: StartOptions): Promise<VmOptions> {
  if (!("image" in options)) return options;
  const { image: name, keep, shell, ...rest } = options;
  if ("kernel" in rest) throw new VmError("option", "image: an image has a kernel; leave out kernel, or image");
  const image = await openImage(name);
  const words = [shell ? "" : "quiet memvisor.exec=1"].filter(Boolean);
  return {
    ...rest,
    ...bootFiles(image),
    ...rootDisk(image, rest.disks, keep),
    ...programSettings(image),
    ...(rest.programs && { programs: rest.programs }),
    commandLine: [rest.commandLine ?? defaultCommandLine, ...words, ...rootWords(image)].join(" "),
  };
}

export const bootFiles = (image: StoredImage): Pick<VmOptions, "kernel" | "setupHeader" | "initrd"> => ({
  kernel: image.unpacked?.vmlinuxPath ?? image.kernelPath,
  ...(image.unpacked && { setupHeader: image.unpacked.setupHeaderPath }),
  initrd: image.initrdPath,
});

/** The image's own disk comes first: it is /dev/vda. */
export function rootDisk(
  image: StoredImage,
  disks: VmOptions["disks"] = [],
  keep: string | undefined,
): Pick<VmOptions, "disks"> {
  if (!image.diskPath) {
    if (keep !== undefined) throw new VmError("option", "keep: the image has no root disk; prepare it with packages");
    return disks.length > 0 ? { disks } : {};
  }
  return { disks: [{ file: image.diskPath, format: "raw", overlay: keep ?? true }, ...disks] };
}

export const rootWords = (image: StoredImage): string[] => (image.diskPath ? ["memvisor.root=vda"] : []);

/** What an imported image says of its programs. */
export function programSettings(image: StoredImage): Pick<VmOptions, "programs"> {
  const { environment, folder } = image.disk?.defaults ?? {};
  if (!environment) return {};
  return { programs: { environment, ...(folder !== undefined && { folder }) } };
}
