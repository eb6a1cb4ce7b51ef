/**
 * A client of Debian's repository format, for hosts without apt.
 *
 * Law: what comes out of here hangs on the archive's signature: InRelease is signed, it holds the checksum of the
 * list of packages, which holds the checksum of each package. Anything that does not fit is refused by name.
 */
import type { Compression } from "../archive/deb.ts";
import { ImageError } from "../image-error.ts";
import type { OnProgress } from "../progress.ts";
import type { DebianPackage } from "./package-index.ts";
import { PackageIndex } from "./package-index.ts";
import { type ListFile, parseRelease } from "./release.ts";

export interface DebianArchive {
  readonly uri: string;
  readonly suite: string;
  /** A mirror need not have it. */
  readonly optional: boolean;
}

/** The outside world of the client. */
export interface RepositoryHost {
  readonly nowMs: number;
  /** The file at an address, at most `limitBytes` long; nothing where there is none. Fails with `ImageError`. */
  fetchSmall(url: string, limitBytes: number): Promise<Uint8Array | undefined>;
  /** A file by its checksum: kept ones are not fetched again, an interrupted download goes on. */
  fetchKnown(wanted: KnownFile): Promise<KnownResult>;
  /** The text that the archive signed, or an `ImageError` that says why it is not to be believed. */
  verify(signed: Uint8Array, from: string): Promise<string>;
  unpack(compression: Compression, bytes: Uint8Array): Promise<Uint8Array>;
}

export interface KnownFile {
  /** Tried in this order. */
  readonly urls: readonly string[];
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly kind: "lists" | "packages";
  onBytes(doneBytes: number): void;
}

export type KnownResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly why: "absent" | "corrupt" };

/** An InRelease file lists every file of a suite and is some 200 KB long. */
const largestRelease = 8 << 20;

const lists: readonly (readonly [suffix: string, compression: Compression])[] = [
  [".xz", "xz"],
  [".gz", "gzip"],
  ["", "none"],
];

export async function loadIndex(
  archives: readonly DebianArchive[],
  host: RepositoryHost,
  onProgress: OnProgress,
): Promise<PackageIndex> {
  const index = new PackageIndex();
  for (const archive of archives) {
    const text = await loadList(archive, host, onProgress);
    if (text !== undefined) index.add(text, archive.uri);
  }
  return index;
}

export async function fetchPackage(
  wanted: DebianPackage,
  host: RepositoryHost,
  onProgress: OnProgress,
): Promise<Uint8Array> {
  const totalBytes = wanted.sizeBytes;
  const result = await host.fetchKnown({
    urls: [join(wanted.origin, wanted.path)],
    sizeBytes: totalBytes,
    sha256: wanted.sha256,
    kind: "packages",
    onBytes: (doneBytes) => onProgress({ phase: "download", what: wanted.name, doneBytes, totalBytes }),
  });
  if (result.ok) return result.bytes;
  throw result.why === "absent"
    ? new ImageError(
        "network",
        `the mirror does not have ${wanted.path}, which its list names: try again later, or pass another --mirror`,
      )
    : new ImageError(
        "corrupt-package",
        `the download of ${wanted.name} has a wrong checksum: try again, or pass another --mirror`,
      );
}

async function loadList(
  archive: DebianArchive,
  host: RepositoryHost,
  onProgress: OnProgress,
): Promise<string | undefined> {
  const { uri, suite } = archive;
  const what = `${suite} package list`;
  onProgress({ phase: "index", what, doneBytes: 0, totalBytes: 0 });
  const folder = join(uri, `dists/${suite}`);
  const signed = await host.fetchSmall(`${folder}/InRelease`, largestRelease);
  if (!signed) {
    if (archive.optional) return undefined;
    throw new ImageError(
      "network",
      `there is no ${suite} at ${uri}: pass the address of a Debian mirror by --mirror URL`,
    );
  }
  const release = parseRelease(await host.verify(signed, folder), suite, host.nowMs);
  for (const [suffix, compression] of lists) {
    const file = release.files.get(`main/binary-amd64/Packages${suffix}`);
    if (!file) continue;
    const bytes = await fetchList(folder, file, release.byHash, host, (doneBytes) =>
      onProgress({ phase: "index", what, doneBytes, totalBytes: file.sizeBytes }),
    );
    if (bytes) return new TextDecoder().decode(await host.unpack(compression, bytes));
  }
  throw new ImageError("corrupt-index", `${folder} has no list of packages for amd64: pass another --mirror`);
}

async function fetchList(
  folder: string,
  file: ListFile,
  byHash: boolean,
  host: RepositoryHost,
  onBytes: (doneBytes: number) => void,
): Promise<Uint8Array | undefined> {
  const named = `${folder}/${file.path}`;
  const hashed = `${named.slice(0, named.lastIndexOf("/"))}/by-hash/SHA256/${file.sha256}`;
  const urls = byHash ? [hashed, named] : [named];
  const result = await host.fetchKnown({
    urls,
    sizeBytes: file.sizeBytes,
    sha256: file.sha256,
    kind: "lists",
    onBytes,
  });
  if (result.ok) return result.bytes;
  if (result.why === "absent") return undefined;
  throw new ImageError("corrupt-index", `${named} is not what the archive signed: try again, or pass another --mirror`);
}

/** An address below another; parts are escaped as addresses want it (a `+` or `~` may stay). */
function join(base: string, path: string): string {
  return `${base.replace(/\/+$/, "")}/${path.split("/").map(encodeURIComponent).join("/")}`;
}
