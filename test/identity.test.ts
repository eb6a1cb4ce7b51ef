/** What of a copy of a machine is its own: in a kernel that knows the generation ID. Skipped without the image. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openImage } from "../src/host/images/index.ts";
import { VirtualMachine } from "../src/index.ts";

const image = await openImage("debian-13-cloud").catch(() => undefined);
const folder = mkdtempSync(join(tmpdir(), "memvisor-identity-"));
afterAll(() => rmSync(folder, { recursive: true }));

const shell = async (vm: VirtualMachine, command: string): Promise<string> =>
  (await vm.exec(command)).stdout.text().trim();

const word = "virtual machine fork";

/** How often the kernel says that it is a copy: it hears of that by an interrupt, and acts on it in a thread of its own. */
const awakenings = (vm: VirtualMachine): Promise<string> =>
  shell(
    vm,
    `n=0; until dmesg | grep -q '${word}' || [ $((n += 1)) = 50 ]; do sleep 0.1; done; dmesg | grep -c '${word}'`,
  );

test.skipIf(!image)(
  "forks and restored machines hear that they are copies, draw their own numbers, and know the time",
  { timeout: 240_000 },
  async () => {
    await using vm = await VirtualMachine.start({ image: "debian-13-cloud", memoryBytes: 256 << 20 });
    expect(await shell(vm, "uname")).toBe("Linux");
    const path = join(folder, "one.snapshot");
    await vm.snapshot(path);
    const copies = [...(await vm.fork(2)), await VirtualMachine.restore(path)];
    const drawn: string[] = [];
    for (const copy of copies) {
      expect(await awakenings(copy)).toBe("1");
      drawn.push(await shell(copy, "head -c 8 /dev/urandom | hexdump -ve '1/1 \"%02x\"'"));
      expect(Math.abs(Number(await shell(copy, "date +%s")) - Date.now() / 1000)).toBeLessThan(5);
      await copy.stop();
    }
    expect(new Set(drawn).size).toBe(3);
    expect(await shell(vm, `dmesg | grep -c '${word}'`)).toBe("0");
  },
);
