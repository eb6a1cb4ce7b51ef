/** Forks of a stock guest on one thread, each at work: skipped without the image. */
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePort } from "../src/host/testing/guest-server.ts";
import { openImage, type StartOptions, VirtualMachine } from "../src/index.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);
const timeoutMs = 240_000;

const shell = async (vm: VirtualMachine, command: string): Promise<string> =>
  (await vm.exec(command)).stdout.text().trim();

const start = (options: Partial<StartOptions> = {}): Promise<VirtualMachine> =>
  VirtualMachine.start({ image: "debian-12-cloud", memoryBytes: 256 << 20, ...options });

test.skipIf(!image)("twenty forks work side by side, and each finds its own", { timeout: timeoutMs }, async () => {
  await using vm = await start();
  await shell(vm, "echo parent >/tmp/who; head -c 2000000 /dev/zero | tr '\\0' p >/tmp/much");
  const forks = await vm.fork(20);
  const draws = "head -c 8 /dev/urandom | hexdump -ve '1/1 \"%02x\"'";
  const seen = await Promise.all(
    forks.map((fork, n) =>
      shell(fork, `cat /tmp/who; echo ${n} >/tmp/who; tr p ${n % 10} </tmp/much >/tmp/mine; ${draws}`),
    ),
  );
  expect(new Set(seen.map((text) => text.split("\n")[0]))).toEqual(new Set(["parent"]));
  expect(new Set(seen.map((text) => text.split("\n")[1])).size).toBe(20);
  // The parent is the first to go, then some of the forks; one of those that stay is forked again, and one floods its console.
  expect(await shell(vm, "cat /tmp/who")).toBe("parent");
  await vm.stop();
  await Promise.all(forks.splice(0, 5).map((fork) => fork.stop()));
  const [again] = await forks[0].fork();
  expect(await shell(again, "cat /tmp/who; echo again >/tmp/who")).toBe("5");
  forks[1].console.onOutput(() => new Promise<void>(() => {}));
  await forks[1].exec("(yes >/dev/ttyS0) >/dev/null 2>&1 &");
  const others = forks.filter((_, n) => n !== 1);
  const checks = await Promise.all(
    others.map((fork) => shell(fork, "cat /tmp/who; tr -d $(($(cat /tmp/who) % 10)) </tmp/mine | wc -c")),
  );
  expect(checks).toEqual([5, ...Array.from({ length: 13 }, (_, n) => 7 + n)].map((n) => `${n}\n0`));
  expect(await shell(again, "cat /tmp/who")).toBe("again");
  await Promise.all([...forks, again].map((fork) => fork.stop()));
});

test.skipIf(!image)(
  "forks have disks, shares and a network of their own, on the thread of the machine",
  {
    timeout: timeoutMs,
  },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "memvisor-forks-"));
    let threads = 0;
    const count = () => void threads++;
    process.on("worker", count);
    try {
      const disk = join(folder, "disk");
      await writeFile(disk, "");
      await truncate(disk, 16 << 20);
      await using vm = await start({
        disks: [{ file: disk, overlay: true }],
        network: { publish: [`${await freePort()}:80`] },
        shares: [{ hostPath: folder, guestPath: "/mnt/share" }],
      });
      const write = (name: string): string => `echo ${name} | dd of=/dev/vda bs=512 conv=fsync 2>/dev/null`;
      const look =
        "echo 3 >/proc/sys/vm/drop_caches; head -n 1 /dev/vda; ping -c 1 -W 60 10.0.2.2 | grep -c ' 0% packet loss'; cat /mnt/share/file";
      await shell(vm, `${write("parent")}; echo shared >/mnt/share/file`);
      const forks = await vm.fork(2);
      const seen = await Promise.all(forks.map((fork, n) => shell(fork, `${look}; ${write(`fork-${n}`)}`)));
      expect(seen).toEqual(["parent\n1\nshared", "parent\n1\nshared"]);
      expect(await shell(vm, look)).toBe("parent\n1\nshared");
      const [again] = await forks[1].fork();
      await vm.stop();
      const last = await Promise.all([...forks, again].map((each) => shell(each, look)));
      expect(last).toEqual(["fork-0\n1\nshared", "fork-1\n1\nshared", "fork-1\n1\nshared"]);
      await Promise.all([...forks, again].map((each) => each.stop()));
      expect([threads, (await readFile(disk)).every((byte) => byte === 0)]).toEqual([1, true]);
    } finally {
      process.off("worker", count);
      await rm(folder, { recursive: true });
    }
  },
);
