/** The command line as a shell has it: what is printed where, and the status. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hex } from "./guest-code.ts";
import { tinyKernel } from "./tiny-machine.ts";

const command = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
let folder = "";

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs memvisor with these words, in a folder and with an image cache of its own. */
function memvisor(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { ...process.env, MEMVISOR_CACHE: join(folder, "cache") }, timeout: 60_000 };
    const child = execFile(process.execPath, [command, ...args], options, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
    child.stdin?.end();
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "memvisor-command-"));
  await writeFile(join(folder, "text"), "no kernel at all");
  // mov $0x3f8,%edx; mov $'A',%al; out %al,(%dx)
  const printA = "ba f8030000 b0 41 ee";
  // No exception can be delivered: lidt of zeros; ud2.
  await writeFile(join(folder, "resets"), tinyKernel(hex(`${printA} 6a 00 6a 00 0f 01 1c 24 0f 0b`)));
  await writeFile(join(folder, "spins"), tinyKernel(hex(`${printA} eb fe`)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([
  ["an option that is none", ["run", "--no-such"], /^memvisor: unknown option '--no-such'/],
  ["a command that is none", ["fly"], /^memvisor: unknown command 'fly'/],
  ["a memory that is none", ["run", "--memory", "3X"], /"3X" is no size: write it as 512M or 2G/],
  ["an image that is none", ["run", "plan9"], /^memvisor: no image is called "plan9"; there are debian-12-cloud, /],
  ["a kernel that is not there", ["run", "--kernel", "nope"], /^memvisor: --kernel nope: there is no such file\n$/],
  ["a kernel that is a folder", ["run", "--kernel", "."], /^memvisor: --kernel \.: it is a directory\n$/],
  ["a kernel that is none", ["run", "--kernel", "text"], /^memvisor: the file is no Linux kernel: .*\n$/],
  [
    "an initrd that is not there",
    ["run", "--kernel", "text", "--initrd", "x"],
    /^memvisor: --initrd x: there is no such/,
  ],
])("%s is wrong usage, said in a line", async (_, args, message) => {
  const { status, stdout, stderr } = await memvisor(...args);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(message);
});

test("help and version go to standard output", async () => {
  expect((await memvisor("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const { status, stdout } = await memvisor("run", "--help");
  expect(status).toBe(0);
  expect(stdout).toContain("--exec <CMD>");
  expect(stdout).toContain("Exit status:");
});

test("the list of images tells that none is prepared", async () => {
  const { stdout } = await memvisor("image", "list");
  expect(stdout.match(/^debian-1[23]/gm)).toHaveLength(4);
  expect(stdout).not.toContain("prepared");
});

test("the console goes to standard output, and a reset under --no-reboot is an end", async () => {
  const { status, stdout, stderr } = await memvisor("run", "--kernel", "resets", "--no-reboot", "--console-log", "log");
  expect([status, stdout]).toEqual([0, "A"]);
  expect(stderr).toMatch(/^memvisor: the guest was reset/);
});

test("a machine out of time has a status of its own, and its counters can be had", async () => {
  const { status, stdout, stderr } = await memvisor("run", "--kernel", "spins", "--timeout", "1", "--stats");
  expect([status, stdout]).toEqual([124, "A"]);
  expect(stderr).toMatch(/^memvisor: timeout: not ended after 1 s\nwall time {2,}/);
  expect(stderr).toMatch(/\nguest instructions +[1-9]/);
});

test("most samples of a profile of a loop are in the loop", async () => {
  await memvisor("run", "--kernel", "spins", "--timeout", "2", "--profile", "profile");
  const { shared, profiles } = JSON.parse(await readFile(join(folder, "profile"), "utf8"));
  const { samples } = profiles.find(({ name }: { name: string }) => name === "addresses");
  const loop = samples.filter((stack: number[]) => /^1000008 /.test(shared.frames[stack[stack.length - 1]].name));
  // A sample a millisecond, of what the machine has of the host.
  expect(loop.length).toBeGreaterThan(10);
  expect(loop.length).toBeGreaterThan(samples.length / 2);
});

test("a profile that cannot be written is heard of before the machine runs", async () => {
  const { status, stdout, stderr } = await memvisor("run", "--kernel", "spins", "--profile", "no/such/folder");
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^memvisor: --profile no\/such\/folder: /);
});

test("a command whose guest has no shell ends with the guest", async () => {
  const { status, stderr } = await memvisor("run", "--kernel", "resets", "--no-reboot", "--exec", "true");
  expect(status).toBe(125);
  expect(stderr).toContain("memvisor: the guest ended before the command did: the guest was reset");
});

test("code is disassembled, and what is none is refused", async () => {
  expect((await memvisor("disasm", "90", "--address", "0x1000")).stdout).toMatch(/^ *1000:\t90 +\tnop\n$/);
  expect((await memvisor("disasm", "zz")).status).toBe(2);
});
