import { expect, test } from "vitest";
import { tinyMachine } from "../../../test/tiny-machine.ts";
import { rewritingProgram } from "../../../test/tiny-programs.ts";

/** Fills 64 KiB with multiples of a counter, again and again, through a call, by code that it rewrites now and then. */
function digests(engine: { interpreterOnly?: boolean; hotThreshold?: number; chaosSeed?: number }): string[] {
  const { machine, reports } = tinyMachine(rewritingProgram, { digestEvery: 20_000, engine });
  machine.runUntil(200_000n);
  return reports("digest");
}

test("chaos changes nothing that a guest sees, and neither does compiling", () => {
  const quiet = digests({ interpreterOnly: true });
  expect(quiet.length).toBe(10);
  expect(new Set(quiet.map((line) => line.slice(line.indexOf("cpu")))).size).toBe(10);
  expect(digests({ hotThreshold: 2 })).toEqual(quiet);
  for (const chaosSeed of [1, 2, 3]) {
    expect(digests({ chaosSeed })).toEqual(quiet);
    expect(digests({ chaosSeed, interpreterOnly: true })).toEqual(quiet);
  }
});
