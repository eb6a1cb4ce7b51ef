/** The images that memvisor knows by name, as data: a Debian suite and one of its kernels. */
import { ImageError } from "./image-error.ts";

export interface ImageReference {
  readonly name: string;
  /** Code name of the Debian release. */
  readonly suite: "bookworm" | "trixie";
  /** A meta package: its dependency is the kernel package with a version in its name. */
  readonly kernelPackage: string;
  readonly summary: string;
}

export const imageReferences: readonly ImageReference[] = [
  reference("debian-12-cloud", "bookworm", "linux-image-cloud-amd64", "Debian 12, kernel for virtual machines"),
  reference("debian-12", "bookworm", "linux-image-amd64", "Debian 12, general kernel"),
  reference("debian-13-cloud", "trixie", "linux-image-cloud-amd64", "Debian 13, kernel for virtual machines"),
  reference("debian-13", "trixie", "linux-image-amd64", "Debian 13, general kernel"),
];

export const defaultImage = "debian-12-cloud";

/** The reference of that name, or an `ImageError` that lists the names there are. */
export function parseReference(name: string): ImageReference {
  const found = imageReferences.find((each) => each.name === name);
  if (found) return found;
  const names = imageReferences.map((each) => each.name).join(", ");
  throw new ImageError("unknown-image", `no image is called "${name}"; there are ${names}`);
}

function reference(
  name: string,
  suite: ImageReference["suite"],
  kernelPackage: string,
  summary: string,
): ImageReference {
  return { name, suite, kernelPackage, summary };
}
