/** Which archives a preparation asks, and whose signature it believes: from the options, the environment, the host. */
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import { type DebianArchive, ImageError, type ImageReference } from "#images";
import { debianMirrors, readHostArchives } from "./host-archives.ts";

/** Where Debian's package `debian-archive-keyring` puts its keys, on Debian and on what is made from it. */
const keyrings = [
  "/usr/share/keyrings/debian-archive-keyring.pgp",
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/etc/apt/trusted.gpg.d/debian-archive-keyring.gpg",
];

export interface ArchiveOptions {
  readonly mirror?: string;
  readonly keyring?: string;
}

export async function chooseArchives(reference: ImageReference, options: ArchiveOptions): Promise<DebianArchive[]> {
  const { suite } = reference;
  const given = options.mirror ?? process.env.MEMVISOR_MIRROR;
  const host = given ? {} : debianMirrors(await readHostArchives());
  const main = given ?? host.main?.uri;
  if (!main) {
    throw new ImageError("no-mirror", "no Debian mirror is known here: pass --mirror URL or set MEMVISOR_MIRROR=URL");
  }
  return [
    { uri: main, suite, optional: false },
    { uri: main, suite: `${suite}-updates`, optional: true },
    { uri: host.security?.uri ?? securityBeside(main), suite: `${suite}-security`, optional: !host.security },
  ];
}

export async function chooseKeyring(options: ArchiveOptions): Promise<string> {
  const signedBy = debianMirrors(await readHostArchives()).main?.signedBy;
  const candidates = options.keyring ? [resolve(options.keyring)] : [...keyrings, ...(signedBy ? [signedBy] : [])];
  for (const path of candidates) {
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  const missing = options.keyring
    ? `the keyring ${options.keyring} is not there`
    : "Debian's archive keys are not here";
  throw new ImageError(
    "no-keyring",
    `${missing}, and nothing is taken unverified: pass --keyring FILE, or install the package debian-archive-keyring`,
  );
}

/** Mirrors keep the security archive beside the main one, by this name. */
function securityBeside(main: string): string {
  return `${main.replace(/\/+$/, "")}-security`;
}
