/** The network of a stock guest, by the guest's own TCP: skipped without the image. */
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openImage } from "../src/host/images/index.ts";
import { askAllAtOnce, echoServer, freePort } from "../src/host/testing/guest-server.ts";
import { VirtualMachine } from "../src/index.ts";
import { patienceMs } from "./patience.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);
const bigBytes = 32 << 20;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Math.imul(i, 0x9e3779b1) >>> 24;
  return bytes;
}

const server = image && echoServer();

describe.skipIf(image === undefined)("debian-12-cloud", () => {
  let vm: VirtualMachine;
  let web: Server;
  let webPort: number;
  let publishedPort: number;
  let echoPort: number;
  const big = pattern(bigBytes);
  const mirror = createSocket("udp4");
  let mirrored = 0;

  beforeAll(async () => {
    web = createServer((_, response) => void response.end(big));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    webPort = (web.address() as AddressInfo).port;
    await new Promise<void>((resolve) => mirror.bind(0, "127.0.0.1", resolve));
    mirror.on("message", (bytes, from) => {
      mirrored++;
      mirror.send(bytes, from.port, from.address);
    });
    publishedPort = await freePort();
    echoPort = await freePort();
    vm = await VirtualMachine.start({
      kernel: image?.unpacked?.vmlinuxPath ?? image?.kernelPath ?? "",
      ...(image?.unpacked && { setupHeader: image.unpacked.setupHeaderPath }),
      initrd: image?.initrdPath ?? "",
      commandLine: "console=ttyS0 quiet panic=-1 memvisor.exec=1",
      memoryBytes: 512 << 20,
      network: {
        publish: [`${publishedPort}:80`, `${echoPort}:7`],
        allow: [`localhost:${webPort}`, `localhost:${mirror.address().port}`],
      },
      timeoutMs: 3 * patienceMs,
    });
    await shell("true");
  }, patienceMs);
  afterAll(async () => {
    await vm?.stop();
    web.close();
    mirror.close();
  });

  async function shell(command: string, stdin?: Uint8Array): Promise<string> {
    let output = "";
    const take = (bytes: Uint8Array): void => void (output += new TextDecoder().decode(bytes));
    const { status } = await vm.exec(command, { onStdout: take, onStderr: take, ...(stdin && { stdin }) });
    return `${output}status ${status}`;
  }

  test("the card has its address, its way out and its name server before a program runs", async () => {
    expect(await shell("ip -4 -o addr show eth0 | awk '{print $4}'; ip route | head -1; cat /etc/resolv.conf")).toBe(
      "10.0.2.15/24\ndefault via 10.0.2.2 dev eth0 \nnameserver 10.0.2.3\nstatus 0",
    );
  });

  test("the guest fetches a large file, and every byte is right", { timeout: patienceMs }, async () => {
    expect(await shell(`wget -qO- http://10.0.2.2:${webPort}/ | sha256sum`)).toBe(`${sha256(big)}  -\nstatus 0`);
  });

  test("the host reads a large file of the guest's by a published port", { timeout: patienceMs }, async () => {
    const make = `mkdir -p /tmp/www && dd if=/dev/urandom of=/tmp/www/big bs=1M count=${bigBytes >> 20} 2>/dev/null`;
    const sum = (await shell(`${make} && sha256sum </tmp/www/big && httpd -p 80 -h /tmp/www`)).split(" ")[0];
    const response = await fetch(`http://127.0.0.1:${publishedPort}/big`);
    expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(sum);
  });

  test("a port is published while the machine runs, and given back", { timeout: patienceMs }, async () => {
    await shell("mkdir -p /tmp/small && echo small >/tmp/small/file && httpd -p 81 -h /tmp/small");
    const hostPort = await freePort();
    const port = await vm.forwardPort(`${hostPort}:81`);
    expect(await (await fetch(`http://127.0.0.1:${hostPort}/file`)).text()).toBe("small\n");
    await expect(vm.forwardPort(`${publishedPort}:81`)).rejects.toThrow("another program has it");
    await expect(vm.forwardPort("81")).rejects.toMatchObject({ code: "option" });
    await port.close();
    await expect(fetch(`http://127.0.0.1:${hostPort}/file`)).rejects.toThrow("fetch failed");
  });

  test.skipIf(server === undefined)(
    "a thousand connections to the guest are open at once, and each gets its answer",
    {
      timeout: patienceMs,
    },
    async () => {
      await shell("cat >/tmp/echo && chmod +x /tmp/echo", server);
      expect(await shell("/tmp/echo 7")).toBe("ready\nstatus 0");
      expect(await askAllAtOnce(echoPort, 1000)).toBe(1000);
    },
  );

  test("datagrams go out and come back", async () => {
    // busybox's only client of UDP is its resolver; an echo of its question is a reply without an answer.
    // It waits five seconds for one, which may be too short here.
    const asks = `nslookup -port=${mirror.address().port} name.test 10.0.2.2`;
    expect(await shell(`until ${asks} >/tmp/answer; grep Non-auth /tmp/answer; do sleep 1; done`)).toContain(
      "Non-authoritative answer",
    );
    expect(mirrored).toBeGreaterThan(0);
  });

  test("nothing of the host is reached that was not named", async () => {
    const refused = await shell(
      "wget -qO- http://10.0.2.2:1/; wget -qO- http://169.254.169.254/; ping -c 1 -W 1 192.0.2.1",
    );
    expect(refused.match(/No route to host/g)?.length).toBe(2);
    expect(refused).toContain("0 packets received");
  });
});
