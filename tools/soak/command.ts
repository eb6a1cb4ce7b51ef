/** The command `memvisor`, run as a process of its own. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface CommandRun {
  readonly args: readonly string[];
  readonly input: string;
  readonly timeoutMs: number;
}

export interface CommandResult {
  /** Undefined when it had to be killed. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

const launcher = fileURLToPath(new URL("../../bin/memvisor.js", import.meta.url));

export function runMemvisor({ args, input, timeoutMs }: CommandRun): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(process.execPath, [launcher, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    child.stdout.on("data", (bytes: Buffer) => out.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => errors.push(bytes));
    // A command that ended early reads no more.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({
        status: status ?? undefined,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(errors).toString(),
        ms: performance.now() - started,
      });
    });
  });
}
