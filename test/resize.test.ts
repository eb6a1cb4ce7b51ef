/** A stock guest that grows and shrinks while it works: skipped without the image. */
import { expect, test } from "vitest";
import { openImage, VirtualMachine } from "../src/index.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);
const mib = 1 << 20;

const shell = async (vm: VirtualMachine, command: string): Promise<string> =>
  (await vm.exec(command)).stdout.text().trim();
const totalMib = async (vm: VirtualMachine): Promise<number> =>
  Number(await shell(vm, "grep MemTotal /proc/meminfo | tr -cd 0-9")) / 1024;

/** Writes files of random bytes, and reads them again and again; prints what it finds wrong, and how often it looked. */
const worker = `
mkdir /checked; mount -t tmpfs -o size=300M tmp /checked; cd /checked
for n in 1 2 3 4 5 6; do head -c 8000000 /dev/urandom >$n; sha256sum $n; done >sums
(until [ -e stop ]; do sha256sum -c sums >said 2>&1 || cat said; echo look; cp 3 3.new; mv 3.new 3; done >log; touch stopped) >/dev/null 2>&1 &
`;

test.skipIf(!image)(
  "grows and shrinks under a guest that works, and so do its forks",
  { timeout: 240_000 },
  async () => {
    await using vm = await VirtualMachine.start({
      image: "debian-12-cloud",
      memoryBytes: 128 * mib,
      memoryMaxBytes: 512 * mib,
    });
    const small = await totalMib(vm);
    expect(small).toBeLessThan(128);
    const resized = async (of: VirtualMachine, to: number): Promise<void> => {
      const { bytes } = await of.memory.resize(to * mib, { timeoutMs: 100_000 });
      expect(bytes / mib).toBe(to);
      // What is plugged in is the kernel's a moment later.
      await expect
        .poll(async () => Math.abs((await totalMib(of)) - small - (to - 128)), { timeout: 30_000, interval: 200 })
        .toBeLessThan(2);
    };
    await resized(vm, 384);
    await shell(vm, worker);
    await resized(vm, 256);
    await resized(vm, 512);
    const [fork] = (await vm.fork(1)) as [VirtualMachine];
    for (const [each, to] of [
      [vm, 260],
      [fork, 380],
    ] as const) {
      await resized(each, to);
      const looks = await shell(
        each,
        "touch /checked/stop; until [ -e /checked/stopped ]; do sleep 0.1; done; sort /checked/log | uniq -c",
      );
      expect(looks).toMatch(/^\d+ look$/);
      // What the guest gave up costs nothing here.
      const { pages } = await each.memory.stats();
      expect(pages.unplugged * 4096).toBe((512 - to) * mib);
      expect(pages.own + pages.shared + pages.stored).toBeLessThan((to * mib) / 4096);
    }
    await fork.stop();
    await expect(vm.memory.resize(100 * mib)).rejects.toThrow(
      "this machine has 128 MiB to 512 MiB of memory: 100 MiB is none of that",
    );
    await expect(vm.memory.resize(129 * mib)).rejects.toThrow("memory is plugged in pieces of 4 MiB");
  },
);

test("a size that no machine can grow to is refused, and so is growing where none was named", {
  timeout: 60_000,
}, async () => {
  const start = (options: object): Promise<VirtualMachine> =>
    VirtualMachine.start({ kernel: new Uint8Array(0), ...options });
  await expect(start({ memoryMaxBytes: 512 * mib })).rejects.toThrow(
    "it is above the 512 MiB that the machine begins with",
  );
  await expect(start({ memoryMaxBytes: 600 * mib })).rejects.toThrow("is a whole number of 128 MiB");
  await expect(start({ memoryMaxBytes: 640 * mib, clock: "virtual" })).rejects.toThrow(
    "leave it out or the virtual clock",
  );
});
