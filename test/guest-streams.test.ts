/** Streams between the host and programs in a stock guest: skipped without the image. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openImage } from "../src/host/images/index.ts";
import { type GuestStream, VirtualMachine } from "../src/index.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);
const timeoutMs = 60_000;

describe.skipIf(image === undefined)("debian-12-cloud", () => {
  let vm: VirtualMachine;

  beforeAll(async () => {
    vm = await VirtualMachine.start({
      kernel: image?.unpacked?.vmlinuxPath ?? image?.kernelPath ?? "",
      ...(image?.unpacked && { setupHeader: image.unpacked.setupHeaderPath }),
      initrd: image?.initrdPath ?? "",
      commandLine: "console=ttyS0 quiet panic=-1 memvisor.exec=1",
      memoryBytes: 256 << 20,
      ports: ["org.memvisor.test.in", "org.memvisor.test.out"],
      timeoutMs: 2 * timeoutMs,
    });
    await shell("true");
  }, timeoutMs);
  afterAll(() => vm?.stop());

  async function shell(command: string): Promise<string> {
    let output = "";
    const take = (bytes: Uint8Array): void => void (output += new TextDecoder().decode(bytes));
    const { status } = await vm.exec(command, { onStdout: take, onStderr: take });
    return `${output}status ${status}`;
  }

  /** The shell's words that find a port by its name. */
  const find = (name: string): string =>
    `until p=$(grep -lx ${name} /sys/class/virtio-ports/*/name 2>/dev/null); do sleep 0.05; done; p=/dev/$(basename $(dirname $p));`;

  /** The next opening of the port in the guest. */
  const opening = (name: string): Promise<GuestStream> =>
    new Promise((resolve) => {
      const off = vm.guestPort(name).onOpen((stream) => {
        off();
        resolve(stream);
      });
    });

  test("a program reads what the host writes to a named port, up to its end", async () => {
    const data = Uint8Array.from({ length: 300_000 }, (_, n) => (n * 31) ^ (n >> 7));
    const opened = opening("org.memvisor.test.in");
    const sum = shell(`${find("org.memvisor.test.in")} sha256sum <$p`);
    const stream = await opened;
    await stream.write(data);
    await stream.end();
    const digest = Buffer.from(await crypto.subtle.digest("SHA-256", data)).toString("hex");
    expect(await sum).toBe(`${digest}  -\nstatus 0`);
    await stream.closed;
  });

  test("a program that writes without end waits for a slow reader; what arrives is what it wrote", async () => {
    const opened = opening("org.memvisor.test.out");
    const done = shell(`${find("org.memvisor.test.out")} seq 1 200000 >$p`);
    const stream = await opened;
    await new Promise((resolve) => setTimeout(resolve, 200));
    let text = "";
    for await (const bytes of stream) text += new TextDecoder().decode(bytes);
    expect(await done).toBe("status 0");
    expect(text).toBe(Array.from({ length: 200_000 }, (_, n) => `${n + 1}\n`).join(""));
  });
});
