/** Pages that a stock guest does not use are nobody's work: skipped without the image. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openImage, VirtualMachine } from "../src/index.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);
const mib = 2 ** 20;
/** What the guest writes and gives up. */
const fileMib = 96;

test.skipIf(!image)(
  "what the guest has given up is neither evicted nor saved, though it was full of bytes",
  { timeout: 400_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "memvisor-free-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await using vm = await VirtualMachine.start({ image: "debian-12-cloud", memoryBytes: 256 * mib, balloon: true });
    await vm.exec("mkdir -p /mnt; mount -t tmpfs -o size=150m none /mnt");
    await vm.exec(`head -c ${fileMib * mib} /dev/urandom >/mnt/x`);
    const held = async (): Promise<number> => {
      const { pages } = await vm.memory.stats();
      return ((pages.own + pages.shared + pages.stored) * 4096) / mib;
    };
    const full = await held();
    expect(full).toBeGreaterThan(fileMib);
    await vm.exec("rm /mnt/x");
    // The guest reports free memory every two seconds.
    await expect.poll(held, { timeout: 120_000, interval: 500 }).toBeLessThan(full - 0.75 * fileMib);
    const left = await held();
    const { pages } = await vm.snapshot(join(folder, "saved"));
    expect((pages * 4096) / mib).toBeLessThan(left + 8);
    await vm.memory.limit(24 * mib);
    await expect.poll(async () => (await vm.memory.stats()).pages.own, { timeout: 120_000 }).toBeLessThan(25 * 256);
    // It has had to go somewhere: no more than there was.
    const { swap } = await vm.stats();
    expect(((swap?.backing.pagesHeld ?? 0) * 4096) / mib).toBeLessThan(left);
    expect((await vm.exec("echo well")).stdout.text()).toBe("well\n");
  },
);
