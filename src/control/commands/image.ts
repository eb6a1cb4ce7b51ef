/** `image`: the kernels and file systems that machines boot, made of Debian's packages. */
import { command, list, text } from "../schema.ts";

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
    with: list("PACKAGE", "put in these packages too, with their libraries"),
  },
});

export const imageRemoveCommand = command({
  name: "remove",
  summary: "delete a prepared image",
  argument: { name: "IMAGE", help: "one of those that `image list` shows", required: true },
  options: {},
});
