import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createFile } from "./snapshot-file.ts";

test("what savers who were killed left of a file is removed by the next, and nothing else is", () => {
  const folder = mkdtempSync(join(tmpdir(), "memvisor-left-"));
  try {
    const { pid } = spawnSync(process.execPath, ["--version"]);
    const others = [`b.${pid}.partial`, `a.1.partial`, `a.${pid}.partial.old`, `a.x.partial`, "a"];
    for (const name of [`a.${pid}.partial`, ...others]) writeFileSync(join(folder, name), "");
    const file = createFile(join(folder, "a"));
    const here = readdirSync(folder).sort();
    file.abandon();
    expect(here).toEqual([...others, `a.${process.pid}.partial`].sort());
    expect(readdirSync(folder).sort()).toEqual([...others].sort());
  } finally {
    rmSync(folder, { recursive: true });
  }
});
