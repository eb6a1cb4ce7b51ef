/** The package as a user gets it: packed, installed elsewhere by npm, command and library run from there. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openImage } from "#host/images";
import { hex } from "./guest-code.ts";
import { patienceMs } from "./patience.ts";
import { tinyKernel } from "./tiny-machine.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../", import.meta.url));
const image = await openImage("debian-12-cloud").catch(() => undefined);

let folder = "";

const memvisor = async (...args: string[]): Promise<string> =>
  (await run(join(folder, "node_modules/.bin/memvisor"), args, { cwd: folder })).stdout;

/** Runs a module of a program that has the package among its own. */
async function program(text: string): Promise<string> {
  await writeFile(join(folder, "program.js"), text);
  return (await run(process.execPath, ["program.js"], { cwd: folder })).stdout;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "memvisor-package-"));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: root });
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"));
  await writeFile(join(folder, "package.json"), '{ "name": "user", "private": true, "type": "module" }');
  await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${tarball}`], { cwd: folder });
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the installed package", () => {
  test("has no TypeScript but declarations, and no tests", async () => {
    const files = await readdir(join(folder, "node_modules/memvisor"), { recursive: true });
    expect(files.filter((name) => /(?<!\.d)\.ts$|\.test\./.test(name))).toEqual([]);
    expect(files).toContain("dist/runtime.wasm");
  });

  test("runs as a command", async () => {
    expect(await memvisor("--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await memvisor("disasm", "48 89 e5")).trim().split(/\t\s*/)).toEqual([
      "0:",
      "48 89 e5                      ",
      "mov %rsp,%rbp",
    ]);
  });

  test("runs a machine as a library", async () => {
    // mov $0x3f8,%edx; mov $'A',%al; out %al,(%dx); then no exception can be delivered: lidt of zeros; ud2.
    const kernel = tinyKernel(hex("ba f8030000 b0 41 ee 6a 00 6a 00 0f 01 1c 24 0f 0b"));
    await writeFile(join(folder, "kernel"), kernel);
    const output = await program(`
      import { readFileSync } from "node:fs";
      import { VirtualMachine, VmError } from "memvisor";
      const vm = await VirtualMachine.start({ kernel: readFileSync("kernel"), reboot: false, timeoutMs: ${patienceMs} });
      vm.console.onOutput((bytes) => process.stdout.write(bytes));
      console.log("", (await vm.exited).reason);
      await VirtualMachine.start({ kernel: new Uint8Array(9) }).catch((error) => console.log(error instanceof VmError));
    `);
    expect(output).toBe("A reset\ntrue\n");
  });

  test("tells its types to a program in TypeScript", async () => {
    await writeFile(
      join(folder, "program.ts"),
      `import { openImage, VirtualMachine, type VmEnd } from "memvisor";
       const vm: VirtualMachine = await VirtualMachine.start({ kernel: new Uint8Array(), clock: "virtual" });
       export const end: VmEnd = await vm.exited;
       export const path: string = (await openImage("debian-12")).kernelPath;
       // @ts-expect-error: there is no such clock
       await VirtualMachine.start({ kernel: new Uint8Array(), clock: "sundial" });`,
    );
    const compilerOptions = {
      ...{ strict: true, noEmit: true, module: "nodenext", target: "es2024", lib: ["esnext", "dom"] },
      ...{ types: ["node"], typeRoots: [join(root, "node_modules/@types")] },
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
    const { stdout } = await run(join(root, "node_modules/.bin/tsc"), [], { cwd: folder }).catch((error) => error);
    expect(stdout).toBe("");
  });

  test.skipIf(!image)("boots debian-12-cloud and runs a command in it", { timeout: patienceMs }, async () => {
    expect(await memvisor("run", "debian-12-cloud", "--exec", "echo $((6 * 7))")).toBe("42\n");
  });
});
