/** QEMU as Debian has it, to compare with. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const binary = "qemu-system-x86_64";

/** Its path, after an installation where that is possible. Ends the process with a word of advice where it is not. */
export function qemuPath(): string {
  const found = find();
  if (found) return found;
  if (process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    process.stderr.write("installing qemu-system-x86\n");
    spawnSync("apt-get", ["install", "-y", "--no-install-recommends", "qemu-system-x86"], { stdio: ["ignore", 2, 2] });
  }
  const installed = find();
  if (installed) return installed;
  process.stderr.write(
    `${binary} is not there: install it (Debian: apt install qemu-system-x86), or pass --only memvisor\n`,
  );
  return process.exit(2);
}

function find(): string | undefined {
  return process.env.PATH?.split(":")
    .map((folder) => `${folder}/${binary}`)
    .find((path) => existsSync(path));
}

/** What RDTSC counts in a millisecond here, which a TCG guest reads through. */
export function hostTscKhz(): number {
  const mhz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(
    existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "",
  )?.[1];
  return Math.round(Number(mhz ?? 2000) * 1000);
}
