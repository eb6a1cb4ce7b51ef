/** Packages by our own client of the repository format: the host's side of `images/debian/repository.ts`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  collect,
  type DebianArchive,
  type DebianPackage,
  fetchPackage,
  type ImageReference,
  type KnownFile,
  type KnownResult,
  loadIndex,
  type OnProgress,
  type PackageIndex,
  type PackageSource,
  type RepositoryHost,
} from "#images";
import { type ImageCache, sha256Of } from "./cache.ts";
import { decompress } from "./decompress.ts";
import { downloadSmall, downloadTo } from "./download.ts";
import { verifyClearSigned } from "./signature.ts";

const fetchesAtOnce = 6;

export interface RepositoryOptions {
  readonly archives: readonly DebianArchive[];
  readonly keyring: string;
  readonly signal?: AbortSignal;
}

export class RepositorySource implements PackageSource {
  readonly #cache: ImageCache;
  readonly #options: RepositoryOptions;
  readonly #host: RepositoryHost;
  /** The folder of the suite's lists, and the names of those that are current. */
  #lists = "lists";
  readonly #used = new Set<string>();

  constructor(cache: ImageCache, options: RepositoryOptions) {
    this.#cache = cache;
    this.#options = options;
    this.#host = {
      nowMs: Date.now(),
      fetchSmall: (url, limitBytes) => downloadSmall(url, limitBytes, options.signal),
      fetchKnown: (wanted) => this.#fetchKnown(wanted),
      verify: (signed, from) => verifyClearSigned(signed, options.keyring, from),
      unpack: async (compression, bytes) => collect(decompress(compression, bytes)),
    };
  }

  async refresh(reference: ImageReference, onProgress: OnProgress): Promise<PackageIndex> {
    this.#lists = join("lists", reference.suite);
    const index = await loadIndex(this.#options.archives, this.#host, onProgress);
    await this.#cache.keepOnly(this.#lists, this.#used);
    return index;
  }

  get archives(): readonly DebianArchive[] {
    return this.#options.archives;
  }

  /** Some at a time: a mirror's answers take longer than its packages. */
  async fetchAll(wanted: readonly DebianPackage[], onProgress: OnProgress): Promise<void> {
    const totalBytes = wanted.reduce((sum, each) => sum + each.sizeBytes, 0);
    const rest = [...wanted];
    let doneBytes = 0;
    const work = async (): Promise<void> => {
      for (let each = rest.pop(); each; each = rest.pop()) {
        await this.fetch(each, () => {});
        doneBytes += each.sizeBytes;
        onProgress({ phase: "download", what: `${wanted.length} packages`, doneBytes, totalBytes });
      }
    };
    await Promise.all(Array.from({ length: fetchesAtOnce }, work));
  }

  fetch(wanted: DebianPackage, onProgress: OnProgress): Promise<Uint8Array> {
    return fetchPackage(wanted, this.#host, onProgress);
  }

  async #fetchKnown(wanted: KnownFile): Promise<KnownResult> {
    const name = wanted.kind === "packages" ? `${wanted.sha256}.deb` : wanted.sha256;
    const place = wanted.kind === "packages" ? "packages" : this.#lists;
    const folder = await this.#cache.makeFolder(place);
    this.#used.add(name);
    const kept = await readFile(join(folder, name)).catch(() => undefined);
    if (kept && sha256Of(kept) === wanted.sha256) return { ok: true, bytes: kept };
    let why: "absent" | "corrupt" = "absent";
    for (const url of wanted.urls) {
      const got = await downloadTo(join(folder, `${wanted.sha256}.part`), url, wanted, this.#options.signal);
      if (typeof got === "string") {
        if (got === "corrupt") why = got;
        continue;
      }
      await this.#cache.replaceFile(got, place, name);
      return { ok: true, bytes: got };
    }
    return { ok: false, why };
  }
}
