import { expect, test } from "vitest";
import { checkOptions, MachineHandle, type StartThread, type VmOptions, words } from "#control";
import { workerThread } from "./worker-thread.ts";

const entry = workerThread(new URL("./testing/scripted-machine.ts", import.meta.url));

class ScriptedVm extends MachineHandle {
  static async start(script: string, options: Partial<VmOptions> = {}, thread = entry): Promise<ScriptedVm> {
    const all = { ...options, kernel: new TextEncoder().encode(script) };
    checkOptions(all);
    const vm = new ScriptedVm(all, thread);
    await vm.started;
    return vm;
  }
}

/** What the machine printed on COM1, once it has ended. */
async function printed(vm: MachineHandle): Promise<string> {
  let text = "";
  vm.console.onOutput((bytes) => void (text += new TextDecoder().decode(bytes)));
  await vm.exited;
  return text;
}

test("what the guest prints before its end arrives, then the end", async () => {
  await using vm = await ScriptedVm.start("print hello\nend poweroff");
  expect([await printed(vm), await vm.exited]).toEqual(["hello\n", { reason: "poweroff", detail: "" }]);
});

test("what is typed reaches a guest that sleeps", async () => {
  await using vm = await ScriptedVm.start("echo");
  const text = printed(vm);
  await vm.console.write(new TextEncoder().encode("ping"));
  await new Promise((resolve) => setTimeout(resolve, 30));
  await vm.console.write(Uint8Array.of(4));
  expect(await text).toBe("ping");
});

test("a guest that prints without end waits for a slow reader, and still can be stopped", async () => {
  await using vm = await ScriptedVm.start("flood 4000000");
  let taken = 0;
  vm.console.onOutput((bytes) => {
    taken += bytes.length;
    return new Promise(() => {});
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(taken).toBeLessThan(400_000);
  expect((await vm.stop()).reason).toBe("stopped");
});

test("a command reads what it is given, and its output and status come back", async () => {
  await using vm = await ScriptedVm.start("agent");
  const input = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
  const output: Uint8Array[] = [];
  const { status } = await vm.exec("cat", { stdin: input, onStdout: (bytes) => void output.push(bytes) });
  expect(status).toBe(0);
  expect(Buffer.concat(output).equals(Buffer.from(input))).toBe(true);
});

test("each command has its own status and errors", async () => {
  await using vm = await ScriptedVm.start("agent");
  const results = [];
  for (const command of ["status 3", "nothing", "status 0"]) results.push(await vm.exec(command));
  expect(results.map((each) => each.status)).toEqual([3, 127, 0]);
  expect(results[1]?.stderr.text()).toBe("nothing: not found\n");
});

test("a command whose machine ends is an error that says so", async () => {
  await using vm = await ScriptedVm.start("print bye\nend poweroff");
  await expect(vm.exec("true")).rejects.toThrow("the machine ended (poweroff)");
});

test("a machine asked to power off does so", async () => {
  await using vm = await ScriptedVm.start("agent");
  await vm.exec("status 0");
  vm.powerOff();
  expect((await vm.exited).reason).toBe("poweroff");
});

test("a panic before a reset is the end, and not a restart", async () => {
  await using vm = await ScriptedVm.start("print [    1.0] Kernel panic - not syncing: no init\nend reset");
  expect(await vm.exited).toEqual({ reason: "panic", detail: "no init" });
});

test("a reset starts the machine again, unless it was told not to", async () => {
  await using once = await ScriptedVm.start("end reset", { reboot: false });
  expect((await once.exited).reason).toBe("reset");
  await using many = await ScriptedVm.start("print up\nend reset", { timeoutMs: 20_000 });
  let starts = 0;
  many.console.onOutput(() => {
    if (++starts === 3) void many.stop();
  });
  expect((await many.exited).reason).toBe("stopped");
});

test("a machine that does not end in time is ended", async () => {
  // On a busy host that may be before it has begun.
  const end = await ScriptedVm.start("echo", { timeoutMs: 100 }).then(
    async (vm) => `${(await vm.exited).reason}: ${(await vm.exited).detail}`,
    (error: Error) => error.message,
  );
  expect(end).toContain("timeout: not ended after 0.1 s");
});

test("a thread that never looks up is ended all the same", async () => {
  await using vm = await ScriptedVm.start("spin");
  expect((await vm.stop()).reason).toBe("stopped");
});

test("a bug in the machine is an end with its reason", async () => {
  await using vm = await ScriptedVm.start("throw");
  const end = await vm.exited;
  expect([end.reason, end.detail.split("\n")[0]]).toEqual(["error", "Error: a bug"]);
});

test("a kernel that is none is refused by name", async () => {
  await expect(ScriptedVm.start("bad")).rejects.toMatchObject({
    name: "VmError",
    code: "boot",
    message: "kernel: not a kernel",
  });
});

test("numbers can be had while the machine runs, and after", async () => {
  await using vm = await ScriptedVm.start("echo");
  expect((await vm.stats()).guestInstructions).toBe(1);
  await vm.stop();
  expect((await vm.stats()).framesTouched).toBe(1);
});

test("reports come in their order", async () => {
  await using vm = await ScriptedVm.start("report one\nreport two\nend poweroff");
  const lines: string[] = [];
  vm.onReport((kind, each) => void lines.push(...each.map((line) => `${kind} ${line}`)));
  await vm.exited;
  expect(lines).toEqual(["digest one", "digest two"]);
});

/** As `entry`, for an owner that hears nothing until the machine has said something, and most often has ended, too. */
const heardLate: StartThread = (start) => {
  const thread = entry(start);
  const shared = new Int32Array(start.words);
  while (Atomics.load(shared, words.unreadBytes) === 0) Atomics.wait(shared, words.unreadBytes, 0, 10);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  return thread;
};

test("an owner that was busy until the machine had ended hears all that came before", async () => {
  await using vm = await ScriptedVm.start("print one\nreport two\nend poweroff", {}, heardLate);
  const heard: string[] = [];
  vm.console.onOutput((bytes) => void heard.push(new TextDecoder().decode(bytes)));
  vm.onReport((kind, lines) => void heard.push(`${kind} ${lines.join()}`));
  const { reason } = await vm.exited;
  expect([...heard, reason]).toEqual(["one\n", "digest two", "poweroff"]);
});

test("options that no machine can have are refused", async () => {
  await expect(ScriptedVm.start("", { memoryBytes: 1000 })).rejects.toThrow(
    "memoryBytes: 1000 is not a whole number of MiB",
  );
});

test("an option that no machine has is refused by name", async () => {
  const options: object = { memoryBytess: 1 << 28 };
  await expect(ScriptedVm.start("end poweroff", options)).rejects.toThrow("memoryBytess: a machine has no such option");
});
