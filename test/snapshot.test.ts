/** Snapshots of a stock guest that works while it is saved: skipped without the image. */
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openImage } from "../src/host/images/index.ts";
import { VirtualMachine, type VmOptions } from "../src/index.ts";
import { patienceMs } from "./patience.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);
const folder = mkdtempSync(join(tmpdir(), "memvisor-snapshot-"));
afterAll(() => rmSync(folder, { recursive: true }));

const start = (cpus: number, disks: VmOptions["disks"] = []): Promise<VirtualMachine> =>
  VirtualMachine.start({
    kernel: image?.unpacked?.vmlinuxPath ?? image?.kernelPath ?? "",
    ...(image?.unpacked && { setupHeader: image.unpacked.setupHeaderPath }),
    initrd: image?.initrdPath ?? "",
    commandLine: "console=ttyS0 quiet panic=-1 memvisor.exec=1",
    memoryBytes: 256 << 20,
    rng: true,
    cpus,
    disks,
    timeoutMs: patienceMs,
  });

const shell = async (vm: VirtualMachine, command: string): Promise<string> =>
  (await vm.exec(command)).stdout.text().trim();

describe.skipIf(image === undefined)("debian-12-cloud", () => {
  test.each([1, 2])(
    "goes on from a snapshot, twice and otherwise run, with %i vCPUs",
    { timeout: patienceMs },
    async (cpus) => {
      const path = join(folder, `${cpus}.snapshot`);
      await using vm = await start(cpus);
      await shell(vm, "echo here >/tmp/word; (while :; do echo >>/tmp/lines; usleep 10000; done) >/dev/null 2>&1 &");
      const { sizeBytes } = await vm.snapshot(path);
      expect(sizeBytes).toBeGreaterThan(20 << 20);
      const draws = "head -c 8 /dev/urandom | hexdump -ve '1/1 \"%02x\"'";
      const restoredAt = Date.now() / 1000;
      const copies = [
        vm,
        await VirtualMachine.restore(path),
        await VirtualMachine.restore(path, { interpreterOnly: true }),
      ];
      const seen: string[] = [];
      for (const copy of copies) {
        expect(await shell(copy, "cat /tmp/word; nproc")).toBe(`here\n${cpus}`);
        const grows = "n=$(wc -l </tmp/lines); until [ $(wc -l </tmp/lines) -gt $n ]; do sleep 0.1; done; echo more";
        expect(await shell(copy, grows)).toBe("more");
        // It is told the time once, and is behind by what that took.
        const time = Number(await shell(copy, "date +%s"));
        expect(time).toBeGreaterThan(restoredAt - 1);
        expect(time).toBeLessThan(Date.now() / 1000 + 5);
        seen.push(await shell(copy, draws));
        await copy.stop();
      }
      expect(new Set(seen).size).toBe(3);
    },
  );

  test("is saved before its first command, which waits", { timeout: patienceMs }, async () => {
    const path = join(folder, "ready.snapshot");
    await using vm = await start(1);
    const saved = vm.snapshotWhenReady(path);
    await shell(vm, "touch /tmp/mine");
    await saved;
    await using copy = await VirtualMachine.restore(path);
    expect(await shell(copy, "ls /tmp")).toBe("");
  });

  test("forks: each goes its own way, and so does the one they came from", { timeout: patienceMs }, async () => {
    await using vm = await start(1);
    await shell(vm, "echo common >/tmp/word");
    const forks = await vm.fork(3);
    const all = [vm, ...forks];
    await Promise.all(all.map((each, n) => shell(each, `echo ${n} >>/tmp/word`)));
    expect(await Promise.all(all.map((each) => shell(each, "cat /tmp/word")))).toEqual(
      all.map((_, n) => `common\n${n}`),
    );
    await Promise.all(forks.map((fork) => fork.stop()));
    expect(await shell(vm, "cat /tmp/word")).toBe("common\n0");
  });

  test("goes on with its disk as it was: of a live snapshot, and of one that has only what differs", {
    timeout: patienceMs,
  }, async () => {
    const file = join(folder, "disk.img");
    writeFileSync(file, "");
    truncateSync(file, 16 << 20);
    const paths = ["live", "differs"].map((name) => join(folder, name)) as [string, string, ...string[]];
    await using vm = await start(1, [{ file, overlay: true }]);
    await shell(vm, "mke2fs /dev/vda; modprobe ext4; mkdir /mnt; mount -t ext4 /dev/vda /mnt; seq 20000 >/mnt/a; sync");
    await shell(vm, "(while :; do date >>/mnt/log; done) >/dev/null 2>&1 &");
    await vm.snapshot(paths[0], { live: true });
    await shell(vm, "seq 30000 >/mnt/b; rm /mnt/a; sync");
    const { sizeBytes } = await vm.snapshot(paths[1], { base: paths[0] });
    expect(sizeBytes).toBeLessThan(statSync(paths[0]).size / 2);
    const sums = "echo 3 >/proc/sys/vm/drop_caches; cd /mnt; wc -l a b 2>&1 | grep -v total";
    // A file in another folder, where it has no base.
    const flat = join(mkdtempSync(join(folder, "flat-")), "snapshot");
    await VirtualMachine.flatten(paths[1], flat);
    paths.push(flat);
    const after = /a: No such file.*\n.*30000 b/;
    for (const [n, seen] of [/20000 a.*\n.*b: No such file/, after, after].entries()) {
      await using copy = await VirtualMachine.restore(paths[n] as string);
      expect(await shell(copy, sums)).toMatch(seen);
      expect(await shell(copy, "echo more >/mnt/c; sync; cat /mnt/c")).toBe("more");
    }
    utimesSync(file, new Date(), new Date());
    await expect(VirtualMachine.restore(paths[0])).rejects.toThrow(
      "disk.img: was changed after the snapshot was taken",
    );
  });

  test("encrypted has what it wrote to its disk, for who has the key", { timeout: patienceMs }, async () => {
    const file = join(folder, "secret.img");
    const key = join(folder, "key");
    writeFileSync(file, "");
    truncateSync(file, 16 << 20);
    writeFileSync(key, "a secret of this test\n");
    const path = (name: string): string => join(folder, `${name}.snapshot`);
    const words = "on-this-disk";
    await using vm = await start(1, [{ file, overlay: true }]);
    await shell(vm, "mke2fs /dev/vda; modprobe ext4; mkdir /mnt; mount -t ext4 /dev/vda /mnt");
    await shell(vm, `for n in $(seq 500); do echo "${words} $n"; done >/mnt/a; sync; echo 3 >/proc/sys/vm/drop_caches`);
    await vm.snapshot(path("open"));
    expect(readFileSync(path("open")).includes(words)).toBe(true);
    await vm.snapshot(path("first"), { key });
    await expect(VirtualMachine.restore(path("first"))).rejects.toThrow("it is encrypted: name the file with its key");
    await using copy = await VirtualMachine.restore(path("first"), { key });
    expect(await shell(copy, `grep -c ${words} /mnt/a; echo "${words} more" >>/mnt/a; sync`)).toBe("500");
    await copy.snapshot(path("second"), { key, base: path("first") });
    await VirtualMachine.flatten(path("second"), path("flat"), { key });
    for (const name of ["first", "second", "flat"]) expect(readFileSync(path(name)).includes(words)).toBe(false);
    rmSync(path("first"));
    await using again = await VirtualMachine.restore(path("flat"), { key });
    expect(await shell(again, `echo 3 >/proc/sys/vm/drop_caches; grep -c ${words} /mnt/a`)).toBe("501");
  });

  test("is not saved where it cannot be, and runs on", { timeout: patienceMs }, async () => {
    await using vm = await start(1);
    await expect(vm.snapshot(join(folder, "no", "such", "folder"))).rejects.toMatchObject({
      code: "order",
      message: expect.stringContaining("there is no such file or folder"),
    });
    expect(await shell(vm, "echo on")).toBe("on");
  });
});

test("what is no snapshot is refused by name", async () => {
  const path = join(folder, "none");
  await expect(VirtualMachine.restore(path)).rejects.toMatchObject({ code: "snapshot" });
});

test.skipIf(image === undefined)(
  "a snapshot that was cut short is refused by name",
  { timeout: patienceMs },
  async () => {
    const path = join(folder, "1.snapshot");
    truncateSync(path, 10 << 20);
    await expect(VirtualMachine.restore(path)).rejects.toMatchObject({
      code: "snapshot",
      message: `${path}: the snapshot is truncated`,
    });
  },
);
