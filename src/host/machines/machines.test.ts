/** A machine's socket and its client, with the agent as a process of this host in place of a guest. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, utimesSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { VmMemory } from "#control";
import { GuestCommands } from "../../control/agent/index.ts";
import { agentFile } from "../package-files.ts";
import { listMachines, RemoteMachine } from "./client.ts";
import { MachineServer, reserve, type ServedMachine } from "./server.ts";

const runs = process.platform === "linux" && process.arch === "x64" && existsSync(agentFile());
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "memvisor-run-"));
  process.env.MEMVISOR_RUN = folder;
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  delete process.env.MEMVISOR_RUN;
});

/** A machine that has the agent and nothing else. */
async function machineCalled(name: string) {
  const reserved = await reserve(name);
  const child = spawn(agentFile(), [], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {});
  const commands = new GuestCommands(
    {
      onOutput(receive) {
        child.stdout.on("data", receive);
        return () => child.stdout.off("data", receive);
      },
      write: async (bytes) => void child.stdin.write(bytes),
      drained: async () => {},
    },
    Number.POSITIVE_INFINITY,
  );
  const ended = Promise.withResolvers<{ reason: "poweroff"; detail: string }>();
  const received: Uint8Array[] = [];
  const machine: ServedMachine = {
    console: {
      onOutput(receive) {
        void receive(Buffer.from("booted\n"));
        return () => {};
      },
      write: async () => {},
    },
    exited: ended.promise,
    ready: () => commands.ready(),
    spawn: (program, args = [], options = {}) =>
      commands.start([program, ...args], { cwd: "/", ...options }, options.stdin ?? false),
    isFolder: async (path) => path === "/etc",
    async unpackTar(archive) {
      for await (const bytes of archive) received.push(bytes);
    },
    async *packTar(path) {
      yield Buffer.from(`archive of ${path}`);
    },
    powerOff: () => ended.resolve({ reason: "poweroff", detail: "" }),
    stop: () => ended.promise,
    snapshot: async () => ({ sizeBytes: 0, pages: 0, pauseMs: 0 }),
    memory: new VmMemory(async (question) => {
      if (question.about === "read") return new Uint8Array(question.bytes).fill(question.gpa);
      return question.about === "write" ? [question.gpa, ...question.data] : [question.about];
    }),
  };
  const server = MachineServer.open(machine, { name, image: "none", memoryBytes: 1, cpus: 1 }, reserved);
  return {
    received,
    [Symbol.dispose]() {
      server[Symbol.dispose]();
      child.kill("SIGKILL");
    },
  };
}

async function run(name: string, argv: readonly string[], input?: string) {
  let [stdout, stderr] = ["", ""];
  const end = await new RemoteMachine(name).exec({
    argv,
    options: {},
    ...(input !== undefined && {
      stdin: (async function* () {
        yield Buffer.from(input);
      })(),
    }),
    onStdout: (bytes) => void (stdout += Buffer.from(bytes)),
    onStderr: (bytes) => void (stderr += Buffer.from(bytes)),
  });
  return { ...end, stdout, stderr };
}

test.skipIf(!runs)(
  "another process runs commands in a machine by its name, with input, output and status",
  async () => {
    using _machine = await machineCalled("web");
    const input = "x".repeat(300_000);
    expect(await run("web", ["sh", "-c", "cat; echo errors >&2; exit 3"], input)).toEqual({
      status: 3,
      stdout: input,
      stderr: "errors\n",
    });
    expect((await run("web", ["sh", "-c", "kill -9 $$"])).signal).toBe("SIGKILL");
    await expect(run("web", ["no-such-program"])).rejects.toMatchObject({ code: "not-found" });
  },
);

test.skipIf(!runs)("archives go in and out, the log is shown, and stop tells how it ended", async () => {
  using machine = await machineCalled("files");
  const remote = new RemoteMachine("files");
  await remote.unpackTar(
    (async function* () {
      yield Buffer.from("an archive");
    })(),
    "/x",
  );
  expect(Buffer.concat(machine.received).toString()).toBe("an archive");
  let out = "";
  for await (const bytes of remote.packTar("/y")) out += Buffer.from(bytes);
  expect(out).toBe("archive of /y");
  expect([await remote.isFolder("/etc"), await remote.isFolder("/etc/x")]).toEqual([true, false]);
  let log = "";
  await remote.log(false, (bytes) => void (log += Buffer.from(bytes)));
  expect(log).toBe("booted\n");
  expect(await remote.stop(1000)).toBe("poweroff");
});

test.skipIf(!runs)("a question about its memory reaches the machine, and the answer comes back", async () => {
  using _machine = await machineCalled("asked");
  expect(await new RemoteMachine("asked").memory({ about: "dirty" })).toEqual(["dirty"]);
});

test.skipIf(!runs)("bytes of its memory come and go as they are", async () => {
  using _machine = await machineCalled("bytes");
  const remote = new RemoteMachine("bytes");
  expect(await remote.memory({ about: "read", gpa: 7, bytes: 100_000 })).toEqual(new Uint8Array(100_000).fill(7));
  expect(await remote.memory({ about: "write", gpa: 5, data: Uint8Array.of(0, 255, 128) })).toEqual([5, 0, 255, 128]);
  expect(await remote.memory({ about: "write", gpa: 5, data: new Uint8Array(0) })).toEqual([5]);
});

test.skipIf(!runs)("a name is one machine's, and free again when it is gone", async () => {
  {
    using _machine = await machineCalled("one");
    await expect(reserve("one")).rejects.toThrow("runs already");
    expect((await listMachines()).map((each) => each.name)).toEqual(["one"]);
  }
  expect(await listMachines()).toEqual([]);
  (await reserve("one"))[Symbol.dispose]();
  await expect(run("one", ["true"])).rejects.toThrow("no machine called one runs");
  await expect(reserve("../x")).rejects.toThrow("cannot be a machine's name");
});

test.skipIf(process.platform === "win32")("a socket that a killed machine left is not in the way", async () => {
  // As after a kill: the file is there and nobody listens; made long ago.
  const path = join(folder, "dead.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await new Promise((resolve) => spawn(process.execPath, ["-e", script]).once("exit", resolve));
  utimesSync(path, 1, 1);
  (await reserve("dead"))[Symbol.dispose]();
  expect(existsSync(path)).toBe(false);
});

test("bytes that are no request get no answer, and the machine stays", async () => {
  if (!runs) return;
  using _machine = await machineCalled("calm");

  const closed = new Promise((resolve) => {
    const socket = connect(join(folder, "calm.sock"), () => socket.write(Buffer.alloc(64, 0xff)));
    socket.on("close", resolve).resume();
  });
  await closed;
  expect((await run("calm", ["true"])).status).toBe(0);
});
