/** QEMU as Debian has it, to compare with. */
import { existsSync, readFileSync } from "node:fs";
import { installed } from "./programs.ts";

/** Its path, after an installation where that is possible. Ends the process with a word of advice where it is not. */
export const qemuPath = (): string => installed("qemu-system-x86_64", "qemu-system-x86");

/** What RDTSC counts in a millisecond here, which a TCG guest reads through. */
export function hostTscKhz(): number {
  const mhz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(
    existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "",
  )?.[1];
  return Math.round(Number(mhz ?? 2000) * 1000);
}
