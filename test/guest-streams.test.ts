/** Streams between the host and programs in a stock guest: skipped without the image, sockets also without a C compiler. */
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openImage } from "../src/host/images/index.ts";
import { type GuestStream, VirtualMachine } from "../src/index.ts";
import { nativeProgramIfAny } from "./native/programs.ts";
import { patienceMs } from "./patience.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);

/** A folder with the guest's program for sockets; undefined where nothing compiles it. */
const program = nativeProgramIfAny("vsock", "-O1", "-static");
const tools = program && dirname(program);

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
      vsock: true,
      ...(tools && { shares: [{ hostPath: tools, guestPath: "/tools", readOnly: true }] }),
      timeoutMs: 3 * patienceMs,
    });
    await shell("true");
  }, patienceMs);
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
    const done = shell(`${find("org.memvisor.test.out")} seq 1 50000 >$p`);
    const stream = await opened;
    await new Promise((resolve) => setTimeout(resolve, 200));
    let text = "";
    for await (const bytes of stream) text += new TextDecoder().decode(bytes);
    expect(await done).toBe("status 0");
    expect(text).toBe(Array.from({ length: 50_000 }, (_, n) => `${n + 1}\n`).join(""));
  });

  describe.skipIf(tools === undefined)("sockets", () => {
    /** Connects as soon as somebody listens. */
    const connected = async (port: number): Promise<GuestStream> => {
      for (;;) {
        try {
          return await vm.vsock.connect(port);
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };

    test("the host connects to a program of the guest, which sends back all that it gets", async () => {
      const data = Uint8Array.from({ length: 700_000 }, (_, n) => (n * 13) ^ (n >> 9));
      const echo = shell("/tools/vsock echo 1234");
      const stream = await connected(1234);
      const back: Uint8Array[] = [];
      stream.onData((bytes) => void back.push(bytes));
      await stream.write(data);
      await stream.end();
      await stream.ended;
      expect(Buffer.concat(back).equals(Buffer.from(data))).toBe(true);
      expect(await echo).toBe("listening\nstatus 0");
      await stream.closed;
    });

    test("a program of the guest connects to the host, and each hears the other's end", async () => {
      const off = vm.vsock.listen(80, async (stream) => {
        let text = "";
        for await (const bytes of stream) text += new TextDecoder().decode(bytes);
        await stream.write(new TextEncoder().encode(text.toUpperCase()));
        await stream.end();
      });
      expect(await shell("echo hello host | /tools/vsock connect 80")).toBe("HELLO HOST\nstatus 0");
      off();
      expect(await shell("/tools/vsock connect 80 </dev/null")).toContain("connect: Connection reset by peer");
    });

    test("a port that nobody listens on refuses the host", async () => {
      await expect(vm.vsock.connect(4321)).rejects.toThrow("the guest closed the connection");
      await expect(vm.vsock.connect(-1)).rejects.toThrow("-1 is no port");
    });

    test("a program that floods is held back by a slow reader, and nothing is lost", async () => {
      const total = 3_000_000;
      let [taken, wrong] = [0, 0];
      const done = Promise.withResolvers<void>();
      vm.vsock.listen(81, (stream) => {
        stream.onData((bytes) => {
          for (const byte of bytes) if (byte !== taken++ % 251) wrong++;
          return taken < 300_000 ? new Promise((resolve) => setTimeout(resolve, 5)) : undefined;
        });
        void stream.ended.then(done.resolve);
      });
      expect(await shell(`/tools/vsock flood 81 ${total}`)).toBe("status 0");
      await done.promise;
      expect([taken, wrong]).toEqual([total, 0]);
    });
  });
});
