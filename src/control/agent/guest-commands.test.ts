/** Commands over the agent itself, which is a Linux program: it runs here as it runs in a guest. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test, vi } from "vitest";
import type { VmError } from "../vm-api.ts";
import { execute } from "./exec.ts";
import { encodeFrame, fromAgent, numbers } from "./frames.ts";
import { GuestCommands } from "./guest-commands.ts";
import type { AgentLine } from "./line.ts";

const program = fileURLToPath(new URL("../../../dist/agent", import.meta.url));
const runs = (() => {
  try {
    accessSync(program, constants.X_OK);
    return process.platform === "linux" && process.arch === "x64";
  } catch {
    return false;
  }
})();

const started: ChildProcessWithoutNullStreams[] = [];
afterAll(() => started.forEach((each) => each.kill("SIGKILL")));

/** The agent in a process of its own, and its owner over pipes; `window` as a serial line would have it, or wide. */
function agentProcess(window = Number.POSITIVE_INFINITY) {
  const child = spawn(program, [], { stdio: ["pipe", "pipe", "pipe"] });
  started.push(child);
  child.stdin.on("error", () => {});
  /** Commands for another owner. The one before hears no more, and is not heard. */
  const newOwner = (): GuestCommands => {
    child.stdout.removeAllListeners("data");
    const line: AgentLine = {
      onOutput(receive) {
        child.stdout.on("data", receive);
        return () => child.stdout.off("data", receive);
      },
      write: async (bytes) => void (line === current && child.stdin.write(bytes)),
      drained: async () => {},
    };
    current = line;
    return new GuestCommands(line, window);
  };
  let current: AgentLine | undefined;
  return { newOwner };
}
const agent = (window?: number): GuestCommands => agentProcess(window).newOwner();

/** Commands whose agent says what the test says. */
function scripted() {
  let receiver: (bytes: Uint8Array) => void = () => {};
  /** Of the last frame that was sent: the session. */
  let session = 0;
  const line: AgentLine = {
    onOutput(receive) {
      receiver = receive;
      return () => {};
    },
    write: async (bytes) => void (session = bytes[6] ?? 0),
    drained: async () => {},
  };
  const say = (kind: number, payload: Uint8Array) => receiver(encodeFrame(kind, session, payload));
  return { commands: new GuestCommands(line, 4096), say, sayBytes: (bytes: Uint8Array) => receiver(bytes) };
}

const here = { cwd: "/" };
const sh = (commands: GuestCommands, command: string, options = {}) =>
  execute(commands, ["/bin/sh", "-c", command], { ...here, ...options });

const bytesOf = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);

test.skipIf(!runs)("a command's output, errors and status come back apart", async () => {
  const result = await sh(agent(), "echo out; echo errors >/dev/stderr; exit 3");
  expect([result.status, result.signal, `${result.stdout}`, `${result.stderr}`]).toEqual([
    3,
    undefined,
    "out\n",
    "errors\n",
  ]);
});

test.skipIf(!runs)("arguments, variables and the folder arrive as they were given", async () => {
  const { stdout } = await execute(agent(), ["sh", "-c", 'printf "%s|" "$@" "$A" "$PWD"', "x", "a b", "", "'$(id)"], {
    cwd: "/tmp",
    env: { A: "b=c\n" },
  });
  expect(stdout.text()).toBe("a b||'$(id)|b=c\n|/tmp|");
});

test.each([4096, 1 << 30])("every byte passes through a command unchanged, %d bytes ahead at most", async (window) => {
  if (!runs) return;
  const input = bytesOf(1_000_000);
  const { stdout } = await execute(agent(window), ["cat"], { ...here, stdin: input });
  expect(Buffer.compare(stdout.bytes, input)).toBe(0);
});

test.skipIf(!runs)("a hundred commands at once, more than there are sessions, each get their own answer", async () => {
  const commands = agent(4096);
  const all = await Promise.all(
    Array.from({ length: 100 }, (_, i) => sh(commands, `cat; echo ${i}; exit ${i}`, { stdin: `in ${i} ` })),
  );
  expect(all.map((each) => `${each.status} ${each.stdout}`)).toEqual(
    Array.from({ length: 100 }, (_, i) => `${i} in ${i} ${i}\n`),
  );
});

test.skipIf(!runs)("a command that floods holds up no other, and waits for its reader", async () => {
  const commands = agent();
  const flood = await commands.start(["yes"], here, false);
  expect((await sh(commands, "echo through")).stdout.text()).toBe("through\n");
  let read = 0;
  for await (const chunk of flood.stdout) if ((read += chunk.length) > 2_000_000) break;
  flood.kill("SIGKILL");
  expect(await flood.exited).toEqual({ status: 137, signal: "SIGKILL" });
});

test.skipIf(!runs)("a signal goes to all that a command started", async () => {
  const commands = agent();
  const command = await commands.start(["sh", "-c", "trap 'echo caught; exit 7' TERM; sleep 100 & wait"], here, false);
  await new Promise((resolve) => setTimeout(resolve, 100));
  command.kill();
  let text = "";
  for await (const chunk of command.stdout) text += Buffer.from(chunk).toString();
  expect([text, (await command.exited).status]).toEqual(["caught\n", 7]);
});

test.skipIf(!runs)("what a command leaves running does not hold up its end", async () => {
  const { stdout, status } = await sh(agent(), "echo first; sleep 5 & exit 4");
  expect([stdout.text(), status]).toEqual(["first\n", 4]);
});

test.skipIf(!runs)(
  "a command that takes too long, prints too much or is given up is killed, and the call says why",
  async () => {
    const commands = agent();
    const abort = new AbortController();
    const given = sh(commands, "exec sleep 99", { signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    const code = (promise: Promise<unknown>) =>
      promise.then(
        () => "none",
        (error: VmError) => error.code,
      );
    const codes = [
      code(sh(commands, "sleep 99", { timeoutMs: 100 })),
      code(sh(commands, "yes", { maxOutputBytes: 10_000 })),
      code(given),
      code(execute(commands, ["nothing-of-that-name"], here)),
      code(execute(commands, ["sh"], { cwd: "/nowhere" })),
      code(execute(commands, ["a\0b"], here)),
    ];
    expect(await Promise.all(codes)).toEqual(["timeout", "output", "cancelled", "not-found", "exec", "option"]);
    // All sessions are free again.
    expect((await sh(commands, "exit 5")).status).toBe(5);
  },
);

test.skipIf(!runs)("a command with a terminal sees it, its size, and the end of its input", async () => {
  const terminal = { rows: 33, columns: 111 };
  const command = await agent().start(["sh", "-c", "test -t 0 && stty size && cat"], { ...here, terminal }, true);
  await command.write(Buffer.from("typed\n"));
  command.end();
  let text = "";
  for await (const chunk of command.stdout) text += Buffer.from(chunk).toString();
  expect(text).toContain("33 111\r\n");
  expect(text.match(/typed/g)?.length).toBe(2);
  expect((await command.exited).status).toBe(0);
});

test.skipIf(!runs)("input that nobody reads does not hold up the command's end", async () => {
  const { status } = await sh(agent(4096), "exit 6", { stdin: bytesOf(500_000) });
  expect(status).toBe(6);
});

test.skipIf(!runs)("a command whose input breaks off is killed, and the call says why", async () => {
  async function* broken() {
    yield bytesOf(1000);
    throw new Error("the source broke");
  }
  await expect(sh(agent(), "cat >/dev/null; echo done", { stdin: broken() })).rejects.toThrow("the source broke");
});

test("bytes that are no frames end all commands with an error, and nothing is held", async () => {
  const { commands, say, sayBytes } = scripted();
  const waiting = execute(commands, ["true"], here);
  say(fromAgent.hello, numbers(1));
  sayBytes(new Uint8Array(100_000).fill(0xff));
  await expect(waiting).rejects.toThrow("makes no sense");
  await expect(execute(commands, ["true"], here)).rejects.toMatchObject({ code: "agent" });
});

test("an agent that sends more than it was given room for is not believed any more", async () => {
  const { commands, say } = scripted();
  say(fromAgent.hello, numbers(1));
  const start = commands.start(["true"], here, false);
  await new Promise(setImmediate);
  say(fromAgent.started, numbers(9));
  const command = await start;
  for (let i = 0; i < 9; i++) say(fromAgent.output, new Uint8Array(32 * 1024));
  await expect(command.exited).rejects.toMatchObject({ code: "agent" });
});

test("commands of a guest that was restarted end with an error, and the next ones run", async () => {
  const { commands, say } = scripted();
  say(fromAgent.hello, numbers(1));
  const lost = commands.start(["true"], here, false);
  await new Promise(setImmediate);
  say(fromAgent.started, numbers(9));
  const command = await lost;
  commands.restart();
  await expect(command.exited).rejects.toThrow("the guest was restarted");
  say(fromAgent.hello, numbers(1));
  const next = execute(commands, ["true"], here);
  await new Promise(setImmediate);
  say(fromAgent.started, numbers(9));
  say(fromAgent.exit, numbers(0));
  expect((await next).status).toBe(0);
});

test.skipIf(!runs)(
  "who comes to the agent after somebody else has it for himself, and what ran runs on to its end",
  async () => {
    const { newOwner } = agentProcess();
    const before = newOwner();
    const folder = await mkdtemp(join(tmpdir(), "memvisor-agent-"));
    // One floods, one waits for input that will not come, one takes its time.
    const flood = await before.start(["/bin/sh", "-c", "yes | head -c 3000000; touch flooded"], { cwd: folder }, false);
    await before.start(["/bin/sh", "-c", "cat >taken"], { cwd: folder }, true);
    await before.start(["/bin/sh", "-c", "sleep 0.5; touch slept"], { cwd: folder }, false);
    expect(flood.pid).toBeGreaterThan(1);
    const after = newOwner();
    // The clock of this very host is left alone.
    after.resume({ entropy: new Uint8Array(32) });
    expect((await sh(after, "echo first")).stdout.text()).toBe("first\n");
    const many = Array.from({ length: 100 }, (_, n) => sh(after, `echo ${n}`));
    expect((await Promise.all(many)).map(({ stdout }) => stdout.text())).toEqual(many.map((_, n) => `${n}\n`));
    await vi.waitFor(async () => expect((await readdir(folder)).sort()).toEqual(["flooded", "slept", "taken"]), 10_000);
    await rm(folder, { recursive: true });
  },
);
