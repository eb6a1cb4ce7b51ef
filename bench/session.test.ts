import { expect, test } from "vitest";
import { run, runAll } from "./session.ts";

const shell = (script: string) => ({ name: "shell", command: "sh", args: ["-c", script] });
const limits = { bootSeconds: 5, rowSeconds: 0.3 };
const row = (name: string): string => `echo "@begin ${name}"; echo "@end ${name} ns=2000000 count=7 sum=ab";`;
const kinds = (rows: ReadonlyMap<string, { kind: string; why?: string }>): string =>
  [...rows].map(([name, outcome]) => `${name}: ${outcome.why ?? outcome.kind}`).join("; ");

test("a row has its time, count and sum", async () => {
  const { rows } = await run(shell(`${row("a")} echo @done`), ["a"], limits);
  expect(rows.get("a")).toMatchObject({ kind: "done", seconds: 0.002, count: 7, sum: "ab" });
});

test("a line of the kernel's log before a mark on the same line does not hide it", async () => {
  const { rows } = await run(shell(`printf '[ 1.0] x '; ${row("a")} echo @done`), ["a"], limits);
  expect(kinds(rows)).toBe("a: done");
});

test("the time by the host's clock is that between the marks", async () => {
  const { rows } = await run(shell("echo @begin a; sleep 0.2; echo @end a ns=1 count=1 sum=0"), ["a"], limits);
  const outcome = rows.get("a");
  expect(outcome?.kind === "done" && outcome.hostSeconds > 0.15).toBe(true);
});

test("init's first line is the end of the boot, and of a run without rows", async () => {
  const session = await run(shell("echo memvisor: init; sleep 60"), [], limits);
  expect(session.bootSeconds).toBeLessThan(5);
});

test("a machine that dies in a row is started again for those after it", async () => {
  let starts = 0;
  const { rows } = await runAll(
    (missing) => {
      starts++;
      return shell(missing.includes("b") ? `${row("a")} echo @begin b; exit 3` : `${row("c")} echo @done`);
    },
    ["a", "b", "c"],
    limits,
  );
  expect(kinds(rows)).toBe("a: done; b: ended with status 3; c: done");
  expect(starts).toBe(2);
});

test("a row that hangs is ended", async () => {
  const { rows } = await runAll(() => shell("echo @begin a; sleep 60"), ["a"], limits);
  expect(kinds(rows)).toBe("a: not done after 0.3 s");
});

test("rows of a machine that never boots have failed with its last words", async () => {
  const { rows } = await runAll(() => shell("echo no such option; exit 2"), ["a", "b"], limits);
  expect(kinds(rows)).toBe("a: never reached: no such option; b: never reached: no such option");
});
