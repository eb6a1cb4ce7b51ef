/** Ordinary programs of this host on a mounted machine. They run as processes of their own: this one answers them. */
import { execFile } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { gpa } from "#address";
import { type AskMemory, fixedFolder, memoryTree } from "#introspect/memory-files";
import type { MemoryQuestion } from "#vm";
import { hex } from "../../../test/guest-code.ts";
import { tinyMachine } from "../../../test/tiny-machine.ts";
import { mountFiles } from "./index.ts";

const mib = 2 ** 20;
const page = 4096;

/** Containers have root without the right to mount. */
const CAP_SYS_ADMIN = 21n;

function canMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
    return ((BigInt(`0x${capabilities}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
  } catch {
    return false;
  }
}

/** A machine whose guest adds to a word at 32 MiB, mounted as vm/tiny below a folder of its own. */
async function mounted() {
  const { machine } = tinyMachine(hex(`83042500000002 01  ebf6`));
  const { memory } = machine.parts;
  let icount = 0n;
  const run = (): void => void machine.runUntil((icount += 5000n));
  run();
  const ask = (async (question: MemoryQuestion) => machine.memory.answer(question)) as AskMemory;
  const folder = mkdtempSync(join(tmpdir(), "memvisor-fuse-"));
  const at = join(folder, "mount point");
  mkdirSync(at);
  const mount = await mountFiles(fixedFolder({ vm: fixedFolder({ tiny: memoryTree(ask) }) }), at);
  return {
    memory,
    run,
    at,
    folder,
    vm: join(at, "vm/tiny"),
    mount,
    async [Symbol.asyncDispose]() {
      await mount[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Output, or errors behind the status. The shell goes to the folder by itself: who starts it waits until it has begun. */
function sh(cwd: string, script: string, ...words: string[]): Promise<string> {
  return new Promise((resolve) => {
    const env = { ...process.env, LC_ALL: "C", FOLDER: cwd };
    execFile("sh", ["-c", `cd "$FOLDER"; ${script}`, ...words], { env }, (error, stdout, stderr) => {
      resolve(error ? `${error.code}: ${stderr.trim()}` : stdout);
    });
  });
}

test.skipIf(!canMount())("cp, cmp, dd, du and stat see guest memory as a sparse file", async () => {
  await using m = await mounted();
  m.memory.write(gpa(40 * mib + 4090), new TextEncoder().encode("over two pages"));
  expect(await sh(m.at, "ls vm; ls vm/tiny; ls vm/tiny/slots")).toBe(
    "tiny\nages\ndirty\nmap\nmem\npressure\nslots\nstats\nstats.json\n0x0\n0xe0000000\n0xfec00000\n0xfee00000\n",
  );
  expect(await sh(m.vm, "stat -c '%s %A %b' mem")).toBe(`${64 * mib} -rw------- ${m.memory.framesTouched * 8}\n`);
  expect(await sh(m.vm, "du -k mem | cut -f1")).toBe(`${m.memory.framesTouched * 4}\n`);
  expect(await sh(m.vm, `dd if=mem bs=1 skip=${40 * mib + 4090} count=14 status=none`)).toBe("over two pages");
  const copy = join(m.folder, "copy");
  expect(await sh(m.vm, `cp mem ${copy} && cmp mem ${copy} && cmp slots/0x0/mem ${copy}`)).toBe("");
  const bytes = readFileSync(copy);
  expect([bytes.length, bytes.subarray(40 * mib + 4090, 40 * mib + 4104).toString()]).toEqual([
    64 * mib,
    "over two pages",
  ]);
  // Only what is there was read.
  expect(Number(await sh(m.folder, "du -k copy | cut -f1"))).toBeLessThan(4 * m.memory.framesTouched + 64);
});

test.skipIf(!canMount() || !existsSync("/usr/bin/fallocate"))("fallocate -p makes holes, and dd writes", async () => {
  await using m = await mounted();
  m.memory.write(gpa(40 * mib), new Uint8Array(4 * page).fill(9));
  const before = m.memory.framesTouched;
  expect(await sh(m.vm, `fallocate -p -o ${40 * mib + page} -l ${2 * page} mem`)).toBe("");
  expect(m.memory.framesTouched).toBe(before - 2);
  expect(await sh(m.vm, `fallocate -l ${128 * mib} mem`)).toContain("not supported");
  writeFileSync(join(m.folder, "data"), new Uint8Array(3 * mib).fill(5));
  expect(await sh(m.vm, `dd if=${m.folder}/data of=mem bs=1M seek=48 conv=notrunc status=none`)).toBe("");
  const read = new Uint8Array(3 * mib);
  m.memory.read(gpa(48 * mib), read);
  expect(read.every((byte) => byte === 5)).toBe(true);
  // Nobody cuts memory short by mistake.
  expect(await sh(m.vm, "echo > mem")).toContain("Operation not permitted");
  expect(await sh(m.vm, "echo > stats")).toContain("Operation not permitted");
});

test.skipIf(!canMount())("chmod a-w is a seal: what is sealed is never written to again", async () => {
  await using m = await mounted();
  expect(await sh(m.vm, "chmod a-w mem && stat -c %A mem slots/0x0/mem")).toBe("-r--------\n-r--------\n");
  expect(await sh(m.vm, "chmod u+w mem")).toContain("Operation not permitted");
  expect(await sh(m.vm, "dd if=/dev/zero of=slots/0x0/mem bs=1 count=1 conv=notrunc")).toContain(
    "Operation not permitted",
  );
  expect(await sh(m.vm, "head -c 4096 mem | wc -c")).toBe("4096\n");
});

test.skipIf(!canMount())("touch begins a dirty log, cat ends its epochs, rm ends it", async () => {
  await using m = await mounted();
  expect(await sh(m.vm, "touch dirty/backup && ls dirty && cat dirty/backup")).toBe("backup\n");
  m.memory.write(gpa(40 * mib), new Uint8Array(2 * page).fill(1));
  m.run();
  expect(await sh(m.vm, "touch dirty/backup && cat dirty/backup")).toBe(
    "0002000000-0002000fff\n0002800000-0002801fff\n",
  );
  expect(await sh(m.vm, "cat dirty/backup; rm dirty/backup; ls dirty")).toBe("");
  expect(await sh(m.vm, "cat dirty/backup")).toContain("No such file");
  // One made anew is another.
  m.run();
  expect(await sh(m.vm, "touch dirty/backup && cat dirty/backup")).toBe("");
});

test.skipIf(!canMount())("texts are read whole, and made anew each time", async () => {
  await using m = await mounted();
  expect(await sh(m.vm, "head -1 map; grep '^pages.own ' stats; cat slots/0xfee00000/kind")).toBe(
    `0000000000-0003ffffff : RAM\npages.own ${m.memory.framesTouched}\ndevice\n`,
  );
  m.memory.write(gpa(44 * mib), Uint8Array.of(1));
  expect(await sh(m.vm, "grep '^pages.own ' stats")).toBe(`pages.own ${m.memory.framesTouched}\n`);
});

test.skipIf(!canMount())("a mount ends under who uses it, and its folder is free again", async () => {
  await using m = await mounted();
  await expect(mountFiles(fixedFolder({}), m.at)).rejects.toThrow("already");
  await expect(mountFiles(fixedFolder({}), join(m.folder, "none"))).rejects.toThrow("no such folder");
  const script = 'exec 3<mem; touch "$0/used"; while head -c 1 <&3 >"$0/byte" 2>&1; do :; done; echo done';
  const user = sh(m.vm, script, m.folder);
  while (!existsSync(join(m.folder, "used"))) await sleep(10);
  expect(m.mount.unmount()).toBe(true);
  await m.mount.ended;
  expect(await user).toBe("done\n");
  expect(await sh(m.folder, "ls 'mount point'")).toBe("");
  await using _again = await mountFiles(fixedFolder({}), m.at);
});
