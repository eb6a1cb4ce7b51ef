import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MachineHandle, type VmOptions } from "#control";
import { type LearningOptions, learnBoot } from "./learning-boot.ts";
import { workerThread } from "./worker-thread.ts";

class ScriptedVm extends MachineHandle {
  static async start(script: string, options: VmOptions): Promise<ScriptedVm> {
    const vm = new ScriptedVm(
      { ...options, kernel: new TextEncoder().encode(script) },
      workerThread(new URL("./testing/scripted-machine.ts", import.meta.url)),
    );
    await vm.started;
    return vm;
  }
}

const build = new Uint8Array(32).fill(7);
let folder: string;
let learnt: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "memvisor-learning-"));
  learnt = join(folder, "it.blocks");
});
afterEach(() => rm(folder, { recursive: true }));

/** What that build writes, as far as is looked at. */
async function writeLearnt(by: Uint8Array): Promise<void> {
  await writeFile(learnt, Buffer.concat([Buffer.from("MEMVLRNT"), Buffer.alloc(8), by, Buffer.alloc(16)]));
}

/** What `learnBoot` gives for machines of that script, and those machines. */
async function learn(script: string, options: LearningOptions = {}, by: Uint8Array | undefined = build) {
  const machines: ScriptedVm[] = [];
  const start = async (all: VmOptions): Promise<ScriptedVm> => {
    const vm = await ScriptedVm.start(script, all);
    machines.push(vm);
    return vm;
  };
  const failure = await learnBoot({ kernel: "vmlinux", learnt }, { build: by, start }, options);
  return { failure, ends: await Promise.all(machines.map((vm) => vm.exited)) };
}

test("a machine boots until its agent has answered, and is stopped", async () => {
  let begun = 0;
  const { failure, ends } = await learn("agent", { onBegin: () => void begun++ });
  expect([failure, begun, ends]).toEqual([undefined, 1, [{ reason: "stopped", detail: "" }]]);
});

test("what this build has learnt it does not learn again, and what another one has it does", async () => {
  await writeLearnt(build);
  expect((await learn("agent")).ends).toEqual([]);
  await writeLearnt(new Uint8Array(32).fill(8));
  expect((await learn("agent")).ends.length).toBe(1);
  await writeFile(learnt, "cut off");
  expect((await learn("agent")).ends.length).toBe(1);
});

test("where nothing is learnt nothing boots", async () => {
  const options = { kernel: "vmlinux", learnt };
  const start = (): never => expect.unreachable();
  expect(await learnBoot(options, { build: undefined, start }, {})).toBe(undefined);
  expect(await learnBoot({ kernel: "vmlinux" }, { build, start }, {})).toBe(undefined);
});

test("a machine that ends before its agent answers, or none at all, is told of and no error", async () => {
  expect((await learn("end panic")).failure).toContain("the machine ended (panic)");
  expect((await learn("bad")).failure).toContain("not a kernel");
});

test("an interruption ends the boot at once", async () => {
  const interruption = new AbortController();
  const onBegin = (): void => void setTimeout(() => interruption.abort(), 50);
  const { failure, ends } = await learn("echo", { onBegin, signal: interruption.signal });
  expect([failure, ends]).toEqual(["it was interrupted", [{ reason: "stopped", detail: "" }]]);
  const before = await learn("echo", { signal: AbortSignal.abort() });
  expect([before.failure, before.ends]).toEqual(["it was interrupted", []]);
});
