/** Init and the agent in a prepared image, under another machine: skipped where QEMU or the image is not there. */
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { firstLineOfInit } from "#images";
import { execute, GuestCommands } from "../../control/agent/index.ts";
import { openImage } from "./index.ts";

const qemu = "qemu-system-x86_64";
const image = await openImage("debian-12-cloud").catch(() => undefined);
const hasQemu = (() => {
  try {
    return execFileSync(qemu, ["--version"]).length > 0;
  } catch {
    return false;
  }
})();

/** Boots, gives the commands of its second serial line to `use`, powers off; gives back the console's text. */
async function withGuest(use: (commands: GuestCommands) => Promise<void>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "memvisor-guest-"));
  const path = join(folder, "agent");
  const server = createServer().listen(path);
  const machine = ["-accel", "tcg", "-M", "pc", "-m", "256M", "-display", "none", "-no-reboot"];
  const files = ["-kernel", image?.kernelPath ?? "", "-initrd", image?.initrdPath ?? ""];
  const lines = ["-serial", "stdio", "-serial", `unix:${path}`];
  const child = spawn(qemu, [...machine, ...files, "-append", "console=ttyS0 quiet memvisor.exec=1", ...lines], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.on("data", (bytes) => {
    text += bytes;
  });
  try {
    const [socket] = (await once(server, "connection")) as [Socket];
    socket.on("error", () => {});
    const commands = new GuestCommands(
      {
        onOutput: (receive) => {
          socket.on("data", receive);
          return () => socket.off("data", receive);
        },
        write: async (bytes) => void socket.write(bytes),
        drained: async () => {},
      },
      4096,
    );
    await use(commands);
    const ended = once(child, "exit");
    commands.powerOff();
    await ended;
    return text;
  } finally {
    child.kill("SIGKILL");
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

test.skipIf(!hasQemu || !image)(
  "a prepared image boots, runs commands at once and powers off",
  async () => {
    const input = randomBytes(100_000);
    const hash = createHash("sha256").update(input).digest("hex");
    const console = await withGuest(async (commands) => {
      const [sum, apart, missing] = await Promise.all([
        execute(commands, ["sha256sum"], { stdin: input }),
        execute(commands, ["sh", "-c", "echo out; echo errors >&2; exit 3"], {}),
        execute(commands, ["no-such-command"], {}).catch((error: Error) => error.message),
      ]);
      expect(sum.stdout.text()).toBe(`${hash}  -\n`);
      expect([apart.status, apart.stdout.text(), apart.stderr.text()]).toEqual([3, "out\n", "errors\n"]);
      expect(missing).toBe('there is no command "no-such-command" in the guest');
    });
    expect(console).toContain(firstLineOfInit);
  },
  120_000,
);
