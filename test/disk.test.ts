/** Disks as a Debian guest has them. */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { openImage } from "#host/images";
import { openDisk } from "../src/disk/open.ts";
import { nodeDiskHost } from "../src/host/disk-files.ts";
import { patienceMs } from "./patience.ts";

const program = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
const image = await openImage("debian-12-cloud").catch(() => undefined);
const folder = mkdtempSync(join(tmpdir(), "memvisor-guest-disk-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function newDisk(name: string, sizeBytes: number): string {
  const file = join(folder, name);
  writeFileSync(file, "");
  truncateSync(file, sizeBytes);
  return file;
}

function memvisor(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, "run", ...words], { encoding: "utf8", timeout: patienceMs });
}

describe.skipIf(!image)("a guest", () => {
  test("makes a file system, and finds its files after a restart, also with two vCPUs", {
    timeout: 2 * patienceMs,
  }, () => {
    const disk = newDisk("ext.img", 64 << 20);
    const made = memvisor(
      ...["--disk", disk, "--cpus", "2", "--exec"],
      `set -e; mke2fs /dev/vda >/dev/null; modprobe ext4; mkdir -p /mnt; mount -t ext4 /dev/vda /mnt
       seq 100000 >/mnt/numbers; md5sum </mnt/numbers; umount /mnt; cat /sys/block/vda/serial`,
    );
    expect([made.status, made.stderr]).toEqual([0, ""]);
    const [sum, serial] = made.stdout.split("\n");
    expect(serial).toBe("ext.img");
    const found = memvisor(
      ...["--disk", `${disk},ro`, "--exec"],
      "modprobe ext4; mkdir -p /mnt; mount -t ext4 -o ro /dev/vda /mnt && md5sum </mnt/numbers; cat /sys/block/vda/ro",
    );
    expect(found.stdout).toBe(`${sum}\n1\n`);
  });

  test("that is killed has on its disk what it was told is there", { timeout: 2 * patienceMs }, async () => {
    const overlay = join(folder, "top.qcow2");
    const base = newDisk("base.img", 16 << 20);
    const script = `dd if=/dev/urandom of=/dev/vda bs=64k count=40 seek=10 conv=fsync 2>/dev/null
      dd if=/dev/vda bs=64k count=40 skip=10 iflag=direct 2>/dev/null | md5sum
      dd if=/dev/urandom of=/dev/vda bs=64k count=40 seek=100 oflag=direct 2>/dev/null; echo now; sleep 100`;
    const child = spawn(process.execPath, [program, "run", "--disk", `${base},overlay=${overlay}`, "--exec", script]);
    let printed = "";
    for await (const bytes of child.stdout) {
      printed += String(bytes);
      if (printed.includes("now")) child.kill("SIGKILL");
    }
    const disk = openDisk({ file: base, overlay }, nodeDiskHost);
    const bytes = new Uint8Array(40 * 65536);
    disk.read(10 * 65536, [bytes]);
    disk.close();
    expect(printed).toContain(createHash("md5").update(bytes).digest("hex"));
  });

  test("is not started without its disk, and told why", { timeout: patienceMs }, () => {
    const { status, stderr } = memvisor("--disk", join(folder, "nowhere.img"), "--exec", "true");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^memvisor: .*nowhere\.img: no such file: make one/)]);
  });
});

test("a disk with virtual time is refused", { timeout: patienceMs }, () => {
  if (!image) return;
  const { status, stderr } = memvisor("--clock", "virtual", "--disk", newDisk("v.img", 1 << 20), "--exec", "true");
  expect([status, stderr]).toEqual([2, expect.stringMatching(/disk: not with --clock virtual/)]);
});
