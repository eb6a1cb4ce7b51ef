/** Init and the exec agent in a prepared image, under another machine: skipped where QEMU or the image is not there. */
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { firstLineOfInit } from "#images";
import { type ExecPort, ExecProtocol } from "../../control/exec-protocol.ts";
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

interface Outcome {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

interface Command {
  readonly text: string;
  readonly input?: Uint8Array;
}

/** Boots, runs the commands one after another, powers off; gives back what came of them and the console's text. */
async function runAll(commands: readonly Command[]): Promise<{ outcomes: Outcome[]; console: string }> {
  const folder = await mkdtemp(join(tmpdir(), "memvisor-guest-"));
  const ports: readonly ExecPort[] = ["stdio", "stderr", "control"];
  const sockets = new Map<ExecPort, Socket>();
  const outcomes: Outcome[] = [];
  let stdout: Uint8Array[] = [];
  let stderr: Uint8Array[] = [];
  const protocol = new ExecProtocol({
    send: (port, bytes) => sockets.get(port)?.write(bytes),
    stdout: (bytes) => stdout.push(bytes.slice()),
    stderr: (bytes) => stderr.push(bytes.slice()),
    ready: () => {
      const next = commands[outcomes.length];
      [stdout, stderr] = [[], []];
      if (next) protocol.exec(next.text);
      else protocol.powerOff();
    },
    wantInput: () => {
      const { input } = commands[outcomes.length];
      if (input) protocol.input(input);
      protocol.endInput();
    },
    exit: (status) =>
      outcomes.push({ status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
  });
  const servers = ports.map((port) =>
    createServer((socket) => {
      sockets.set(port, socket);
      socket.on("error", () => {});
      socket.on("data", (bytes: Buffer) => {
        // Between sockets no order is kept: what was written before a control line is let arrive first.
        if (port === "control") setTimeout(() => protocol.receive(port, bytes), 100);
        else protocol.receive(port, bytes);
      });
    }).listen(join(folder, port)),
  );
  const serial = ["stdio", ...ports.map((port) => `unix:${join(folder, port)}`)].flatMap((each) => ["-serial", each]);
  const machine = ["-accel", "tcg", "-M", "pc", "-m", "256M", "-display", "none", "-no-reboot"];
  const files = ["-kernel", image?.kernelPath ?? "", "-initrd", image?.initrdPath ?? ""];
  const child = spawn(qemu, [...machine, ...files, "-append", "console=ttyS0 quiet memvisor.exec=1", ...serial], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.on("data", (bytes) => {
    text += bytes;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 100_000);
  await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  for (const server of servers) server.close();
  await rm(folder, { recursive: true });
  return { outcomes, console: text };
}

test.skipIf(!hasQemu || !image)(
  "a prepared image boots, and commands have input, output, errors and a status",
  // QEMU on a busy machine may still deliver one socket 100 ms before another.
  { timeout: 120_000, retry: 1 },
  async () => {
    const noise = randomBytes(96 * 1024);
    const commands = [
      { text: "cat", input: noise },
      { text: "true", input: noise },
      { text: "echo out; echo err >&2; exit 7" },
      { text: "head -c 3 >/dev/null; sleep 1; tty", input: noise },
      { text: `# ${"x".repeat(50_000)}\nkill -9 $$` },
      { text: "cat /dev/zero | head -c 100000; cat >/dev/null", input: noise },
      { text: "sha256sum", input: noise },
      { text: "modprobe ext4 && modprobe -a overlay erofs squashfs virtiofs && grep -c . /proc/modules" },
    ];
    const { outcomes, console } = await runAll(commands);
    expect(outcomes.map(({ status }) => status)).toEqual([0, 0, 7, 1, 137, 0, 0, 0]);
    expect(outcomes[0].stdout.equals(noise)).toBe(true);
    expect(outcomes[1].stdout.length).toBe(0);
    expect([outcomes[2].stdout.toString(), outcomes[2].stderr]).toEqual(["out\n", "err\n"]);
    expect(outcomes[3].stdout.toString()).toBe("not a tty\n");
    expect(outcomes[5].stdout.equals(Buffer.alloc(100_000))).toBe(true);
    expect(outcomes[6].stdout.toString()).toContain(createHash("sha256").update(noise).digest("hex"));
    expect(console).toContain(firstLineOfInit);
    expect(console).toContain("reboot: Power down");
  },
);
