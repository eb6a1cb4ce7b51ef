/** Persistent memory as a Debian guest has it. */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { openImage } from "#host/images";

const program = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
const image = await openImage("debian-12-cloud").catch(() => undefined);
/** Images that were prepared by an older memvisor have not the module. */
const able = image !== undefined && readFileSync(image.initrdPath).includes("nd_pmem.ko");
const folder = mkdtempSync(join(tmpdir(), "memvisor-pmem-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function memvisor(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, "run", ...words], { encoding: "utf8", timeout: 240_000 });
}

const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

describe.skipIf(!able)("a guest with persistent memory", () => {
  test("has a file system with dax on it, and finds its files in the next machine, also with two vCPUs", {
    timeout: 500_000,
  }, () => {
    const file = join(folder, "ext.img");
    const made = memvisor(
      ...["--pmem", `${file},size=32M`, "--cpus", "2", "--exec"],
      `set -e; mke2fs -b 4096 /dev/pmem0 >/dev/null; mkdir -p /mnt; mount -t ext4 -o dax=always /dev/pmem0 /mnt
       seq 100000 >/mnt/numbers; md5sum </mnt/numbers; umount /mnt`,
    );
    expect([made.status, made.stderr]).toEqual([0, ""]);
    const found = memvisor(
      ...["--pmem", `${file},ro`, "--exec"],
      "mkdir -p /mnt; mount -t ext4 -o ro,dax=always /dev/pmem0 /mnt && md5sum </mnt/numbers",
    );
    expect(found.stdout).toBe(made.stdout);
  });

  test("that is killed has in its file what it was told is there", { timeout: 250_000 }, async () => {
    const file = join(folder, "killed.img");
    const script = `dd if=/dev/urandom of=/dev/pmem0 bs=64k count=40 seek=10 conv=fsync 2>/dev/null
      dd if=/dev/pmem0 bs=64k count=40 skip=10 2>/dev/null | md5sum; echo now; sleep 100`;
    const child = spawn(process.execPath, [program, "run", "--pmem", `${file},size=32M`, "--exec", script]);
    let printed = "";
    for await (const bytes of child.stdout) {
      printed += String(bytes);
      if (printed.includes("now")) child.kill("SIGKILL");
    }
    expect(printed).toContain(md5(readFileSync(file).subarray(10 * 65536, 50 * 65536)));
  });

  test("cannot be saved, since its file goes on changing", { timeout: 250_000 }, () => {
    const words = ["--pmem", `${join(folder, "saved.img")},size=2M`, "--exec", "true"];
    const { stderr } = memvisor(...words, "--snapshot", join(folder, "machine.snapshot"));
    expect(stderr).toMatch(/a machine with persistent memory cannot be saved/);
  });
});

test.skipIf(!image)("a file that cannot be persistent memory is refused, with what to do", { timeout: 60_000 }, () => {
  const { status, stderr } = memvisor("--pmem", join(folder, "nowhere.img"), "--exec", "true");
  expect([status, stderr]).toEqual([2, expect.stringMatching(/nowhere\.img: no such file: make one/)]);
});
