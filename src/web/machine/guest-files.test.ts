import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ExecOptions, type ExecResult, Output } from "#control";
import { type CommandRunner, downloadFile, downloadFolder, listFolder, quoted, uploadFile } from "./guest-files.ts";

/** Runs commands in this computer's shell, as the agent does in the guest's. */
const host: CommandRunner = {
  exec: async (command: string, options: ExecOptions = {}): Promise<ExecResult> => {
    const chunks: Uint8Array[] = [];
    if (typeof options.stdin === "object" && Symbol.asyncIterator in options.stdin) {
      for await (const chunk of options.stdin) chunks.push(chunk);
    }
    return new Promise((resolve) => {
      const child = execFile("/bin/sh", ["-c", command], { encoding: "buffer" }, (error, stdout, stderr) => {
        if (stdout.length > 0) void options.onStdout?.(stdout);
        if (stderr.length > 0) void options.onStderr?.(stderr);
        const none = new Output(new Uint8Array(0));
        resolve({ status: typeof error?.code === "number" ? error.code : 0, stdout: none, stderr: none });
      });
      // A command that is over before it has read anything.
      child.stdin?.on("error", () => {});
      child.stdin?.end(Buffer.concat(chunks));
    });
  },
};

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "memvisor-files-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a folder's list has every name there can be, folders first", async () => {
  const names = ["plain", ".hidden", "two words", "it's", "-n", "new\nline", "*", "ünïcode"];
  for (const name of names) await writeFile(join(folder, name), name);
  await mkdir(join(folder, "sub"));
  await symlink("nowhere", join(folder, "link"));
  await symlink("sub", join(folder, "to-sub"));
  const list = await listFolder(host, folder);
  expect(list.slice(0, 2)).toMatchObject([
    { name: "sub", kind: "folder" },
    { name: "to-sub", kind: "folder" },
  ]);
  expect(list.find(({ name }) => name === "link")?.kind).toBe("link");
  expect(list.filter(({ kind }) => kind === "file").map(({ name }) => name)).toEqual([...names].sort());
  expect(list.find(({ name }) => name === "two words")?.sizeBytes).toBe(9);
});

test("a folder that is empty, and one that is not there", async () => {
  expect(await listFolder(host, folder)).toEqual([]);
  await expect(listFolder(host, `${folder}/none`)).rejects.toThrow("none");
});

test("what is uploaded can be downloaded, and progress counts its bytes", async () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, n) => n * 7);
  const told: number[] = [];
  await uploadFile(host, new File([bytes], "it's one"), folder, (done) => told.push(done));
  expect(new Uint8Array(await readFile(join(folder, "it's one")))).toEqual(bytes);
  expect(told.at(-1)).toBe(bytes.length);
  const back = await downloadFile(host, join(folder, "it's one"), () => {});
  expect(new Uint8Array(await back.arrayBuffer())).toEqual(bytes);
});

test("a folder comes as a tar archive", async () => {
  await writeFile(join(folder, "inside"), "x");
  const archive = new Uint8Array(await (await downloadFolder(host, folder, () => {})).arrayBuffer());
  expect(new TextDecoder().decode(archive)).toContain("inside");
});

test("a command that fails is an error with what it printed", async () => {
  await expect(downloadFile(host, `${folder}/none`, () => {})).rejects.toThrow("No such file");
});

test("a quoted path is one word, whatever it holds", () => {
  expect(quoted("it's $HOME")).toBe("'it'\\''s $HOME'");
});
