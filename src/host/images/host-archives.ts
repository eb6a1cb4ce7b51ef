/**
 * Where this host's own apt gets Debian from: read out of its configuration, never changed.
 * Both of its formats are read, `*.sources` (deb822) and `*.list` (one line each); sources.list(5).
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseStanzas } from "#images";

export interface HostArchive {
  readonly uri: string;
  readonly suite: string;
  readonly signedBy?: string;
}

export async function readHostArchives(folder = "/etc/apt"): Promise<HostArchive[]> {
  const parts = join(folder, "sources.list.d");
  const names = (await readdir(parts).catch(() => [])).sort();
  const files = [join(folder, "sources.list"), ...names.map((name) => join(parts, name))];
  const found = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(file, "utf8").catch(() => "");
      return file.endsWith(".sources") ? fromStanzas(text) : file.endsWith(".list") ? fromLines(text) : [];
    }),
  );
  return found.flat();
}

const releases = ["bullseye", "bookworm", "trixie", "forky", "duke", "sid"];
const nicknames = ["stable", "oldstable", "oldoldstable", "testing", "unstable"];

/** The addresses of Debian's main and security archives among what the host uses. */
export function debianMirrors(archives: readonly HostArchive[]): { main?: HostArchive; security?: HostArchive } {
  const names = [...releases, ...nicknames];
  const usable = archives.filter((each) => !each.uri.startsWith("cdrom:"));
  return {
    main: usable.find((each) => names.includes(each.suite)),
    security: usable.find((each) => names.some((name) => each.suite === `${name}-security`)),
  };
}

function fromStanzas(text: string): HostArchive[] {
  return parseStanzas(text).flatMap((stanza) => {
    const words = (name: string): string[] => (stanza.get(name) ?? "").split(/\s+/).filter(Boolean);
    if (!words("types").includes("deb") || !words("components").includes("main")) return [];
    if ((stanza.get("enabled") ?? "yes").toLowerCase() === "no") return [];
    // A key written into the stanza itself is no file to verify by.
    const signedBy = words("signed-by").find((each) => each.startsWith("/"));
    return words("uris").flatMap((uri) => words("suites").map((suite) => archive(uri, suite, signedBy)));
  });
}

function fromLines(text: string): HostArchive[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^\s#]+)+)/.exec(line);
    if (!match?.[4].trim().split(/\s+/).includes("main")) return [];
    const signedBy = /(?:^|\s)signed-by=([^\s,]+)/.exec(match[1] ?? "")?.[1];
    return [archive(match[2], match[3], signedBy)];
  });
}

const archive = (uri: string, suite: string, signedBy?: string): HostArchive =>
  signedBy ? { uri, suite, signedBy } : { uri, suite };
