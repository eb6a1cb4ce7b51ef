import { expect, test } from "vitest";
import { PackageIndex } from "./package-index.ts";
import { resolve } from "./resolve.ts";

/** `name version: field; field` a line, as a list of packages. */
function archive(...lines: readonly string[]): PackageIndex {
  const index = new PackageIndex();
  const stanzas = lines.map((line) => {
    const [, name, version, fields] = /^(\S+) (\S+?):(.*)$/.exec(line) ?? [];
    const rest = (fields ?? "").split(";").map((each) => each.trim());
    return [`Package: ${name}`, `Version: ${version}`, `SHA256: ${name}${version}`, ...rest.filter(Boolean)].join("\n");
  });
  index.add(`${stanzas.join("\n\n")}\n`, "origin");
  return index;
}

const names = (wanted: string[], index: PackageIndex): string =>
  resolve(wanted, index)
    .map(({ name }) => name)
    .join(" ");

test("what a package needs comes before it, each once", () => {
  const index = archive("a 1: Depends: b, c", "b 1: Pre-Depends: d", "c 1: Depends: d (>= 1)", "d 1:");
  expect(names(["a", "c"], index)).toBe("d b c a");
});

test("an alternative that is in already is taken, else the first that the archive has", () => {
  const index = archive("a 1: Depends: x | y", "b 1: Depends: none | y | x", "x 1:", "y 1:");
  expect(names(["a"], index)).toBe("x a");
  expect(names(["b", "a"], index)).toBe("y b a");
});

test("a virtual package is provided, with a version where one is asked for", () => {
  const index = archive(
    "a 1: Depends: mta",
    "b 1: Depends: api (>= 2)",
    "old 1: Provides: mta, api (= 1)",
    "new 1: Provides: api (= 3)",
  );
  expect(names(["a", "b"], index)).toBe("old a new b");
});

test("of those that provide a name the one of the higher priority is taken", () => {
  const index = archive(
    "a 1: Depends: awk",
    "big 1: Provides: awk; Priority: optional",
    "small 1: Provides: awk; Priority: required",
  );
  expect(names(["a"], index)).toBe("small a");
});

test("packages that need each other are both there", () => {
  expect(names(["a"], archive("a 1: Depends: b", "b 1: Depends: a"))).toBe("b a");
});

test("an alternative that another package excludes is passed over, and what cannot be is named", () => {
  const index = archive("a 1: Conflicts: x", "b 1: Depends: x | y", "c 1: Depends: x", "x 1:", "y 1:");
  expect(names(["a", "b"], index)).toBe("a y b");
  expect(() => names(["a", "c"], index)).toThrow("c needs x, which cannot be installed beside a");
  expect(() => names(["z"], index)).toThrow('no package "z"');
  expect(() => names(["d"], archive("d 1: Depends: gone (>= 4) | lost"))).toThrow("gone (>= 4) or lost");
});

test("what every system has is found wherever it stands", () => {
  const index = archive(
    "first 1: Essential: yes",
    "a 1: Priority: optional",
    "last 1: Section: libs; Priority: required",
  );
  expect(index.required()).toEqual(["first", "last"]);
});
