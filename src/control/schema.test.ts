import { expect, test } from "vitest";
import { runCommand } from "./commands/run.ts";
import type { Option } from "./schema.ts";

/** What an option of `run` makes of a text: the value, or what is wrong with it. */
function parsed(name: keyof typeof runCommand.options, text: string): unknown {
  try {
    return (runCommand.options[name] as Option<unknown>).parse(text);
  } catch (error) {
    return (error as Error).message;
  }
}

test.each([
  ["512M", 512],
  ["512", 512],
  ["2G", 2048],
  ["64MiB", 64],
  ["131072K", 128],
  ["1g", 1024],
])("a memory of %s is %i MiB", (text, mib) => expect(parsed("memory", text)).toBe(mib * 2 ** 20));

test.each([
  ["3X", '"3X" is no size: write it as 512M or 2G'],
  ["-1", '"-1" is no size: write it as 512M or 2G'],
  ["", '"" is no size: write it as 512M or 2G'],
  ["65537K", '"65537K" is no whole number of MiB'],
  ["31M", '"31M" is not between 32M and 3072M'],
  ["999999999G", '"999999999G" is not between 32M and 3072M'],
])("a memory of %s is refused", (text, why) => expect(parsed("memory", text)).toBe(why));

test("a time is seconds, with a fraction if wanted", () => {
  expect([parsed("timeout", "1.5"), parsed("timeout", "20")]).toEqual([1500, 20_000]);
});

test.each(["0", "-1", "1e3", "", "9999999", "soon"])("a time of %s is refused", (text) => {
  expect(parsed("timeout", text)).toBe(`"${text}" is no time in seconds between 0 and 2000000`);
});

test("a choice is one of its words", () => {
  expect(parsed("clock", "virtual")).toBe("virtual");
  expect(parsed("clock", "sun")).toBe('"sun" is none of wall, virtual');
});

test("a list may have commas, and events of a trace must be known", () => {
  expect(parsed("with", "stress-ng,strace")).toEqual(["stress-ng", "strace"]);
  expect(parsed("trace", "io,msr")).toEqual(["io", "msr"]);
  expect(parsed("trace", "io,all")).toMatch(/^"all" is none of instructions, /);
});

test("a count is a whole number that a number can hold", () => {
  expect(parsed("digestEvery", "1000")).toBe(1000);
  for (const text of ["0", "1.5", "0x10", "99999999999999999"])
    expect(parsed("digestEvery", text)).toMatch(/is no whole/);
});
