/**
 * Which packages a system is made of: what every system has, what was asked for, and what those depend on.
 *
 * For each dependency the first alternative that is in already, else the first that can be put in beside what is there; a
 * choice is never taken back. That is what apt does for a system that is still empty, and enough for a release, whose
 * packages fit each other.
 *
 * Law: of the result every dependency is met, and no package is there that another one excludes; else an error names both.
 */
import { ImageError } from "../image-error.ts";
import { answers, type DebianPackage, type Dependency, type PackageIndex } from "./package-index.ts";

/** What is put in before what depends on it, where packages do not depend on each other in a circle. */
export function resolve(names: readonly string[], index: PackageIndex): DebianPackage[] {
  const chosen = new Map<string, DebianPackage>();
  const ordered: DebianPackage[] = [];

  function add(each: DebianPackage, wantedBy: string): void {
    if (chosen.has(each.name)) return;
    const enemy = [...chosen.values()].find((other) => exclude(each, other) || exclude(other, each));
    if (enemy) throw failed(`${wantedBy} needs ${each.name}, which cannot be installed beside ${enemy.name}`);
    chosen.set(each.name, each);
    for (const alternatives of each.depends) {
      if (!isMet(alternatives)) add(choose(alternatives, each.name), each.name);
    }
    ordered.push(each);
  }

  const isMet = (alternatives: readonly Dependency[]): boolean =>
    alternatives.some((wanted) => {
      const same = chosen.get(wanted.name);
      return (same && answers(same, wanted)) || [...chosen.values()].some((each) => answers(each, wanted));
    });

  function choose(alternatives: readonly Dependency[], wantedBy: string): DebianPackage {
    const candidates = alternatives.flatMap((wanted) => index.candidates(wanted));
    const fitting = candidates.find(
      (each) =>
        !chosen.has(each.name) && ![...chosen.values()].some((other) => exclude(each, other) || exclude(other, each)),
    );
    const found = fitting ?? candidates[0];
    if (found) return found;
    throw failed(`${wantedBy} needs ${alternatives.map(textOf).join(" or ")}, which the archive does not have`);
  }

  for (const name of names) add(index.get(name), "the image");
  return ordered;
}

const exclude = (each: DebianPackage, other: DebianPackage): boolean =>
  each.name !== other.name && each.conflicts.some((conflict) => answers(other, conflict));

const textOf = ({ name, relation, version }: Dependency): string =>
  relation ? `${name} (${relation} ${version})` : name;

const failed = (why: string): ImageError => new ImageError("no-package", `${why}: leave one of them out of --with`);
