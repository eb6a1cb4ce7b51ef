/**
 * A Debian system out of packages that are unpacked but not configured: what debootstrap calls the first stage. dpkg's own
 * records are written as dpkg would, so `dpkg --configure -a` in the guest does the rest, and apt goes on from there.
 *
 * Documentation, manuals and translations are left out, and dpkg is told to leave them out from now on.
 */
import { collect } from "../archive/byte-source.ts";
import { type Decompress, readDebControl, streamDeb } from "../archive/deb.ts";
import { type Content, contentOf, DiskTree } from "../disk/disk-tree.ts";
import { ImageError } from "../image-error.ts";
import type { DebianPackage } from "./package-index.ts";
import type { DebianArchive } from "./repository.ts";
import { parseStanza } from "./stanza.ts";

/** Puts a file's bytes away until the disk is written. */
export type Keep = (body: AsyncIterable<Uint8Array>, sizeBytes: number) => Promise<Content>;

const leftOut = ["doc", "man", "info", "locale", "lintian", "bug", "doc-base", "groff", "linda"];
const notCarried = new RegExp(`^usr/share/(${leftOut.join("|")})/.`);
/** Every package has its licence there. */
const carried = /^usr\/share\/doc\/[^/]+(\/copyright)?$/;

export class RootTree {
  readonly tree = new DiskTree();
  readonly #decompress: Decompress;
  readonly #keep: Keep;
  readonly #md5: (bytes: Uint8Array) => string;
  readonly #status: string[] = [];

  constructor(decompress: Decompress, keep: Keep, md5: (bytes: Uint8Array) => string) {
    this.#decompress = decompress;
    this.#keep = keep;
    this.#md5 = md5;
    for (const name of ["bin", "sbin", "lib", "lib64"]) {
      this.tree.folder(`usr/${name}`);
      this.tree.symlink(name, `usr/${name}`);
    }
  }

  async add(each: DebianPackage, bytes: Uint8Array): Promise<void> {
    const files: string[] = [];
    for await (const { header, body } of streamDeb(bytes, this.#decompress)) {
      const { path, kind } = header;
      if (path === "") continue;
      files.push(`/${path}`);
      // Where the tree has a link to a folder, the package has the folder: dpkg counts it as the package's all the same.
      if (kind === "directory" && this.tree.find(path)?.kind === "symlink") continue;
      if (notCarried.test(path) && !carried.test(path)) continue;
      await this.tree.entry(header, body, this.#keep);
    }
    await this.#record(each, bytes, files);
  }

  /** What a system needs before its packages are configured, and dpkg's list of all of them. */
  finish(settings: {
    readonly hostname: string;
    readonly image: string;
    readonly archives: readonly DebianArchive[];
  }): void {
    const { tree } = this;
    const { hostname, image, archives } = settings;
    const file = (path: string, text: string, mode = 0o644): void => tree.file(path, contentOf(text), { mode });
    for (const path of ["proc", "sys", "dev", "run", "mnt", "media", "boot", "srv", "home", "opt", "var/log"]) {
      if (!tree.find(path)) tree.folder(path);
    }
    if (!tree.find("tmp")) tree.folder("tmp", { mode: 0o1777 });
    if (!tree.find("root")) tree.folder("root", { mode: 0o700 });
    this.#copy("usr/share/base-passwd/passwd.master", "etc/passwd");
    this.#copy("usr/share/base-passwd/group.master", "etc/group");
    file("etc/hostname", `${hostname}\n`);
    file("etc/hosts", `127.0.0.1 localhost ${hostname}\n::1 localhost ip6-localhost ip6-loopback\n`);
    file("etc/fstab", "# the root disk is mounted by memvisor's initramfs\n");
    file("etc/memvisor-image", `${image}\n`);
    const excluded = leftOut.map((name) => `path-exclude=/usr/share/${name}/*\n`).join("");
    file("etc/dpkg/dpkg.cfg.d/memvisor", `${excluded}path-include=/usr/share/doc/*/copyright\n`);
    file("etc/apt/sources.list", archives.map(({ uri, suite }) => `deb ${uri} ${suite} main\n`).join(""));
    file("var/lib/dpkg/status", this.#status.join("\n"));
    file("var/lib/dpkg/available", "");
    file("var/lib/dpkg/info/format", "1\n");
    file("var/lib/dpkg/diversions", "");
    file("var/lib/dpkg/statoverride", "");
    tree.folder("var/lib/dpkg/updates");
    tree.folder("var/lib/dpkg/triggers");
  }

  /** What the script of base-passwd does first, and scripts that run before it rely on. */
  #copy(from: string, to: string): void {
    const node = this.tree.find(from);
    if (node?.kind === "file") this.tree.file(to, node.content);
  }

  async #record(each: DebianPackage, bytes: Uint8Array, files: readonly string[]): Promise<void> {
    const { tree } = this;
    const parts = new Map<string, { data: Uint8Array; mode: number }>();
    for await (const { path, kind, data, mode } of readDebControl(bytes, this.#decompress)) {
      if (kind === "file") parts.set(path, { data, mode });
    }
    const control = new TextDecoder().decode(parts.get("control")?.data ?? new Uint8Array(0)).trim();
    const fields = parseStanza(control);
    if (fields.get("package") !== each.name) {
      throw new ImageError("bad-package", `the package ${each.name} says that it is ${fields.get("package")}`);
    }
    // Packages that may be there for several architectures are recorded with theirs.
    const name = fields.get("multi-arch") === "same" ? `${each.name}:${fields.get("architecture")}` : each.name;
    const info = (kind: string): string => `var/lib/dpkg/info/${name}.${kind}`;
    for (const [path, { data, mode }] of parts) {
      if (path !== "control" && !path.includes("/")) tree.file(info(path), contentOf(data), { mode });
    }
    tree.file(info("list"), contentOf(`${["/.", ...files].join("\n")}\n`));
    const [head, ...rest] = control.split("\n");
    const conffiles = await this.#conffiles(parts.get("conffiles")?.data);
    // Where there is no script to run, being unpacked is all there is.
    const state = parts.has("postinst") ? "unpacked" : "installed";
    this.#status.push(`${[head, `Status: install ok ${state}`, ...rest, ...conffiles].join("\n")}\n`);
  }

  /** A configuration file is remembered as its package had it, so that an upgrade sees whether it was changed. */
  async #conffiles(listed: Uint8Array | undefined): Promise<string[]> {
    const paths = new TextDecoder()
      .decode(listed ?? new Uint8Array(0))
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line.startsWith("/"));
    const lines: string[] = [];
    for (const path of paths) {
      const node = this.tree.find(path);
      if (node?.kind === "file") lines.push(` ${path} ${this.#md5(await collect(node.content.read()))}`);
    }
    return lines.length > 0 ? ["Conffiles:", ...lines] : [];
  }
}
