/**
 * The packages that an archive offers, from the text of its Packages files.
 *
 * A release lists some 60000 packages in 50 MB of text: the index keeps the text, remembers where each package's
 * stanzas are, and parses a stanza when it is asked for.
 */
import { ImageError } from "../image-error.ts";
import { parseStanza } from "./stanza.ts";
import { compareVersions, satisfies } from "./version.ts";

export interface Dependency {
  readonly name: string;
  readonly relation?: string;
  readonly version?: string;
}

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly section: string;
  readonly priority: string;
  /** Where it lies, from the root of the archive; `origin` says which archive. */
  readonly path: string;
  readonly origin: string;
  readonly sizeBytes: number;
  /** What it takes unpacked, as its maker estimated. */
  readonly installedBytes: number;
  readonly sha256: string;
  /** All of these are needed; of each, one alternative. */
  readonly depends: readonly (readonly Dependency[])[];
  /** What may not be installed beside it. */
  readonly conflicts: readonly Dependency[];
  /** Other names that it answers to, some with a version. */
  readonly provides: readonly Dependency[];
}

/** Debian Policy, "Priorities", and what has none. */
const priorities = ["required", "important", "standard", "optional", "extra", ""];

interface Place {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly origin: string;
}

export class PackageIndex {
  readonly #places = new Map<string, Place[]>();
  readonly #providers = new Map<string, Place[]>();

  /** Adds one Packages file. `origin` is handed back with each package found in it. */
  add(text: string, origin: string): void {
    let start = 0;
    while (start < text.length) {
      const blank = text.indexOf("\n\n", start);
      const end = blank < 0 ? text.length : blank;
      this.#addStanza({ text, start, end, origin });
      start = end + 2;
    }
  }

  /** The newest package that answers a dependency by its own name, else the newest that provides it. */
  find(wanted: Dependency): DebianPackage | undefined {
    const named = newest((this.#places.get(wanted.name) ?? []).map(packageAt), wanted);
    if (named) return named;
    // A versioned dependency is met by a versioned Provides only; none that we need makes use of one.
    if (wanted.relation) return undefined;
    return newest((this.#providers.get(wanted.name) ?? []).map(packageAt), { name: "" });
  }

  /** Like `find`, of that name only; a package that is missing is an error that says so. */
  get(name: string): DebianPackage {
    const found = newest((this.#places.get(name) ?? []).map(packageAt), { name });
    if (!found) throw new ImageError("no-package", `the archive has no package "${name}"; check its name`);
    return found;
  }

  /** All that answer a dependency: those of that name, newest first, then those that provide it. */
  candidates(wanted: Dependency): DebianPackage[] {
    const named = (this.#places.get(wanted.name) ?? []).map(packageAt).filter((each) => answers(each, wanted));
    const providers = (this.#providers.get(wanted.name) ?? []).map(packageAt);
    const providing = providers.filter(
      (each) => answers(each, wanted) && this.find({ name: each.name })?.sha256 === each.sha256,
    );
    // Of those that provide it, first what a system is more likely to have.
    providing.sort((a, b) => priorities.indexOf(a.priority) - priorities.indexOf(b.priority));
    return [...named.sort((a, b) => compareVersions(b.version, a.version)), ...providing];
  }

  /** The names of packages that every system has: essential ones, and those of the priority "required". */
  required(): string[] {
    const texts = new Set([...this.#places.values()].flat().map(({ text }) => text));
    const names = new Set<string>();
    for (const text of texts) {
      for (const match of text.matchAll(/^(?:Essential: yes|Priority: required)$/gm)) {
        const start = text.lastIndexOf("\n\n", match.index);
        const name = field(text.slice(start < 0 ? 0 : start + 2, match.index), "Package");
        if (name) names.add(name);
      }
    }
    return [...names].sort();
  }

  #addStanza(place: Place): void {
    const stanza = place.text.slice(place.start, place.end);
    const name = field(stanza, "Package");
    if (!name) return;
    push(this.#places, name, place);
    const provides = field(stanza, "Provides");
    if (provides) for (const [each] of parseDependencies(provides)) push(this.#providers, each.name, place);
  }
}

/** Whether a package is what a dependency asks for: by its name, or by one that it provides (Debian Policy, "Virtual packages"). */
export function answers(each: DebianPackage, wanted: Dependency): boolean {
  const { name, relation, version } = wanted;
  const fits = (offered: string | undefined): boolean =>
    !relation || !version || (offered !== undefined && satisfies(offered, relation, version));
  if (each.name === name) return fits(each.version);
  return each.provides.some((one) => one.name === name && fits(one.version));
}

/** `a (>= 1), b | c` as lists of alternatives. Architecture qualifiers (`:any`) are dropped. */
export function parseDependencies(text: string): Dependency[][] {
  return text
    .split(",")
    .map((group) =>
      group
        .split("|")
        .map(parseDependency)
        .filter((each) => each.name !== ""),
    )
    .filter((group) => group.length > 0);
}

function parseDependency(text: string): Dependency {
  const match = /^\s*([^\s(:[]+)(?::\S+)?\s*(?:\(\s*(<<|<=|=|>=|>>)\s*([^\s)]+)\s*\))?/.exec(text);
  if (!match) return { name: "" };
  return match[2] ? { name: match[1], relation: match[2], version: match[3] } : { name: match[1] };
}

function packageAt(place: Place): DebianPackage {
  const stanza = parseStanza(place.text.slice(place.start, place.end));
  const of = (name: string): string => stanza.get(name) ?? "";
  return {
    name: of("package"),
    version: of("version"),
    section: of("section"),
    priority: of("priority"),
    path: of("filename"),
    origin: place.origin,
    sizeBytes: Number(of("size")) || 0,
    installedBytes: (Number(of("installed-size")) || 0) * 1024,
    sha256: of("sha256").toLowerCase(),
    depends: parseDependencies([of("pre-depends"), of("depends")].filter(Boolean).join(", ")),
    conflicts: parseDependencies([of("conflicts"), of("breaks")].filter(Boolean).join(", ")).flat(),
    provides: parseDependencies(of("provides")).flat(),
  };
}

function newest(found: DebianPackage[], wanted: Dependency): DebianPackage | undefined {
  const { relation, version } = wanted;
  const fitting = relation && version ? found.filter((each) => satisfies(each.version, relation, version)) : found;
  return fitting.reduce<DebianPackage | undefined>(
    (best, each) => (best && compareVersions(best.version, each.version) >= 0 ? best : each),
    undefined,
  );
}

/** A one-line field of a stanza, found without parsing the whole. */
function field(stanza: string, name: string): string {
  const head = `${name}: `;
  const at = stanza.startsWith(head) ? 0 : stanza.indexOf(`\n${head}`) + 1;
  if (at === 0 && !stanza.startsWith(head)) return "";
  const stop = stanza.indexOf("\n", at);
  return stanza.slice(at + head.length, stop < 0 ? undefined : stop).trim();
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
