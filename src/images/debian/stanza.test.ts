import { expect, test } from "vitest";
import { PackageIndex, parseDependencies } from "./package-index.ts";
import { parseStanzas } from "./stanza.ts";
import { compareVersions } from "./version.ts";

test("a stanza's fields mind no case and go on over lines that start with a blank", () => {
  const [first, second] = parseStanzas("# note\nTypes: deb\nSigned-By:\n one\n two\n\nTYPES: src\n");
  expect([...first]).toEqual([
    ["types", "deb"],
    ["signed-by", "\none\ntwo"],
  ]);
  expect(second.get("types")).toBe("src");
});

test.each([
  ["1.0", "<", "1.1"],
  ["1.10", ">", "1.9"],
  ["1:0.1", ">", "9"],
  ["1.0~rc1", "<", "1.0"],
  ["1.0", "<", "1.0-1"],
  ["1.0-1", "<", "1.0-1+b1"],
  ["1.0a", "<", "1.0+"],
  ["6.1.99-1", "<", "6.1.170-1"],
  ["2.41.5-0+deb13u1", ">", "2.41.5-0"],
  ["1.00", "=", "1.0"],
])("version %s %s %s", (a, order, b) => {
  expect(Math.sign(compareVersions(a, b))).toBe({ "<": -1, "=": 0, ">": 1 }[order]);
});

test("dependencies are alternatives within groups, with versions", () => {
  expect(parseDependencies("a (>= 1:2), b:any | c (= 3) ,d")).toEqual([
    [{ name: "a", relation: ">=", version: "1:2" }],
    [{ name: "b" }, { name: "c", relation: "=", version: "3" }],
    [{ name: "d" }],
  ]);
});

test("an index answers with the newest version that fits, by name before by Provides", () => {
  const index = new PackageIndex();
  index.add("Package: a\nVersion: 1\nFilename: old\n\nPackage: p\nVersion: 1\nProvides: v, w (= 2)\n", "main");
  index.add("Package: a\nVersion: 2\nDepends: v\nPre-Depends: x\n\n", "security");
  expect(index.get("a")).toMatchObject({
    version: "2",
    origin: "security",
    depends: [[{ name: "x" }], [{ name: "v" }]],
  });
  expect(index.find({ name: "a", relation: "<<", version: "2" })?.path).toBe("old");
  expect(index.find({ name: "w" })?.name).toBe("p");
  expect(index.find({ name: "a", relation: ">>", version: "2" })).toBe(undefined);
  expect(() => index.get("none")).toThrow('no package "none"');
});
