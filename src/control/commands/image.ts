/** `image`: the kernels and file systems that machines boot, made of Debian's packages. */
import { command, flag, list, negatedFlag, size, text } from "../schema.ts";

const learn = negatedFlag("do not boot it once, some seconds, which makes the boots to come faster");

export const imageListCommand = command({
  name: "list",
  summary: "show the images there are, and which are prepared",
  options: {},
});

export const imagePrepareCommand = command({
  name: "prepare",
  summary: "download, verify and build an image, or bring it up to date",
  argument: { name: "IMAGE", help: "one of those that `image list` shows", required: true },
  options: {
    mirror: text("URL", "Debian mirror; else MEMVISOR_MIRROR, else what the host's apt uses"),
    keyring: text("FILE", "the archive's public keys; else the host's own"),
    with: list("PACKAGE", "put a Debian with these packages and all they depend on onto a root disk"),
    size: size("4G", 2 ** 28, 2 ** 40, "of the root disk, which takes only what is written to it"),
    configure: negatedFlag("do not run the packages' own scripts, which takes a minute or two in a machine"),
    inMemory: flag("put the packages of --with into memory with the kernel, without a disk"),
    learn,
  },
});

export const imageImportCommand = command({
  name: "import",
  summary: "make an image of a folder, a tar archive or an OCI image layout",
  argument: { name: "NAME", help: "of the new image", required: true },
  more: [
    {
      name: "SOURCE",
      help: "a folder, a .tar (gzip, xz, zstd), or a folder with index.json and blobs",
      required: true,
    },
  ],
  options: {
    kernelImage: text("IMAGE", "a prepared image whose kernel it has; debian-12-cloud without"),
    size: size("4G", 2 ** 28, 2 ** 40, "of the root disk, which takes only what is written to it"),
    learn,
  },
});

export const imageRemoveCommand = command({
  name: "remove",
  summary: "delete a prepared image",
  argument: { name: "IMAGE", help: "one of those that `image list` shows", required: true },
  options: {},
});
