/**
 * Packages through the host's apt, in a root of our own below the cache: own lists, own status, own sources, no root
 * rights. Of the host's settings only those of the transport (proxies, retries, credentials) are taken over;
 * the host's own lists, hooks and packages are neither read nor touched.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import {
  type DebianArchive,
  type DebianPackage,
  ImageError,
  type ImageReference,
  type OnProgress,
  PackageIndex,
  type PackageSource,
} from "#images";
import { diskFull, type ImageCache, sha256Of } from "./cache.ts";

export interface AptOptions {
  readonly archives: readonly DebianArchive[];
  readonly keyring: string;
  readonly signal?: AbortSignal;
}

/** Whether this host has an apt to go through. */
export async function hasApt(): Promise<boolean> {
  try {
    return (await runProgram("apt-get", ["--version"], {})).status === 0;
  } catch {
    return false;
  }
}

export class AptSource implements PackageSource {
  readonly #cache: ImageCache;
  readonly #options: AptOptions;
  #root = "";

  constructor(cache: ImageCache, options: AptOptions) {
    this.#cache = cache;
    this.#options = options;
  }

  get archives(): readonly DebianArchive[] {
    return this.#options.archives;
  }

  async refresh(reference: ImageReference, onProgress: OnProgress): Promise<PackageIndex> {
    this.#root = await this.#cache.makeFolder("apt", reference.suite);
    for (const folder of ["lists/partial", "archives/partial", "etc/parts", "debs"]) {
      await mkdir(join(this.#root, folder), { recursive: true });
    }
    await writeFile(join(this.#root, "status"), "");
    await writeFile(join(this.#root, "etc/apt.conf"), await this.#configuration());
    await this.#update(onProgress);
    return this.#readLists();
  }

  /** apt downloads many in the time of a few, and takes as long to start for each. */
  async fetchAll(wanted: readonly DebianPackage[], onProgress: OnProgress): Promise<void> {
    const missing: DebianPackage[] = [];
    for (const each of wanted) if (!(await this.#cache.hasPackage(each.sha256))) missing.push(each);
    if (missing.length > 0) await this.#download(missing, `${missing.length} packages`, onProgress);
  }

  async fetch(wanted: DebianPackage, onProgress: OnProgress): Promise<Uint8Array> {
    const kept = await this.#cache.readPackage(wanted.sha256);
    if (kept) return kept;
    await this.#download([wanted], wanted.name, onProgress);
    const bytes = await this.#cache.readPackage(wanted.sha256);
    if (!bytes) throw corrupt(wanted);
    return bytes;
  }

  /** Downloads, verifies and keeps packages. */
  async #download(wanted: readonly DebianPackage[], what: string, onProgress: OnProgress): Promise<void> {
    const folder = join(this.#root, "debs");
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    const totalBytes = wanted.reduce((sum, each) => sum + each.sizeBytes, 0);
    const report = (part: number): void =>
      onProgress({ phase: "download", what, doneBytes: Math.round(part * totalBytes), totalBytes });
    const words = wanted.map(({ name, version }) => `${name}=${version}`);
    await this.#apt(["download", ...words], report, folder);
    for (const each of wanted) {
      const bytes = await readFile(join(folder, fileName(each))).catch(() => new Uint8Array(0));
      if (sha256Of(bytes) !== each.sha256) throw corrupt(each);
      await this.#cache.keepPackage(each.sha256, bytes);
    }
    await rm(folder, { recursive: true, force: true });
  }

  /** With all archives; without those that a mirror need not have where that fails. */
  async #update(onProgress: OnProgress): Promise<void> {
    const report = (part: number): void =>
      onProgress({ phase: "index", what: "package lists", doneBytes: Math.round(part * 100), totalBytes: 100 });
    const { archives } = this.#options;
    const needed = archives.filter((each) => !each.optional);
    try {
      await this.#writeSources(archives);
      await this.#apt(["update"], report);
    } catch (error) {
      // Only an archive that is not there may be done without; a bad signature there is as bad as anywhere.
      if (!(error instanceof ImageError) || error.code !== "network" || needed.length === archives.length) throw error;
      await this.#writeSources(needed);
      await this.#apt(["update"], report);
      onProgress({
        phase: "index",
        what: "the mirror has no updates or security archive: going on without",
        doneBytes: 100,
        totalBytes: 100,
      });
    }
  }

  async #writeSources(archives: readonly DebianArchive[]): Promise<void> {
    const stanzas = archives.map(({ uri, suite }) =>
      [
        `Types: deb`,
        `URIs: ${uri}`,
        `Suites: ${suite}`,
        `Components: main`,
        `Architectures: amd64`,
        `Signed-By: ${this.#options.keyring}`,
        "",
      ].join("\n"),
    );
    await writeFile(join(this.#root, "etc/debian.sources"), stanzas.join("\n"));
  }

  async #readLists(): Promise<PackageIndex> {
    const listed = await this.#apt(["indextargets", "--format", "$(FILENAME)\t$(SITE)", "Created-By: Packages"]);
    const index = new PackageIndex();
    for (const line of listed.split("\n").filter(Boolean)) {
      const [file, site] = line.split("\t");
      index.add(await this.#readList(file), site);
    }
    return index;
  }

  /** apt packs its lists by a method of its own choice: its own tool reads them all. */
  async #readList(file: string): Promise<string> {
    const { status, output } = await runProgram("/usr/lib/apt/apt-helper", ["cat-file", file], this.#environment());
    if (status !== 0)
      throw new ImageError("apt", `apt cannot read its own list ${file}: remove ${this.#root} and try again`);
    return output;
  }

  async #configuration(): Promise<string> {
    const host = await runProgram("apt-config", ["dump"], {});
    const taken =
      /^(Acquire::(http|https|ftp|tor|mirror|Retries|ForceIPv|Check-|Max-ValidTime|Min-ValidTime)|Dir::Etc::netrc)/i;
    const root = this.#root;
    return [
      ...host.output.split("\n").filter((line) => taken.test(line)),
      `Dir "/";`,
      `Dir::State "${root}";`,
      `Dir::State::lists "${root}/lists";`,
      `Dir::State::status "${root}/status";`,
      `Dir::Cache "${root}";`,
      `Dir::Cache::archives "${root}/archives";`,
      `Dir::Cache::pkgcache "${root}/packages.bin";`,
      `Dir::Cache::srcpkgcache "${root}/sources.bin";`,
      `Dir::Etc "${root}/etc";`,
      `Dir::Etc::main "/dev/null";`,
      `Dir::Etc::parts "${root}/etc/parts";`,
      `Dir::Etc::sourcelist "${root}/etc/debian.sources";`,
      `Dir::Etc::sourceparts "/dev/null";`,
      `Dir::Etc::preferencesparts "/dev/null";`,
      `Dir::Log "${root}";`,
      `APT::Architecture "amd64";`,
      `APT::Architectures { "amd64"; };`,
      // Started as root, apt would download as a user who cannot write here.
      `APT::Sandbox::User "root";`,
      `APT::Update::Error-Mode "any";`,
      `Acquire::Languages "none";`,
      `Acquire::GzipIndexes "true";`,
      `Acquire::CompressionTypes::Order { "gz"; "xz"; };`,
      "",
    ].join("\n");
  }

  #environment(): NodeJS.ProcessEnv {
    return { APT_CONFIG: join(this.#root, "etc/apt.conf"), LC_ALL: "C.UTF-8" };
  }

  async #apt(words: readonly string[], report?: (part: number) => void, cwd = this.#root): Promise<string> {
    const status = report ? ["-o", "APT::Status-Fd=3"] : [];
    const ran = await runProgram("apt-get", [...status, ...words], this.#environment(), {
      cwd,
      signal: this.#options.signal,
      onStatus:
        report &&
        ((line) => {
          const percent = /^dlstatus:[^:]*:([\d.]+):/.exec(line)?.[1];
          if (percent) report(Number(percent) / 100);
        }),
    });
    if (ran.status !== 0) throw await whyAptFailed(ran.errors, this.#cache.folder);
    return ran.output;
  }
}

const corrupt = ({ name }: DebianPackage): ImageError =>
  new ImageError(
    "corrupt-package",
    `the download of ${name} has a wrong checksum: try again, or pass another --mirror`,
  );

/** As `apt-get download` calls a file: the epoch's colon is escaped. */
const fileName = (wanted: DebianPackage): string => {
  const architecture = /_([^_]+)\.deb$/.exec(wanted.path)?.[1] ?? "amd64";
  return `${wanted.name}_${wanted.version.replaceAll(":", "%3a")}_${architecture}.deb`;
};

async function whyAptFailed(errors: string, folder: string): Promise<ImageError> {
  const lines = errors.split("\n").filter((line) => /^[EW]:/.test(line));
  const said = lines.map((line) => line.slice(3)).join("; ") || errors.trim();
  if (/No space left|enough free space/i.test(said)) return diskFull(folder);
  if (/NO_PUBKEY|no_pubkey|Missing key/i.test(said)) {
    return new ImageError(
      "unknown-key",
      `the archive is signed by a key that the keyring does not have (${said}): pass a newer --keyring FILE`,
    );
  }
  if (/Release file .* expired|is expired|not valid yet/i.test(said)) {
    return new ImageError(
      "expired",
      `the archive's lists are out of date (${said}): check the clock, or pass another --mirror`,
    );
  }
  if (/BADSIG|not signed|signatures? (couldn't|were invalid)|Verification/i.test(said)) {
    return new ImageError("bad-signature", `the archive's signature does not hold (${said}): pass another --mirror`);
  }
  if (/Hash Sum mismatch|unexpected size/i.test(said)) {
    return new ImageError(
      "corrupt-index",
      `the archive sent something else than it signed (${said}): try again, or pass another --mirror`,
    );
  }
  return new ImageError(
    "network",
    `the archive does not answer as it should (${said}): check the network, or pass --mirror URL`,
  );
}

interface Ran {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

interface RunOptions {
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  readonly onStatus?: (line: string) => void;
}

async function runProgram(
  name: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
  options: RunOptions = {},
): Promise<Ran> {
  const child = spawn(name, words, {
    cwd: options.cwd,
    signal: options.signal,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  });
  const statusPipe = child.stdio[3];
  let rest = "";
  statusPipe?.on("data", (piece: Buffer) => {
    const lines = (rest + piece.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) options.onStatus?.(line);
  });
  const [out, err] = [child.stdio[1] as Readable, child.stdio[2] as Readable];
  const [status, output, errors] = await Promise.all([ended, textOf(out), textOf(err)]);
  return { status, output, errors };
}
