import { execFileSync } from "node:child_process";
import { availableParallelism, getPriority } from "node:os";
import { expect, test } from "vitest";
import { nicer } from "./priority.ts";

/** Nice values of the threads of a process, `nice` nicer than this one, that has called `call`, by their names. */
function niceAfter(call: string, nice = 0): Map<string, number[]> {
  const script = `
    import { readdirSync, readFileSync } from "node:fs";
    import { stepAhead, stepBack } from ${JSON.stringify(new URL("priority.ts", import.meta.url).href)};
    ${call};
    for (const id of readdirSync("/proc/self/task")) {
      const [, name, rest] = /\\((.*)\\) (.*)/.exec(readFileSync("/proc/self/task/" + id + "/stat", "utf8"));
      console.log(name + "=" + rest.split(" ")[16]);
    }`;
  const words = ["-n", String(nice), process.execPath, "--input-type=module", "-e", script];
  const lines = execFileSync("nice", words, { encoding: "utf8" }).trim().split("\n");
  const threads = new Map<string, number[]>();
  for (const [name, value] of lines.map((line) => line.split("=") as [string, string]))
    threads.set(name, [...(threads.get(name) ?? []), Number(value)]);
  return threads;
}

const hasNiceThreads = process.platform === "linux" && availableParallelism() > 1;
/** Of a thread so much nicer than this one. */
const niceBy = (more: number): number => Math.min(getPriority() + more, 19);
const v8Threads = (threads: Map<string, number[]>): number[] => threads.get("node-V8Worker") ?? [];

test.runIf(hasNiceThreads)("V8's threads step back behind the one that runs a guest, once", () => {
  const threads = niceAfter("stepAhead(); stepAhead()");
  expect(v8Threads(threads).length).toBeGreaterThan(0);
  for (const nice of v8Threads(threads)) expect(nice).toBe(niceBy(nicer.v8));
  expect(threads.get("node-MainThread") ?? threads.get("node")).toContain(niceBy(0));
});

test.runIf(hasNiceThreads)("a process that is nice already has threads that are nicer, as nice as there is", () => {
  expect(v8Threads(niceAfter("stepAhead()", 5))).toContain(niceBy(5 + nicer.v8));
  expect(v8Threads(niceAfter("stepAhead()", 15))).toContain(19);
});

test.runIf(hasNiceThreads)("a thread that steps back is alone in that", () => {
  const threads = niceAfter("stepBack()");
  expect(threads.get("node-MainThread") ?? threads.get("node")).toContain(niceBy(nicer.emitter));
  for (const nice of v8Threads(threads)) expect(nice).toBe(niceBy(0));
});
